# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user wishes for: read from whatever an inventory holds, with a sentence for each wish that cannot be read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import spelled, spelled_build
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    apexes,
    branches,
    cuda_releases,
    cudas,
    deepspeeds,
    pythons,
    stacks,
    torches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import APART, VARIABLES, Reader
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark

ACCELERATORS = ("cuda", "rocm", "cpu")
_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm\d+(\.\d+){0,2}")
_COMPOSED = re.compile(r"torch-(\d+\.\d+\.\d+\S*)-(cpu|cu\d{2,3}|rocm\d[\d.]*)")
_DRIVER = re.compile(r"\d{3}(\.\d+){1,3}")


@dataclass(frozen=True)
class Wishes:
    """What is wished for, as text; empty where nothing is. apex: a ref, 'fitting', 'none' or empty."""

    stack: str = ""
    accelerator: str = ""
    python: str = ""
    torch: str = ""
    torch_build: str = ""
    cuda: str = ""
    deepspeed: str = ""
    apex: str = ""
    apex_mismatch: bool = False
    driver_branch: str = ""
    driver_version: str = ""
    bf16: bool = False


@dataclass(frozen=True)
class Reading:
    """Wishes, what could not be read of them, what is to be known, and what may be meant by what is not known."""

    wishes: Wishes
    faults: tuple[Remark, ...]
    warnings: tuple[str, ...]
    meant: Mapping[str, Sequence[str]]


def _tag(reader: Reader, name: str, value: str) -> str:
    """The tag of a build; 11.7, cu11.7 and cuda117 are told what they would be."""
    if not value or _BUILD.fullmatch(value):
        return value
    digits = re.sub(r"\D", "", value)
    hint = f"; cu{digits} may be meant" if re.fullmatch(r"(cu|cuda)?-?\d+\.?\d", value) else ""
    reader.complain(
        name, f"{VARIABLES[name]} asks for the build {value!r}; a build is cpu, or one such as cu126 or rocm7.2{hint}."
    )
    return ""


def _torch(reader: Reader) -> tuple[str, str]:
    """torch_version with its tag, and torch_build."""
    text = reader.text("torch", torches())
    version, tag = spelled(text)
    tag = _tag(reader, "torch", tag)
    build = _tag(reader, "torch_build", spelled_build(reader.text("torch_build")))
    if tag and build and tag != build:
        said = (
            f"torch_version is {text!r} and torch_build is {build!r}, which contradict each other; give the build once."
        )
        reader.complain("torch_build", said)
    return reader.version("torch", version, torches(), "torch"), tag or build


def _apex(reader: Reader) -> str:
    value = reader.given.get("apex")
    text = "" if value is None else str(value).strip()
    if text.lower() in ("", "auto"):
        return ""
    if text.lower() == "none" or truth(value) is not None:
        return "fitting" if truth(value) else "none"
    if isinstance(value, (list, tuple, Mapping)):
        reader.complain(
            "apex", f"{VARIABLES['apex']} is {value!r}; it must be a ref of apex's repository, true or false."
        )
        return ""
    ref = f"{value:.2f}" if isinstance(value, float) else text
    if ref not in apexes():
        reader.warnings.append(f"Nothing is known about apex {ref}; it is taken as it is.")
    return ref


def _cuda(reader: Reader) -> str:
    text = reader.text("cuda", [*cudas(), *cuda_releases()])
    if text in cuda_releases():
        return text
    if re.fullmatch(r"\d+", text):
        newest = [cuda for cuda in cudas() if cuda.startswith(f"{text}.")][-1:]
        such = f" such as {newest[0]}" if newest else ""
        reader.complain(
            "cuda", f"{VARIABLES['cuda']} begins with {text!r}, which names no minor version; give one{such}."
        )
        return ""
    if re.fullmatch(r"\d+\.\d+\.\d+", text) and minor(text) in cudas():
        reader.warnings.append(f"Nothing is known about the release {text} of CUDA; it is taken as it is.")
        return text
    return reader.version("cuda", text, cudas(), "CUDA")


