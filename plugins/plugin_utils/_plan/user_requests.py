# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users wish for, read from the variables that they set: the first argument of the resolver of stacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import KNOBS, flag
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import shown

Values = Mapping[str, Any]

_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-[^-]+\.whl")


@dataclass(frozen=True)
class Wish:
    """One wish: the variables that it is read from, and how; null where they wish for nothing."""

    variables: tuple[str, ...]
    read: Callable[[Values], Any]


def _wheel(places: Iterable[Any], package: str) -> re.Match[str] | None:
    """The name of the wheel that holds a package, in its parts."""
    files = (PurePosixPath(unquote(urlsplit(str(place)).path)).name for place in places)
    matches = (_WHEEL.fullmatch(file) for file in files)
    return next((match for match in matches if match and match["name"].lower() == package), None)


def _torch_wheel(values: Values) -> re.Match[str] | None:
    wheels = values.get("torch_wheels")
    return _wheel(wheels if isinstance(wheels, list) else (), "torch")


def _text(values: Values, name: str) -> str | None:
    value = values.get(name)
    return str(value) if value not in (None, "", "auto") else None


def _minor(text: str | None) -> str | None:
    """The first two numbers of a version, null where there are none."""
    found = re.match(r"\d+\.\d+", text or "")
    return found[0] if found else None


def _torch(values: Values) -> str | None:
    wheel = _torch_wheel(values)
    return wheel["version"] if wheel else _text(values, "torch_version")


def _wheel_python(values: Values) -> str | None:
    """The one Python that the wheel of torch is for, null where it is for several."""
    wheel = _torch_wheel(values)
    found = re.fullmatch(r"cp(\d)(\d+)", wheel["python"]) if wheel and wheel["abi"] != "abi3" else None
    return f"{found[1]}.{found[2]}" if found else None


def _python(values: Values) -> str | None:
    return _minor(_text(values, "conda_python_version")) or _wheel_python(values)


def _cuda(values: Values) -> str | None:
    versions = values.get("cuda_toolkit_versions")
    return _minor(str(versions[0])) if isinstance(versions, list) and versions else None


def _deepspeed(values: Values) -> str | None:
    wheel = _wheel([values.get("deepspeed_wheel") or ""], "deepspeed")
    # The tag of a build that somebody made says nothing about what it works with.
    return wheel["version"].partition("+")[0] if wheel else _text(values, "deepspeed_version")


def _mismatch(values: Values) -> bool | None:
    return True if flag(values.get("apex_allow_cuda_minor_mismatch", False)) else None


def _bf16(values: Values) -> bool | None:
    config = values.get("hostfile_config")
    section = config.get("bf16") if isinstance(config, dict) else None
    asked = isinstance(section, dict) and str(section.get("enabled")).lower() == "true"
    return True if asked or values.get("hostfile_precision") == "bf16" else None


WISHES: Mapping[str, Wish] = {
    "stack": Wish(("cluster_stack",), lambda values: _text(values, "cluster_stack")),
    "accelerator": Wish(("cluster_accelerator",), lambda values: _text(values, "cluster_accelerator")),
    "python": Wish(("conda_python_version", "torch_wheels"), _python),
    "torch": Wish(("torch_version", "torch_wheels"), _torch),
    "torch_build": Wish(("torch_build",), lambda values: _text(values, "torch_build")),
    "cuda": Wish(("cuda_toolkit_versions",), _cuda),
    "deepspeed": Wish(("deepspeed_version", "deepspeed_wheel"), _deepspeed),
    "apex": Wish(("apex_ref",), lambda values: _text(values, "apex_ref")),
    "apex_mismatch": Wish(("apex_allow_cuda_minor_mismatch",), _mismatch),
    "bf16": Wish(("hostfile_precision", "hostfile_config"), _bf16),
}
VARIABLES = tuple(dict.fromkeys(name for wish in WISHES.values() for name in wish.variables))


def _by_wish(nodes: Sequence[str], given: Mapping[str, Values], read: Callable[[Values], Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for node in nodes:
        value = read(given.get(node, {}))
        if value is not None:
            found.setdefault(value, []).append(node)
    return found


def _several(wish: Wish, holders: Mapping[Any, Sequence[str]], given: Mapping[str, Values]) -> str:
    told = [name for name in wish.variables if any(name in given[node] for nodes in holders.values() for node in nodes)]
    each = ", ".join(f"{shown(value)} on {named(nodes)}" for value, nodes in holders.items())
    return f"{listed(told)} ask for {each}: one stack serves all nodes; set {told[0]} once, for group 'nodes'."


def _wheel_problem(values: Values) -> str | None:
    python, wanted = _wheel_python(values), _minor(_text(values, "conda_python_version"))
    if not python or not wanted or python == wanted:
        return None
    return (
        f"torch_wheels has {(_torch_wheel(values) or [''])[0]}, which is for Python {python}, but conda_python_version "
        f"is {wanted}; set it to {python}, or take a wheel for Python {wanted}."
    )


def wishes(nodes: Sequence[str], given: Mapping[str, Values]) -> tuple[dict[str, Any], list[str]]:
    """What is wished for the cluster, and a sentence for each wish that contradicts itself, which is then left out.

    A wish of one node is one for all, since all get one stack.

    :param given: the variables in VARIABLES, as far as nodes are given them, as plain values.
    """
    found: dict[str, Any] = {}
    problems = []
    for name, wish in WISHES.items():
        holders = _by_wish(nodes, given, wish.read)
        if len(holders) == 1:
            found[name] = next(iter(holders))
        elif holders and not set(wish.variables) <= set(KNOBS):
            # Those of the whole collection are told with the inventory.
            problems.append(_several(wish, holders, given))
    problems += list(_by_wish(nodes, given, _wheel_problem))
    return found, problems
