# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a ref of NVIDIA apex is built for a torch, and whether the extensions are installed. Pure functions over plain
values.

The tables are C(data/apex.yml) and C(data/cuda.yml).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    apex_fits,
    apex_for,
    apex_rank,
    apex_row,
    apexes,
    cudas,
    of_its_time,
)

FULL, CPP, PYTHON = "full", "cpp", "python"
# The packages whose versions are recorded with a proof.
PROVED = ("apex", "torch")


class ApexRequestError(ValueError):
    """The request cannot be met; the text has a sentence for each reason."""


@dataclass(frozen=True)
class ApexRequest:
    """What is asked for; the names are those of the options of apex_decision.

    :param ref: of the repository; empty for the one that fits torch.
    :param build: FULL (C++ and CUDA), CPP or PYTHON. contrib: names of further switches.
    :param wheel: a file or an URL in place of a build.
    """

    prefix: str = ""
    ref: str = ""
    build: str = FULL
    contrib: Sequence[str] = ()
    allow_cuda_minor_mismatch: bool = False
    source: str = ""
    wheel: str = ""
    wheel_on_node: bool = False
    architectures: Sequence[str] = ()


@dataclass
class Build:
    """What comes of it.

    :param switches: variables, and options for setup.py, which come in one of two scopes; as the ref wants it.
    :param extensions: the modules that must be there. nvcc_versions: those that will do; none where any will.
    :param problems: sentences about what cannot be. remarks: about what is worth knowing.
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
    remarks: list[str] = field(default_factory=list)


def record(request: ApexRequest, environment: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for and where, without what was found: as long as neither changes, nothing is to do.

    :param environment: what the module environment_info returned.
    """
    return {
        "asked": request.wheel or [request.source, request.ref],
        "build": [request.build, *request.contrib],
        "allow_minor": request.allow_cuda_minor_mismatch,
        "architectures": list(request.architectures),
        "python": environment["python"],
    }


def due(request: ApexRequest, environment: Mapping[str, Any]) -> bool:
    """Whether this has not been proved yet with the apex and the torch that are installed.

    Extensions import only under the torch that they were built with.
    """
    installed = {name: environment["packages"][name] for name in PROVED if name in environment["packages"]}
    return bool(environment["records"].get("apex") != {**record(request, environment), "found": installed})


def decide(
    request: ApexRequest, environment: Mapping[str, Any], table: Mapping[str, Any], *, check: bool = False
) -> dict[str, Any]:
    """What apex_decision returns where something is to do.

    :param environment: what the module environment_info returned, torch gathered.
    :param table: the content of data/apex.yml.
    :param check: whether this is check mode, in which the roles before this one have installed nothing.
    :raises ApexRequestError: the request cannot be met.
    """
    found = build(request, environment, table)
    problems = found["problems"]
    if check:
        problems = contrib_problems(request.contrib, request.ref, table["contrib"]["switches"]) if request.ref else []
    if problems:
        raise ApexRequestError(" ".join(problems))
    by_git = request.source.startswith("git+")
    wheel = {
        "source": f"{request.source}@{found['ref']}" if by_git else request.source,
        "submodules": found["submodules"],
        "environment": found["switches"],
        "build_options": found["options"],
        "build_options_scope": found["scope"],
        "substitutions": found["substitutions"],
        "nvcc": found["nvcc"],
        "nvcc_versions": found["nvcc_versions"],
        "needs": ["compiler", "headers"],
    }
    copied = bool(request.wheel) and not request.wheel_on_node and "://" not in request.wheel
    return {
        "due": True,
        "build": {} if request.wheel else wheel,
        "copied": request.wheel if copied else "",
        "package": request.wheel or "apex==0.1",
        # Every apex of NVIDIA's calls itself 0.1, so that the version of one that is installed says nothing.
        "reinstall": "apex" in environment["packages"],
        "extensions": found["extensions"],
        "record": record(request, environment),
        "warnings": found["remarks"],
    }