def _driver(reader: Reader) -> tuple[str, str]:
    branch = reader.version("driver_branch", reader.text("driver_branch"), branches(), "driver branch")
    version = reader.text("driver_version")
    if version and not _DRIVER.fullmatch(version):
        hint = f"; for any of a branch, set {VARIABLES['driver_branch']}" if version in branches() else ""
        reader.complain("driver_version", f"{VARIABLES['driver_version']} is {version!r}; one is 580.95.05{hint}.")
        version = ""
    if branch and version and major(version) != branch:
        said = f"nvidia_driver_version {version} is not of nvidia_driver_branch {branch}; give one of both."
        reader.complain("driver_version", said)
        version = ""
    if version:
        # A version has its branch, so there is none to be guessed.
        reader.meant.pop("driver_branch", None)
    return branch, version


def _newer(torch: str) -> bool:
    """Whether a torch is newer than all that are known."""
    return bool(re.fullmatch(r"[\d.]+", torch)) and numbers(torch) > numbers(list(torches())[-1])


def _stack(reader: Reader) -> tuple[str, str, str]:
    """The stack with its torch and its build. The name that a plan had, torch-2.2.1-cu121, stands for both."""
    text = reader.text("stack")
    row = stacks().get(text)
    if row:
        return text, str(row["torch"]), str(row["build"])
    composed = _COMPOSED.fullmatch(text)
    if composed and (composed[1] in torches() or APART.fullmatch(composed[1]) or _newer(composed[1])):
        return text, composed[1], composed[2]
    if text:
        near = difflib.get_close_matches(text, stacks(), 3, 0.4) or list(stacks())[-3:]
        reader.meant["stack"] = near
        reader.complain("stack", f"There is no stack {text!r} ({VARIABLES['stack']}); near it are {', '.join(near)}.")
    return "", "", ""


def _flag(given: Mapping[str, Any], name: str) -> bool:
    return bool(truth(given.get(name)))


def read(given: Mapping[str, Any]) -> Reading:
    """The wishes of a mapping; see the filter resolve_stack for its keys."""
    reader = Reader(given)
    for name in given:
        if name not in VARIABLES:
            near = difflib.get_close_matches(str(name), VARIABLES, 1)
            reader.complain(
                str(name), f"There is no wish {str(name)!r}{f'; {near[0]!r} may be meant' if near else ''}."
            )
    accelerator = reader.text("accelerator").lower()
    if accelerator and accelerator not in ACCELERATORS:
        said = f"{VARIABLES['accelerator']} is {accelerator!r}; it must be auto, cuda, rocm or cpu."
        reader.complain("accelerator", said)
        accelerator = ""
    stack, own_torch, own_build = _stack(reader)
    torch, build = _torch(reader)
    for name, wished, own in (("torch", torch, own_torch), ("torch_build", build, own_build)):
        if wished and own and wished != own:
            what = "torch" if name == "torch" else "the build"
            said = f"{VARIABLES['stack']} {stack!r} has {what} {own}, and {wished} is asked for; leave one of both out."
            reader.complain(name, said)
    python = reader.text("python", pythons())
    if not reader.version("python", minor(python), pythons(), "python"):
        python = ""
    branch, version = _driver(reader)
    wishes = Wishes(
        stack=stack,
        accelerator=accelerator,
        python=python,
        torch=own_torch or torch,
        torch_build=own_build or build,
        cuda=_cuda(reader),
        deepspeed=reader.version("deepspeed", reader.text("deepspeed", deepspeeds()), deepspeeds(), "DeepSpeed"),
        apex=_apex(reader),
        apex_mismatch=_flag(given, "apex_mismatch"),
        driver_branch=branch,
        driver_version=version,
        bf16=_flag(given, "bf16"),
    )
    return Reading(wishes, tuple(reader.faults), tuple(reader.warnings), reader.meant)
