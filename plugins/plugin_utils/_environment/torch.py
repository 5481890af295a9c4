# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packages make up a requested torch, and whether an environment has it. Pure functions over plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import RECORDS
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    Requirement,
    RequirementError,
    parse,
    version_key,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import torches

COMPANIONS = ("torchvision", "torchaudio")
# What the variables of the companions may say instead of a version.
AUTO, NONE = "auto", "none"
_BUILD = re.compile(r"^(cpu|xpu|cu\d{2,3}|rocm\d+(\.\d+)*)?$")


class TorchRequestError(ValueError):
    """The request contradicts itself or cannot be read; the text is a sentence for the user."""


@dataclass(frozen=True)
class TorchRequest:
    """What is asked for; the names are those of the options of torch_decision."""

    prefix: str
    version: str
    torchvision: str = AUTO
    torchaudio: str = AUTO
    build: str = ""
    wheels: Sequence[str] = ()
    wheels_on_node: bool = False


def spelled(text: str) -> tuple[str, str]:
    """A version of torch and its tag as wheels spell them: 2.0 is 2.0.0, V2.0.1+CU117 is 2.0.1 with cu117."""
    version, _plus, tag = text.strip().lower().removeprefix("v").partition("+")
    if re.fullmatch(r"\d+\.\d+", version) and numbers(version) <= numbers(list(torches())[-1]):
        # As pip reads it.
        version = f"{version}.0"
    return version, spelled_build(tag)


def spelled_build(text: str) -> str:
    """The tag of a build as wheels spell it: CU117 is cu117."""
    # As the wheels of 2.1 for PyPI called themselves.
    return re.sub(r"[.-]with[.-]pypi[.-]cudnn$", "", text.strip().lower())


def decide(request: TorchRequest, environment: Mapping[str, Any]) -> dict[str, Any]:
    """What torch_decision returns.

    :param environment: what the module environment_info returned.
    :raises TorchRequestError: the request cannot be met, whatever is installed.
    """
    folder = f"{request.prefix}/{RECORDS}/wheels"
    copied = [] if request.wheels_on_node else [wheel for wheel in request.wheels if "://" not in wheel]
    wheels = [f"{folder}/{wheel.rpartition('/')[2]}" if wheel in copied else wheel for wheel in request.wheels]
    version, tag = spelled(request.version)
    versions = {
        "torch": f"{version}+{tag}" if tag else version,
        "torchvision": request.torchvision.strip(),
        "torchaudio": request.torchaudio.strip(),
    }
    build = spelled_build(request.build)
    found, left_out = companions(versions, build, wheels, environment["python"], environment["machine"])
    asked = packages(found, build, wheels)
    trio = ("torch", *COMPANIONS)
    installed = {name: environment["packages"][name] for name in trio if name in environment["packages"]}
    record = {"asked": asked}
    return {
        "packages": asked,
        "left_out": left_out,
        "copied": copied,
        "record": record,
        "due": environment["records"].get("torch") != {**record, "found": installed},
    }


def _exact(name: str, version: str, build: str) -> str:
    try:
        local = version_key(version)[1]
    except RequirementError as error:
        variable = "torch_version" if name == "torch" else f"torch_{name}_version"
        raise TorchRequestError(f"{variable}: {error}") from error
    if local and build and local != build:
        raise TorchRequestError(
            f"{name} {version} is not a build for {build}; give the tag once, in the version or in torch_build."
        )
    return f"{name}=={version}{f'+{build}' if build and not local else ''}"


def left_out(companion: str, torch: str, build: str, python: str = "", machine: str = "") -> str | None:
    """Why a torch has no torchvision or torchaudio, as a sentence; none where it has.

    :param companion: torchvision or torchaudio. torch: a version, with or without a local tag.
    :param build: the tag of a version that has none; empty: any.
    :param python: 3.12 or 3.12.4; empty: not known yet. machine: x86_64 or aarch64; empty: not known yet.
    """
    release, _plus, tag = torch.partition("+")
    build = build or tag
    row = torches().get(release)
    if row is None or not row.get(companion):
        return (
            f"{companion} is left out: which one belongs to torch {torch} is not known here; "
            f"set torch_{companion}_version to install one."
        )
    # A release that serves several releases of torch has the builds and the Pythons of the first of them.
    home = next(each for each in torches().values() if each[companion] == row[companion])
    where = ""
    if python and minor(python) in (*row.get("python_torch_only", ()), *home.get("python_torch_only", ())):
        where = f"for Python {minor(python)}"
    elif build and build in row["builds"] and build not in home["builds"]:
        where = f"for the build {build}"
    elif machine and companion in row.get(f"{machine}_without", ()):
        where = f"for {machine}"
    if not where:
        return None
    return (
        f"{companion} is left out: there is no {companion} {row[companion]}, which belongs to torch {torch}, {where}."
    )


