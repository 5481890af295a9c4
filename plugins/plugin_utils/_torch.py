# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packages make up a wished torch, and whether an environment has it. Pure functions over plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._requirements import (
    Requirement,
    RequirementError,
    parse,
    version_key,
)

_BUILD = re.compile(r"^(cpu|xpu|cu\d{2,3}|rocm\d+(\.\d+)*)?$")


class TorchWishError(ValueError):
    """The wish contradicts itself or cannot be read; the text is a sentence for the user."""


def _exact(name: str, version: str, build: str) -> str:
    try:
        local = version_key(version)[1]
    except RequirementError as error:
        variable = "torch_version" if name == "torch" else f"torch_{name}_version"
        raise TorchWishError(f"{variable}: {error}") from error
    if local and build and local != build:
        raise TorchWishError(
            f"{name} {version} is not a build for {build}; give the tag once, in the version or in torch_build."
        )
    return f"{name}=={version}{f'+{build}' if build and not local else ''}"


def packages(versions: Mapping[str, str], build: str, wheels: Sequence[str] = ()) -> list[str]:
    """The requirements that stand for a wish.

    :param versions: torch, torchvision, torchaudio -> version, with or without a local tag; empty: not wanted.
    :param build: the local tag of versions that have none; empty: whatever build the index gives.
    :param wheels: files or URLs that take the place of the versions of what they hold.
    :raises TorchWishError: a version or a build cannot be read, or they contradict each other.
    """
    if not _BUILD.match(build):
        raise TorchWishError(f"torch_build is {build!r}; it must be cpu, one such as cu130 or rocm6.4, or empty.")
    try:
        held = {parse(wheel).name for wheel in wheels}
    except RequirementError as error:
        raise TorchWishError(f"torch_wheels: {error}") from error
    named = [_exact(name, str(version), build) for name, version in versions.items() if version and name not in held]
    return [*wheels, *named]


def names(requirements: Sequence[str]) -> list[str]:
    """The names of the packages of requirements."""
    return sorted({parse(text).name for text in requirements})


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
        return found + [error for error in environment["errors"] if error not in found]
    if not requirement_met(wanted["torch"], torch["version"]):
        found.append(f"torch in {prefix} says that it is {torch['version']}, not {wanted['torch'].version}.")
    tag = version_key(torch["version"])[1]
    problem = _build_problem(tag, torch)
    if problem:
        found.append(f"torch {torch['version']} in {prefix} is not the build that its tag says: {problem}.")
    return found


def requirement_met(requirement: Requirement, version: str) -> bool:
    """As Requirement.accepts, but a file whose name has no tag may hold any build."""
    if requirement.file and "+" not in requirement.version:
        version = version.split("+", 1)[0]
    return requirement.accepts(version)
