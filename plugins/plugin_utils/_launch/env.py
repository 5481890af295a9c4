# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders C(.deepspeed_env), the variables that the launcher exports on every node. Plain values in, text out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.hostfile import Rendering

# Interfaces have a name of their own on each node, and the launcher exports one value to all of them.
_PER_NODE = ("NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "GLOO_SOCKET_IFNAME")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_BARE = re.compile(r"^[\w@%+=:,./-]*$")
# The last release known to hand values to the remote shell as they are; later ones wrap them in double quotes.
_LAST_UNQUOTED = (0, 16, 4)


class EnvironmentFileError(ValueError):
    """A variable cannot stand in .deepspeed_env; the message is a sentence for the user."""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value).strip()


def _check(name: str, value: str, unquoted: bool) -> str | None:
    """One sentence where the value will not mean on the nodes what it says here.

    :raises EnvironmentFileError: the launcher, or the shell on the nodes, would break on it.
    """
    if not _NAME.match(name):
        raise EnvironmentFileError(
            f"{name!r} is not the name of an environment variable; correct hostfile_environment."
        )
    if name in _PER_NODE:
        raise EnvironmentFileError(
            f"{name} cannot be set in hostfile_environment: every node would get the same value, but the names of "
            "interfaces are a node's own. Set it per host through the role nccl."
        )
    if "\n" in value or "\r" in value or "\0" in value:
        raise EnvironmentFileError(f"The value of {name} has more than one line; .deepspeed_env cannot carry that.")
    if '"' in value:
        raise EnvironmentFileError(f"The value of {name} has a double quote, which the launcher does not escape.")
    if unquoted and not _BARE.match(value):
        return (
            f"The value of {name} has characters that DeepSpeed up to 0.16.4 does not quote, so the command on the "
            "nodes breaks at them; use a newer DeepSpeed or another value."
        )
    if re.search(r"%[hnu%]", value):
        return f"pdsh replaces %h, %n and %u in the value of {name} with the node's name, its rank and the user."
    return None


def render_env(variables: Mapping[str, Any], *, version: str = "") -> Rendering:
    """The content of .deepspeed_env: KEY=VALUE lines without comments and blank lines, which break the launcher.

    :param variables: names and values in the order of the lines; a value of None leaves its variable out.
    :param version: the release of DeepSpeed that will read the file; empty for a recent one.
    :raises EnvironmentFileError: a name or value that the file cannot carry.
    """
    unquoted = bool(version) and numbers(version)[:3] <= _LAST_UNQUOTED
    lines, remarks = [], []
    for name, given in variables.items():
        if given is None:
            continue
        value = _text(given)
        remark = _check(str(name), value, unquoted)
        if remark:
            remarks.append(remark)
        lines.append(f"{name}={value}\n")
    return Rendering("".join(lines), remarks)
