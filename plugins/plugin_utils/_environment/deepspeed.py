# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a requested DeepSpeed with its ops takes to build and to install. Pure functions over plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import RECORDS
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import build_packages
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_ops import Circumstances, choose
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import (
    build_problems,
    problems,
    switches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import toolkits_for

# The packages whose versions are recorded with a proof.
PROVED = ("deepspeed", "torch")
# What compiles an op, at a build and at a run.
_COMPILES = ("compiler", "headers", "ninja")
# What the build of DeepSpeed imports beside what that of any extension of torch does.
_IMPORTS = ("psutil", "py-cpuinfo")


class DeepSpeedRequestError(ValueError):
    """The request cannot be met; the text has a sentence for each reason."""


@dataclass(frozen=True)
class DeepSpeedRequest:
    """What is asked for; the names are those of the options of deepspeed_decision.

    :param source: to build in place of the version. wheel: a file or an URL in place of both.
    :param ops: op -> true, false or auto. switches: DS_BUILD_* -> 1 or 0. variables: others of the build.
    :param system: whether packages of the system can be installed. compiler: auto, always or never, whether one is.
    """

    prefix: str
    version: str
    source: str = ""
    wheel: str = ""
    wheel_on_node: bool = False
    find_links: Sequence[str] = ()
    ops: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    architectures: Sequence[str] = ()
    accelerator: str = "auto"
    cuda_home: str = "auto"
    system: bool = True
    compiler: str = "auto"


def copied(request: DeepSpeedRequest) -> str:
    """The path on the control node of a wheel that has to be copied; empty where there is none."""
    return request.wheel if not request.wheel_on_node and "://" not in request.wheel else ""


def package(request: DeepSpeedRequest) -> str:
    """What is installed where nothing is built."""
    if copied(request):
        return f"{request.prefix}/{RECORDS}/wheels/{request.wheel.rpartition('/')[2]}"
    return request.wheel or f"deepspeed=={request.version}"


def record(request: DeepSpeedRequest, environment: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for and where, without what was found: as long as neither changes, nothing is to do.

    :param environment: what the module environment_info returned.
    :raises SwitchError: a switch cannot be used.
    """
    given = switches(request.switches)
    return {
        "asked": request.source or package(request),
        # Another way to prove it makes each node prove it once more.
        "proof": "loaded",
        "ops": dict(request.ops),
        "switches": given,
        "variables": dict(request.variables),
        "architectures": list(request.architectures) if request.ops or given or request.source else [],
        "accelerator": request.accelerator,
        "compiler": request.compiler,
        "python": environment["python"],
    }


def due(request: DeepSpeedRequest, environment: Mapping[str, Any]) -> bool:
    """Whether this has not been proved yet with the DeepSpeed and the torch that are installed.

    Built ops load only under the torch that they were built with.
    """
    installed = {name: environment["packages"][name] for name in PROVED if name in environment["packages"]}
    return bool(environment["records"].get("deepspeed") != {**record(request, environment), "found": installed})


def decide(
    request: DeepSpeedRequest,
    environment: Mapping[str, Any],
    facts: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    *,
    check: bool = False,
) -> dict[str, Any]:
    """What deepspeed_decision returns where something is to do.

    :param environment: what the module environment_info returned, torch and deepspeed gathered.
    :param facts: of the node: os_family and distribution_major_version.
    :param tables: the contents of data/deepspeed_ops.yml and data/build_packages.yml.
    :param check: whether this is check mode, in which the roles before this one have installed nothing.
    :raises DeepSpeedRequestError: the request cannot be met.
    """
    choice = choose(request.ops, switches(request.switches), _circumstances(request, environment), tables["ops"]["ops"])
    # Wheels have been built elsewhere: switches then say what they must provide.
    ready_made = bool(request.wheel or request.find_links)
    builds = not ready_made and (bool(request.source) or "1" in choice["switches"].values())
    obstacles = [] if check else _obstacles(request, environment, choice["switches"] if builds else {})
    if choice["problems"] or obstacles:
        raise DeepSpeedRequestError(" ".join([*choice["problems"], *obstacles]))
    version = "" if request.wheel or request.source else request.version
    differs = bool(request.source or problems(environment, version, choice["switches"]))
    run_needs = [need for need in choice["run_packages"] if need != "compiler" or request.compiler != "never"]
    names = build_packages.packages
    table = tables["packages"]
    return {
        "due": True,
        "build": _build(request, environment, choice) if builds else {},
        "copied": copied(request),
        "package": package(request),
        # A version that matches is installed again where its ops are others, or its source may be another.
        "reinstall": "deepspeed" in environment["packages"] and differs,
        "version": version,
        "switches": choice["switches"],
        "compatible": choice["compatible"],
        "left_out": [f"{op} is left out: {reason}." for op, reason in choice["left_out"].items()],
        "run_packages": names(run_needs, facts, environment, table) if request.system else [],
        "run_python_packages": choice["run_python_packages"],
        "compile_packages": names(_COMPILES, facts, environment, table) if request.system else [],
        "headers_advice": build_packages.advice(facts, environment, table),
        "record": record(request, environment),
    }


def _circumstances(request: DeepSpeedRequest, environment: Mapping[str, Any]) -> Circumstances:
    return Circumstances(
        version="" if request.source else request.version,
        accelerator=_accelerator(request.accelerator, environment["torch"]),
        architectures=request.architectures,
        system=request.system,
        variables=request.variables,
    )


def _accelerator(given: str, torch: Mapping[str, Any]) -> str:
    """What the nodes compute on; empty where torch has to say so and is not installed yet."""
    if given != "auto":
        return given
    if not torch:
        return ""
    return "cuda" if torch.get("cuda") else "rocm" if torch.get("hip") else "cpu"


def _obstacles(request: DeepSpeedRequest, environment: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    listed = {"TORCH_CUDA_ARCH_LIST": ";".join(request.architectures)} if request.architectures else {}
    return build_problems(environment, given, {**request.variables, **listed})


def _build(request: DeepSpeedRequest, environment: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Options of wheel_build."""
    accelerator = {"auto": {}, "cpu": {"DS_ACCELERATOR": "cpu"}}.get(request.accelerator, {"DS_ACCELERATOR": "cuda"})
    return {
        "source": request.source or f"deepspeed=={request.version}",
        "environment": {
            "DS_ENABLE_NINJA": "1",
            **accelerator,
            **choice["variables"],
            **request.variables,
            **choice["flags"],
            **choice["switches"],
        },
        "cuda_home": str(request.variables.get("CUDA_HOME", request.cuda_home)) if choice["nvcc"] else "",
        "nvcc": choice["nvcc"],
        "nvcc_versions": _nvcc_versions(request, environment, choice),
        "architectures": [] if request.accelerator == "cpu" else list(request.architectures),
        "native": choice["native"],
        "needs": [*_COMPILES, *choice["packages"]],
        "requirements": [*_IMPORTS, *choice["python_packages"]],
    }


def _nvcc_versions(request: DeepSpeedRequest, environment: Mapping[str, Any], choice: Mapping[str, Any]) -> list[str]:
    """The versions of nvcc that will do; none where any will."""
    cuda = str(environment["torch"].get("cuda") or "")
    # With that variable DeepSpeed compares nothing, and torch only the major versions.
    unbound = str(request.variables.get("DS_SKIP_CUDA_CHECK", "0")) == "1"
    if not choice["nvcc"] or unbound or not cuda or request.source:
        return []
    return list(toolkits_for(request.version, cuda))
