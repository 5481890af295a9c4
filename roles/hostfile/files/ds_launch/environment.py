# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of every rank: what DeepSpeed's launcher would export from this shell, and C(.deepspeed_env)."""

from __future__ import annotations

import os
from typing import Mapping

from ds_launch.words import Refusal

# DeepSpeed exports variables whose names begin so; NCCL for GPUs.
_PREFIXES = ("MLFLOW", "PYTHON", "MV2", "UCX", "NCCL")
# The interfaces of a node have names of their own: what this node has from its own configuration is no wish for others.
_OF_A_NODE = ("NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "GLOO_SOCKET_IFNAME", "UCX_NET_DEVICES")


def _assignments(path: str) -> dict[str, str]:
    """The lines KEY=VALUE of a file; nothing where there is none.

    :raises Refusal: a line is neither that, nor blank, nor a comment.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return {}
    found, problems = {}, []
    for line in lines:
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not equals or not name.strip().isidentifier():
            problems.append(f"The line '{line}' in {path} is not of the form NAME=value; correct or remove it.")
        found[name.strip()] = value.strip()
    if problems:
        raise Refusal(*problems)
    return found


def exported(environment: Mapping[str, str], folder: str, own: Mapping[str, str]) -> dict[str, str]:
    """What of this shell's environment every rank gets.

    :param folder: the working folder, which stands first on C(PYTHONPATH), as DeepSpeed has it.
    :param own: the variables that belong to this node, from C(/etc/environment).
    """
    chosen = {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIXES) and not (name in _OF_A_NODE and own.get(name) == value)
    }
    chosen["PYTHONPATH"] = ":".join(part for part in (folder, environment.get("PYTHONPATH", "")) if part)
    return chosen


def own_variables(path: str = "/etc/environment") -> dict[str, str]:
    """The variables of C(/etc/environment), whose lines pam_env reads loosely."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            pairs = (line.strip().partition("=") for line in file if "=" in line and not line.startswith("#"))
            return {name.replace("export ", "").strip(): value.strip("\"' ") for name, _equals, value in pairs}
    except OSError:
        return {}


def from_files(folder: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of C(.deepspeed_env), from the home and the working folder, or of the file in C(DS_ENV_FILE).

    :raises Refusal: a line that cannot be read.
    """
    name = environment.get("DS_ENV_FILE", ".deepspeed_env")
    found: dict[str, str] = {}
    for place in dict.fromkeys((os.path.expanduser("~"), folder)):
        found.update(_assignments(os.path.join(place, name)))
    return found