def build(request: ApexRequest, environment: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """How apex is built.

    :param environment: what the module environment_info returned, torch gathered.
    :param table: the content of data/apex.yml.
    :return: the fields of Build.
    """
    torch, python = environment["torch"], environment["python"]
    version = str(torch.get("version") or "").split("+", maxsplit=1)[0]
    ref = request.ref or (apex_for(version) if version else "") or ""
    row = apex_row(ref)
    found = Build(ref=ref, problems=_problems(ref, environment))
    found.problems += contrib_problems(request.contrib, ref, table["contrib"]["switches"])
    found.remarks = namesake(environment["packages"].get("apex", ""), table) + _era(ref, version)
    fault = apex_fits(ref, python) if ref and python else None
    if fault:
        found.problems.append(f"apex {ref} cannot be built: {fault.replace('is planned', 'is here')}.")
    words = {FULL: ["cpp_ext", "cuda_ext"], CPP: ["cpp_ext"], PYTHON: []}[request.build] + list(request.contrib)
    if row["switches"] == "environment":
        found.switches = {f"APEX_{word.upper()}": "1" for word in words}
    else:
        found.options = [f"--{word}" for word in words]
        found.scope = "global" if row["switches"] == "global-option" else "command"
    switches = [table["extensions"]["cpp"], table["extensions"]["cuda"], *table["contrib"]["switches"]]
    asked = [switch for switch in switches if switch["switch"] in words]
    found.extensions = [module for switch in asked for module in switch["modules"]]
    found.submodules = any(switch.get("submodules") for switch in asked)
    # Every release asks nvcc for its version, whatever is built.
    found.nvcc = True
    own = str(torch.get("cuda") or "")
    if own and (request.build == FULL or request.contrib):
        found.nvcc_versions = _alike(own) if request.allow_cuda_minor_mismatch else [own]
    if request.allow_cuda_minor_mismatch and request.build == FULL:
        check = next(check for check in table["checks"] if check["check"] == row["check"])
        found.substitutions = [{"file": "setup.py", "text": check["text"], "by": check["by"]}]
    return asdict(found)


def _alike(cuda: str) -> list[str]:
    """The minors of toolkits of the same major version, the wanted one last."""
    major = f"{cuda.split('.', maxsplit=1)[0]}."
    return [minor for minor in cudas() if minor.startswith(major) and minor != cuda] + [cuda]


def _problems(ref: str, environment: Mapping[str, Any]) -> list[str]:
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
    return found


def _era(ref: str, torch: str) -> list[str]:
    """A sentence where a ref is for a different torch, which may compile or not."""
    fitting = apex_for(torch) if torch else None
    if ref not in apexes() or not fitting or of_its_time(ref, torch):
        return []
    lost = ", and has no apex.amp any more" if apexes()[fitting]["amp"] and not apexes()[ref]["amp"] else ""
    return [
        f"apex {ref} is for a different torch than {torch}, which goes with apex {fitting}{lost}; it is built anyway. "
        "Where it does not compile, leave apex_ref out."
    ]


def contrib_problems(names: Sequence[str], ref: str, switches: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each switch that apex, or the ref, does not have, and for each that is of no use without another.

    :param switches: the rows of data/apex.yml.
    """
    known = {str(row["switch"]): row for row in switches}
    found = []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.5) or known
            found.append(f"apex_contrib has {name!r}, which is no switch of apex; there are {', '.join(near)}.")
        elif not _has(ref, known[name]):
            row = known[name]
            what = f"has {name} from {row['from']} on" if _before(ref, row) else f"has no {name} any more"
            found.append(f"apex {what}, and {ref} is built here; take it out of apex_contrib, or correct apex_ref.")
        else:
            lacking = [other for other in known[name].get("with", ()) if other not in names and _has(ref, known[other])]
            if lacking:
                found.append(f"{name} in apex_contrib imports what {listed(lacking)} compiles; add that.")
    return found


def _before(ref: str, row: Mapping[str, Any]) -> bool:
    return "from" in row and apex_rank(ref) < apex_rank(row["from"])


def _has(ref: str, row: Mapping[str, Any]) -> bool:
    """Whether a ref has a switch."""
    return not _before(ref, row) and ("gone_from" not in row or apex_rank(ref) < apex_rank(row["gone_from"]))


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


def namesake(version: str, table: Mapping[str, Any]) -> list[str]:
    """A sentence where the package apex is not NVIDIA's; none where it is, or where there is none."""
    other = table["namesake"]
    if any(f"{version}.".startswith(f"{known}.") for known in other["versions"]):
        return [f"The package apex {version} that is installed here is {other['what']}; it is replaced."]
    return []
