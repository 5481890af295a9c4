# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user wishes for: read from whatever an inventory holds, with a sentence for each wish that cannot be read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import (
    apexes,
    branch_of,
    branches,
    cuda_releases,
    cudas,
    deepspeeds,
    key,
    minor,
    pythons,
    stacks,
    torches,
)

# The variables that users set, by the names that wishes have here.
VARIABLES = {
    "stack": "cluster_stack",
    "accelerator": "cluster_accelerator",
    "python": "conda_python_version",
    "torch": "torch_version",
    "torch_build": "torch_build",
    "cuda": "cuda_toolkit_versions",
    "deepspeed": "deepspeed_version",
    "apex": "apex_version",
    "driver_branch": "nvidia_driver_branch",
    "driver_version": "nvidia_driver_version",
    "bf16": "bf16",
}
ACCELERATORS = ("cuda", "rocm", "cpu")
_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm\d+(\.\d+){0,2}")
_NONE = ("", "auto", "none", "null", "omit")
_COMPOSED = re.compile(r"torch-(\d+\.\d+\.\d+)-(cpu|cu\d{2,3}|rocm\d[\d.]*)")


@dataclass(frozen=True)
class Complaint:
    """Why something cannot be. text has {hosts} where the nodes belong."""

    subject: str
    text: str
    hosts: tuple[str, ...] = ()


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
    driver_branch: str = ""
    driver_version: str = ""
    bf16: bool = False


@dataclass(frozen=True)
class Reading:
    """Wishes with what could not be read of them, and what is to be known."""

    wishes: Wishes
    complaints: tuple[Complaint, ...]
    warnings: tuple[str, ...]


