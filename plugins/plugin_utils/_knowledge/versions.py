# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the files of C(data) say, asked the way the resolver asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

Row = Mapping[str, Any]
_APEX_TAG = re.compile(r"^\d\d\.\d\d(\.\d\d)?(?![\d.])")


def within(version: str, row: Row, first: str = "from", last: str = "to") -> bool:
    """Whether a version lies between two ends of a row, both included; a missing end is open."""
    begin, end = row.get(first), row.get(last)
    return (not begin or numbers(version) >= numbers(begin)) and (not end or numbers(version) <= numbers(end))


def accelerator_of(build: str) -> str:
    """What a build of torch computes on: cuda, rocm or cpu."""
    return "cuda" if build.startswith("cu") else "rocm" if build.startswith("rocm") else "cpu"


def cuda_of(build: str) -> str:
    """11.7 of cu117."""
    return f"{build[2:-1]}.{build[-1]}"


def _by(rows_of: Sequence[Row], name: str) -> dict[str, Row]:
    return {str(row[name]): row for row in rows_of}


@cache
def torches() -> dict[str, Row]:
    """The releases of torch, oldest first."""
    return _by(rows("torch")["releases"], "torch")


def torch_row(torch: str) -> Row:
    """The row of a torch; for one that is not known, the nearest that is, without what is of that release alone."""
    known = torches()
    if torch in known:
        return known[torch]
    # A build of 2.13.0 that was made apart is as 2.13.0.
    like = known.get(f"{minor(torch)}.0", list(known.values())[-1])
    return {**like, "torchvision": None, "torchaudio": None, "cuda_release": None}


@cache
def pythons() -> list[str]:
    """Every python that some torch has wheels for, oldest first."""
    return sorted(
        {python for row in torches().values() for python in (*row["python"], *row.get("python_torch_only", ()))},
        key=numbers,
    )


@cache
def deepspeeds() -> dict[str, Row]:
    """The releases of DeepSpeed, oldest first."""
    return _by(rows("deepspeed")["releases"], "deepspeed")


@cache
def apexes() -> dict[str, Row]:
    """The refs of apex, oldest first."""
    return _by(rows("apex")["releases"], "apex")


@cache
def stacks() -> dict[str, Row]:
    """The curated stacks, oldest first."""
    return _by(rows("stacks")["stacks"], "stack")


@cache
def branches() -> dict[str, Row]:
    """The branches of the driver, oldest first."""
    return _by(rows("drivers")["branches"], "branch")


def bf16() -> Row:
    """What bf16 needs at least: a compute capability, and an NCCL."""
    row: Row = rows("gpus")["bf16"]
    return row


def default_branch() -> str:
    """The branch that is installed where nothing asks for another."""
    return str(rows("drivers")["default"])


@cache
def cudas() -> dict[str, Row]:
    """The minor versions of CUDA, oldest first."""
    return _by(rows("cuda")["minors"], "cuda")


@cache
def cuda_releases() -> dict[str, Row]:
    """The releases of CUDA, oldest first."""
    return _by(rows("cuda")["releases"], "cuda")


@cache
def newest_release(cuda: str) -> str | None:
    """12.4.1 of 12.4."""
    return next((release for release in reversed(cuda_releases()) if minor(release) == cuda), None)


@cache
def least_driver(cuda: str) -> str:
    """The oldest driver that runs what is built with a CUDA; that of the newest major where nothing is known."""
    own = cudas().get(cuda, {}).get("driver")
    majors = _by(rows("cuda")["majors"], "cuda")
    newest = list(majors.values())[-1]
    return str(own or majors.get(cuda.split(".", maxsplit=1)[0], newest)["driver"])


@cache
def kernels(torch: str, build: str, machine: str) -> Row | None:
    """The row that says which GPUs a build of torch has kernels for; none where there are no such wheels."""
    for row in rows("torch")["kernels"]:
        if row["build"] == build and row.get("machine", "x86_64") == machine and minor(torch) in row["torch"]:
            found: Row = row
            return found
    return None


@cache
def gfx(build: str) -> tuple[str, ...]:
    """The AMD GPUs that a ROCm build has kernels for."""
    return next((tuple(row["gfx"]) for row in rows("torch")["rocm_kernels"] if build in row["builds"]), ())


def runs_code(capability: str, compiled: str) -> bool:
    """Whether a GPU runs code that was compiled for a capability: its own, or a lower minor of its major.

    GPUs of systems on a chip run only their own, and no other runs theirs.
    """
    if capability == compiled:
        return True
    own, other = numbers(capability), numbers(compiled)
    alone = rows("cuda")["alone"]["capabilities"]
    return own[0] == other[0] and other < own and capability not in alone and compiled not in alone


