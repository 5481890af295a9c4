# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a ref of NVIDIA apex is built for a torch, and whether the extensions are there. Pure functions over plain
values.

The tables are C(data/apex.yml) and C(data/cuda.yml).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import (
    apex_fits,
    apex_for,
    apexes,
    cudas,
    of_its_time,
)

FULL, CPP, PYTHON = "full", "cpp", "python"
# The version that every release of NVIDIA's calls itself.
VERSION = "0.1"


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    :param ref: of the repository; empty for the one that fits torch.
    :param build: FULL (C++ and CUDA), CPP or PYTHON. contrib: names of further switches.
    :param allow_minor: whether nvcc may be of another minor version than torch's CUDA.
    """

    ref: str = ""
    build: str = FULL
    contrib: Sequence[str] = ()
    allow_minor: bool = False


@dataclass
class Build:
    """What comes of it.

    :param switches: variables, and options for setup.py, which come in one of two scopes; as the ref wants it.
    :param extensions: the modules that must be there. nvcc_versions: those that will do; none where any will.
    :param problems: sentences about what cannot be.
    """

    ref: str = ""
    switches: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    scope: str = "command"
    substitutions: list[dict[str, str]] = field(default_factory=list)
    submodules: bool = False
    nvcc: bool = False
    nvcc_versions: list[str] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def build(wish: Wish, environment: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Decide how apex is built.

    :param environment: what the module environment_info returned, torch gathered.
    :param table: the content of data/apex.yml.
    :return: the fields of Build.
    """
    torch, python = environment["torch"], environment["python"]
    version = str(torch.get("version") or "").split("+", maxsplit=1)[0]
    ref = wish.ref or (apex_for(version) if version else "") or ""
    row = apexes().get(ref) or list(apexes().values())[-1]
    found = Build(ref=ref, problems=_problems(wish, ref, environment))
    fault = apex_fits(ref, python) if ref and python else None
    if fault:
        found.problems.append(f"apex {ref} cannot be built: {fault.replace('is planned', 'is here')}.")
    words = {FULL: ["cpp_ext", "cuda_ext"], CPP: ["cpp_ext"], PYTHON: []}[wish.build] + list(wish.contrib)
    if row["switches"] == "environment":
        found.switches = {f"APEX_{word.upper()}": "1" for word in words}
    else:
        found.options = [f"--{word}" for word in words]
        found.scope = "global" if row["switches"] == "global-option" else "command"
    extensions = table["extensions"]
    found.extensions = [
        module
        for kind in ("cpp", "cuda")
        if extensions[kind]["switch"] in words
        for module in extensions[kind]["modules"]
    ]
    found.submodules = any(name in table["contrib"]["submodules"] for name in wish.contrib)
    # Every release but the oldest asks nvcc for its version, whatever is built.
    found.nvcc = True
    own = str(torch.get("cuda") or "")
    if own and (wish.build == FULL or wish.contrib):
        found.nvcc_versions = _alike(own) if wish.allow_minor else [own]
    if wish.allow_minor and wish.build == FULL:
        check = next(check for check in table["checks"] if check["check"] == row["check"])
        found.substitutions = [{"file": "setup.py", "text": check["text"], "by": check["by"]}]
    return asdict(found)


def _alike(cuda: str) -> list[str]:
    """The minors of toolkits of the same major version, the wanted one last."""
    major = f"{cuda.split('.', maxsplit=1)[0]}."
    return [minor for minor in cudas() if minor.startswith(major) and minor != cuda] + [cuda]


def _problems(wish: Wish, ref: str, environment: Mapping[str, Any]) -> list[str]:
    prefix, torch = environment["prefix"], environment["torch"]
    if not environment["exists"]:
        return list(environment["errors"])
    if "torch" not in environment["packages"]:
        return [f"torch is not installed in {prefix}; apex is built for it. Run the role torch first."]
    if not torch:
        return [error for error in environment["errors"] if error.startswith("torch")]
    found = []
    if not torch.get("cuda"):
        what = "AMD's GPUs" if torch.get("hip") else "CPUs"
        found.append(
            f"torch {torch['version']} in {prefix} is built for {what}, and apex is for torch with CUDA; leave "
            "apex out "
            "(apex_ref: none), or install such a torch."
        )
    version = str(torch["version"]).split("+", maxsplit=1)[0]
    if not ref:
        found.append(f"No apex is known that fits torch {version}; name one by its tag or commit (apex_ref).")
    if wish.ref in apexes() and not of_its_time(wish.ref, version) and not found:
        fitting = apex_for(version)
        if fitting and apexes()[fitting]["amp"] and not apexes()[wish.ref]["amp"]:
            found.append(
                f"apex {wish.ref} has no apex.amp any more, and torch {version} goes with apex {fitting}, which "
                "has it; "
                "name that, or leave apex_ref out."
            )
    return found


def contrib_problems(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """A sentence for each switch that apex does not have."""
    return [
        f"apex_contrib has {name!r}, which is no switch of apex; there are "
        f"{', '.join(difflib.get_close_matches(name, known, 3, 0.5) or known)}."
        for name in names
        if name not in known
    ]


def shortcomings(environment: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """What the apex of an environment lacks, a sentence each; none where every extension imports.

    :param environment: what the module environment_info returned, apex gathered.
    :param wanted: the modules that must be there.
    """
    prefix, apex = environment["prefix"], environment["apex"]
    if not apex:
        return [error for error in environment["errors"] if error.startswith("apex")]
    there = apex["extensions"]
    found = [
        f"The extension {name} of apex is not in {prefix}: it was not compiled. The log of the build tells why."
        for name in wanted
        if name not in there
    ]
    found += [
        f"The extension {name} of apex in {prefix} does not import ({reason}). It was built for another torch or CUDA; "
        "build it again."
        for name, reason in there.items()
        if reason
    ]
    return found


def namesake(version: str, table: Mapping[str, Any]) -> str:
    """A sentence where the package apex is not NVIDIA's; empty where it is, or where there is none."""
    other = table["namesake"]
    if any(f"{version}.".startswith(f"{known}.") for known in other["versions"]):
        return f"The package apex {version} that is installed here is {other['what']}; it is replaced."
    return ""