class _Reader:
    """Reads one mapping, and keeps what it has to say."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.complaints: list[Complaint] = []
        self.warnings: list[str] = []

    def complain(self, subject: str, text: str) -> None:
        self.complaints.append(Complaint(subject, text))

    def text(self, name: str, known: Iterable[str] = ()) -> str:
        """A wish as text. A number lost the zeros at its end, so it is refused where that may have changed it."""
        value = self.given.get(name)
        if isinstance(value, (bool, list, tuple, Mapping)):
            self.complain(name, f"{VARIABLES[name]} is {value!r}; it must be one version as text.")
            return ""
        text = "" if value is None else str(value).strip()
        if text.lower() in _NONE:
            return ""
        longer = f"{text}0"
        if isinstance(value, float):
            if any(item == longer or item.startswith(f"{longer}.") for item in known):
                self.complain(
                    name,
                    f"{VARIABLES[name]} is the number {text}, and YAML reads {longer} without quotes as that too; "
                    f"write the one that is meant in quotes.",
                )
                return ""
            self.warnings.append(
                f"{VARIABLES[name]} is the number {text}; write it in quotes, since YAML reads {longer} without them "
                "as the same."
            )
        return text

    def known(self, name: str, text: str, known: Iterable[str], what: str) -> str:
        """A version that is known, or newer than all that are; else a complaint with the nearest."""
        versions = list(known)
        if not text or text in versions:
            return text
        if not re.fullmatch(r"\d+(\.\d+)*", text):
            self.complain(
                name, f"{VARIABLES[name]} is {text!r}, which is no version of {what}{_nearest(text, versions)}."
            )
            return ""
        if key(text) > key(versions[-1]):
            self.warnings.append(
                f"Nothing is known about {what} {text}; it is taken as it is, with the rules of {versions[-1]}."
            )
            return text
        trap = f"{text}0"
        hint = (
            f"; {trap} without quotes arrives as {text}"
            if any(v == trap or v.startswith(f"{trap}.") for v in versions)
            else ""
        )
        self.complain(name, f"There is no {what} {text} ({VARIABLES[name]}){_nearest(text, versions)}{hint}.")
        return ""


def _nearest(text: str, versions: list[str]) -> str:
    near = difflib.get_close_matches(text, versions, 3, 0.5)
    if re.fullmatch(r"\d+(\.\d+)*", text):
        below = [version for version in versions if key(version) < key(text)][-1:]
        above = [version for version in versions if key(version) > key(text)][:1]
        near = [*below, *above]
    return f"; the nearest are {', '.join(near)}" if len(near) > 1 else f"; the nearest is {near[0]}" if near else ""


def _torch(reader: _Reader) -> tuple[str, str]:
    """torch_version with its tag, and torch_build."""
    text = reader.text("torch", torches())
    build = reader.text("torch_build").lower()
    version, plus, tag = text.removeprefix("v").partition("+")
    if (
        re.fullmatch(r"\d+\.\d+", version)
        and version not in torches()
        and key(f"{version}.0") <= key(list(torches())[-1])
    ):
        # As pip reads it.
        version = f"{version}.0"
    for name, value in (("torch", tag if plus else ""), ("torch_build", build)):
        if value and not _BUILD.fullmatch(value):
            reader.complain(
                name,
                f"{VARIABLES[name]} asks for the build {value!r}; a build is cpu, or one such as cu126 or rocm7.2.",
            )
    if tag and build and tag != build:
        reader.complain(
            "torch_build",
            f"torch_version is {text!r} and torch_build is {build!r}, which contradict each other; give it once.",
        )
    build = next((value for value in (tag, build) if _BUILD.fullmatch(value)), "")
    return reader.known("torch", version, torches(), "torch"), build


def _apex(reader: _Reader) -> str:
    value = reader.given.get("apex")
    if value is None or str(value).strip() in ("", "auto"):
        return ""
    if str(value).strip().lower() in ("true", "yes"):
        return "fitting"
    if str(value).strip().lower() in ("false", "no", "none"):
        return "none"
    ref = f"{value:.2f}" if isinstance(value, float) else str(value).strip()
    if ref not in apexes():
        reader.warnings.append(f"Nothing is known about apex {ref}; it is taken as it is.")
    return ref


def _cuda(reader: _Reader) -> str:
    text = reader.text("cuda", [*cudas(), *cuda_releases()])
    if text in cuda_releases():
        return text
    if re.fullmatch(r"\d+", text):
        newest = [cuda for cuda in cudas() if cuda.startswith(f"{text}.")][-1:]
        such = f" such as {newest[0]}" if newest else ""
        reader.complain(
            "cuda", f"cuda_toolkit_versions begins with {text!r}, which names no minor version; give one{such}."
        )
        return ""
    if re.fullmatch(r"\d+\.\d+\.\d+", text) and minor(text) in cudas():
        reader.warnings.append(f"Nothing is known about the release {text} of CUDA; it is taken as it is.")
        return text
    return reader.known("cuda", text, cudas(), "CUDA")


def _driver(reader: _Reader) -> tuple[str, str]:
    branch, version = reader.text("driver_branch"), reader.text("driver_version")
    branch = reader.known("driver_branch", branch, branches(), "driver branch")
    if version and not re.fullmatch(r"\d{3}(\.\d+){1,3}", version):
        reader.complain("driver_version", f"nvidia_driver_version is {version!r}; it must be one such as 580.95.05.")
        version = ""
    if branch and version and branch_of(version) != branch:
        reader.complain(
            "driver_version",
            f"nvidia_driver_version {version} is not of nvidia_driver_branch {branch}; give one of both.",
        )
    return branch, version


def _stack(reader: _Reader) -> tuple[str, str, str]:
    """The stack with its torch and its build. A composed name, torch-2.2.1-cu121, stands for the two."""
    text = reader.text("stack")
    row = stacks().get(text)
    if row:
        return text, str(row["torch"]), str(row["build"])
    composed = _COMPOSED.fullmatch(text)
    if composed and composed[1] in torches():
        return "", composed[1], composed[2]
    if text:
        near = difflib.get_close_matches(text, stacks(), 3, 0.4) or list(stacks())[-3:]
        reader.complain("stack", f"There is no stack {text!r} (cluster_stack); near it are {', '.join(near)}.")
    return "", "", ""


def read(given: Mapping[str, Any]) -> Reading:
    """The wishes of a mapping; see DOCUMENTATION of the filter for its keys."""
    reader = _Reader(given)
    for name in given:
        if name not in VARIABLES:
            near = difflib.get_close_matches(str(name), VARIABLES, 1)
            reader.complain(
                str(name), f"There is no wish {str(name)!r}{f'; {near[0]!r} may be meant' if near else ''}."
            )
    accelerator = reader.text("accelerator").lower()
    if accelerator and accelerator not in ACCELERATORS:
        reader.complain("accelerator", f"cluster_accelerator is {accelerator!r}; it must be auto, cuda, rocm or cpu.")
        accelerator = ""
    stack, stack_torch, stack_build = _stack(reader)
    torch, build = _torch(reader)
    for name, wished, own in (("torch", torch, stack_torch), ("torch_build", build, stack_build)):
        if wished and own and wished != own:
            reader.complain(
                name,
                f"cluster_stack {given['stack']!r} has {name.replace('_', ' ')} {own}, and {VARIABLES[name]} asks for "
                f"{wished}; leave one of both out.",
            )
    python = reader.text("python", pythons())
    reader.known("python", minor(python), pythons(), "python")
    deepspeed = reader.known("deepspeed", reader.text("deepspeed", deepspeeds()), deepspeeds(), "DeepSpeed")
    branch, version = _driver(reader)
    wishes = Wishes(
        stack=stack,
        accelerator=accelerator,
        python=python if not any(c.subject == "python" for c in reader.complaints) else "",
        torch=torch or stack_torch,
        torch_build=build or stack_build,
        cuda=_cuda(reader),
        deepspeed=deepspeed,
        apex=_apex(reader),
        driver_branch=branch,
        driver_version=version,
        bf16=str(given.get("bf16")).strip().lower() in ("true", "yes", "1", "on"),
    )
    return Reading(wishes, tuple(reader.complaints), tuple(reader.warnings))