def companions(
    versions: Mapping[str, str], build: str, wheels: Sequence[str] = (), python: str = "", machine: str = ""
) -> tuple[dict[str, str], list[str]]:
    """The versions of torch, torchvision and torchaudio that a request stands for, and a sentence for what is left out.

    A version C(auto) is the one that belongs to the torch; C(none) and an empty one leave a package out, without a
    sentence. Where the user gives a wheel of torch, C(auto) takes nothing from elsewhere.

    :param versions: torch, torchvision, torchaudio -> version. build, wheels: see L(packages).
    :param python, machine: see L(left_out).
    :raises TorchRequestError: the name of a wheel cannot be read.
    """
    held = _held(wheels)
    torch = held.get("torch") or versions["torch"]
    found = {"torch": versions["torch"]}
    sentences = []
    for name in COMPANIONS:
        version = versions.get(name, "")
        if name in held or version.lower() in ("", NONE):
            continue
        if version.lower() != AUTO:
            found[name] = version
            continue
        reason = left_out(name, torch, build, python, machine)
        if "torch" in held:
            reason = (
                f"{name} is left out: torch_wheels has a torch and no {name}; add its wheel there, or set "
                f"torch_{name}_version to install it from an index."
            )
        if reason:
            sentences.append(reason)
        else:
            found[name] = torches()[torch.partition("+")[0]][name]
    return found, sentences


def _held(wheels: Sequence[str]) -> dict[str, str]:
    """What wheels hold: name -> version."""
    try:
        return {requirement.name: requirement.version for requirement in map(parse, wheels)}
    except RequirementError as error:
        raise TorchRequestError(f"torch_wheels: {error}") from error


def packages(versions: Mapping[str, str], build: str, wheels: Sequence[str] = ()) -> list[str]:
    """The requirements that stand for a wish.

    :param versions: torch, torchvision, torchaudio -> version, with or without a local tag; empty: not wanted.
    :param build: the local tag of versions that have none; empty: whatever build the index gives.
    :param wheels: files or URLs that take the place of the versions of what they hold.
    :raises TorchRequestError: a version or a build cannot be read, or they contradict each other.
    """
    if not _BUILD.match(build):
        raise TorchRequestError(f"torch_build is {build!r}; it must be cpu, one such as cu130 or rocm6.4, or empty.")
    held = _held(wheels)
    named = [_exact(name, str(version), build) for name, version in versions.items() if version and name not in held]
    return [*wheels, *named]


def _build_problem(tag: str, torch: Mapping[str, Any]) -> str | None:
    """Whether torch's libraries are those that its tag says."""
    cuda, hip = torch.get("cuda"), torch.get("hip")
    if tag == "cpu" and (cuda or hip):
        return f"it computes with {'CUDA ' + cuda if cuda else 'ROCm ' + str(hip)}"
    if tag.startswith("cu"):
        wanted = f"{tag[2:-1]}.{tag[-1]}"
        return None if cuda == wanted else f"its CUDA is {cuda or 'none'}, not {wanted}"
    if tag.startswith("rocm"):
        wanted = tag[len("rocm") :]
        return None if str(hip or "").startswith(wanted) else f"its ROCm is {hip or 'none'}, not {wanted}"
    return None


def problems(environment: Mapping[str, Any], requirements: Sequence[str]) -> list[str]:
    """One sentence for each way in which an environment is not what was asked for.

    :param environment: what the module environment_info returned, torch gathered.
    :param requirements: as L(packages) returned them.
    """
    prefix = environment["prefix"]
    if not environment["exists"]:
        return list(environment["errors"])
    found: list[str] = []
    wanted: dict[str, Requirement] = {requirement.name: requirement for requirement in map(parse, requirements)}
    for name, requirement in wanted.items():
        version = environment["packages"].get(name)
        if version is None:
            found.append(f"{name} is not installed in {prefix}.")
        elif not requirement.accepts(version) and not requirement.file:
            found.append(f"{prefix} has {name} {version}, not {requirement.text}.")
    torch = environment["torch"]
    if not torch:
        mine = [error for error in environment["errors"] if not error.startswith(COMPANIONS)]
        return found + [error for error in mine if error not in found]
    if not requirement_met(wanted["torch"], torch["version"]):
        found.append(f"torch in {prefix} says that it is {torch['version']}, not {wanted['torch'].version}.")
    tag = version_key(torch["version"])[1]
    problem = _build_problem(tag, torch)
    if problem:
        found.append(f"torch {torch['version']} in {prefix} is not the build that its tag says: {problem}.")
    return found + _unusable(environment, [name for name in COMPANIONS if name in wanted])


def _unusable(environment: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """A sentence for each companion that is installed and does not import beside this torch."""
    found = []
    for name in wanted:
        version = environment["packages"].get(name)
        reason = next((error for error in environment["errors"] if error.startswith(f"{name} is of no use")), None)
        if version and reason:
            found.append(
                f"{name} {version} does not work with torch {environment['torch']['version']} in "
                f"{environment['prefix']}: {reason.partition(': ')[2]} Install both from one index or folder "
                f"(torch_index_url, torch_find_links), or leave it out (torch_{name}_version: none)."
            )
    return found


def requirement_met(requirement: Requirement, version: str) -> bool:
    """As Requirement.accepts, but a file whose name has no tag may hold any build."""
    if requirement.file and "+" not in requirement.version:
        version = version.split("+", 1)[0]
    return requirement.accepts(version)