def compiled(wanted: Sequence[str], cuda: str) -> list[str]:
    """The capabilities that a toolkit compiles for, so that the result runs on the wanted ones."""
    known = cudas().get(cuda, {}).get("capabilities")
    if known is None:
        return list(wanted)
    found = set()
    for capability in wanted:
        fitting = [own for own in known if runs_code(capability, own)]
        found |= {max(fitting, key=numbers)} if fitting else set()
    return sorted(found, key=numbers)


@cache
def runs(torch: str, build: str, machine: str, capability: str) -> bool:
    """Whether a GPU runs a build: by kernels compiled for it or for one that it follows, or by PTX of a lower one."""
    row = kernels(torch, build, machine)
    if row is None:
        return False
    if any(runs_code(capability, compiled) for compiled in row["capabilities"]):
        return True
    return bool(row.get("ptx")) and numbers(row["ptx"]) <= numbers(capability)


@cache
def deepspeed_fault(deepspeed: str, torch: str, without_gpu: bool) -> str | None:
    """Why a release of DeepSpeed does not work with a torch, none where nothing is known against it."""
    for rule in rows("deepspeed")["rules"]:
        if not within(deepspeed, rule) or (rule.get("hosts") == "without_gpu" and not without_gpu):
            continue
        if "torch" in rule:
            broken = torch in rule["torch"]
        else:
            low, high = rule.get("torch_from"), rule.get("torch_below")
            broken = bool(low and numbers(torch) < numbers(low)) or bool(high and numbers(torch) >= numbers(high))
        if broken:
            return str(rule["reason"])
    return None


def _tried(deepspeed: str, torch: str) -> bool:
    """Whether a release of DeepSpeed was imported on a torch, or on an older and on a newer one."""
    tried = sorted(numbers(minor(each)) for each in deepspeeds()[deepspeed].get("imported", ()))
    return bool(tried) and tried[0] <= numbers(minor(torch)) <= tried[-1]


@cache
def deepspeed_for(torch: str, without_gpu: bool) -> str | None:
    """The newest DeepSpeed that was tried around a torch, else the newest that nothing is known against."""
    fitting = [each for each in reversed(deepspeeds()) if not deepspeed_fault(each, torch, without_gpu)]
    return next((each for each in fitting if _tried(each, torch)), fitting[0] if fitting else None)


@cache
def toolkits_for(deepspeed: str, cuda: str) -> tuple[str, ...]:
    """The minors of the toolkits that DeepSpeed compiles its ops with, for a torch with some CUDA."""
    listed = next((row["minors"] for row in rows("deepspeed")["toolkits"] if within(deepspeed, row)), ())
    major = cuda.split(".", maxsplit=1)[0]
    same = [toolkit for toolkit in listed if toolkit.split(".", maxsplit=1)[0] == major]
    return tuple(same) if cuda in same else (cuda,)


def of_its_time(apex: str, torch: str) -> bool:
    """Whether a ref of apex is of the time of a torch."""
    row = apexes()[apex]
    below = row.get("torch_below")
    return numbers(torch) >= numbers(row["torch_from"]) and (not below or numbers(torch) < numbers(below))


@cache
def apex_for(torch: str) -> str | None:
    """The newest ref of apex that is of the time of a torch."""
    return next((ref for ref in reversed(apexes()) if of_its_time(ref, torch)), None)


def apex_rank(ref: str) -> tuple[bool, Any]:
    """A place in the order of refs: tags by their date, and behind them all that is none."""
    tag = _APEX_TAG.match(ref)
    return (False, numbers(tag.group())) if tag else (True, ())


def apex_row(ref: str) -> Row:
    """What is known of a ref; of a tag that has no row, of the one before it, and of any other ref, of the newest."""
    known = list(apexes())
    before = [row for row in known if apex_rank(row) <= apex_rank(ref)]
    return apexes().get(ref) or apexes()[before[-1] if before else known[0]]


def apex_fits(ref: str, python: str) -> str | None:
    """Why a ref of apex cannot be used with a python, none where nothing is known against it."""
    least = apexes().get(ref, {}).get("python_from")
    return (
        f"it needs python {least} or newer, and {python} is planned"
        if least and numbers(python) < numbers(least)
        else None
    )


@cache
def known_branches(architecture: str | None, capability: str | None) -> tuple[str | None, str | None]:
    """The first and the last branch of the driver that know a GPU; none where there is no bound."""
    of_it = [row for row in rows("drivers")["architectures"] if row["architecture"] == architecture]
    row = next((row for row in of_it if row["capability"] == capability), None) or next(
        (row for row in of_it if row["capability"] is None), {"first_branch": None, "last_branch": None}
    )
    return row["first_branch"], row["last_branch"]


@cache
def module_rule(architecture: str | None) -> Row:
    """What is known about the kernel modules of an architecture; where it is unknown, that both will do."""
    found = rows("drivers")["kernel_modules"]
    unknown: Row = next(row for row in found if row["open"] == "allowed")
    return next((row for row in found if architecture in row["architectures"]), unknown)
