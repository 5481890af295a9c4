# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes have against a set: their C library, their GPUs, their driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Choice, choose
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import rules_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    bf16,
    gfx,
    kernels,
    least_driver,
    runs,
    torches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.candidates import Candidate
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark, merged


def _has_wheels(candidate: Candidate, machine: str) -> bool:
    if machine not in candidate.row["glibc"]:
        return False
    if candidate.accelerator == "cpu" or machine == "x86_64" or not candidate.known:
        return True
    return candidate.accelerator == "cuda" and kernels(candidate.torch, candidate.build, machine) is not None


def _wheels(candidate: Candidate, group: Group) -> Iterator[Remark]:
    """Whether the wheels can be installed at all."""
    if not _has_wheels(candidate, group.machine):
        yield Remark("torch", f"{candidate.name} has no wheels for {group.machine}, the machine of {{hosts}}")
        return
    least = candidate.row["glibc"][group.machine]
    if group.glibc and numbers(group.glibc) < numbers(least):
        system = f", {group.system}," if group.system else ""
        text = f"{candidate.name} needs glibc {least} or newer, and {{hosts}}{system} {{has|have}} {group.glibc}"
        yield Remark("torch", text)


def _kernels(candidate: Candidate, group: Group) -> Iterator[Remark]:
    if kernels(candidate.torch, candidate.build, group.machine) is None:
        return
    for gpu in group.of("cuda"):
        if gpu.capability and not runs(candidate.torch, candidate.build, group.machine, gpu.capability):
            text = f"{candidate.name} has no kernels for compute capability {gpu.capability} ({gpu.name} on {{hosts}})"
            yield Remark("torch", text)


def _gfx(candidate: Candidate, group: Group) -> Iterator[Remark]:
    known = gfx(candidate.build)
    for gpu in group.of("rocm"):
        if gpu.capability and known and candidate.known and gpu.capability not in known:
            yield Remark("torch", f"{candidate.name} has no kernels for {gpu.capability} ({gpu.name} on {{hosts}})")


def _bf16(group: Group) -> Iterator[Remark]:
    first = bf16()["compute_capability"]
    for gpu in group.of("cuda"):
        if gpu.capability and numbers(gpu.capability) < numbers(first):
            text = (
                f"bf16 is wished for, and begins with compute capability {first}; {gpu.name} on {{hosts}} "
                f"has {gpu.capability}, so train with fp16"
            )
            yield Remark("bf16", text)


def _vendor(group: Group, accelerator: str) -> Iterator[Remark]:
    if accelerator != "cpu" and group.gpus and not group.of(accelerator):
        maker, computes = ("AMD", "CUDA") if accelerator == "cuda" else ("NVIDIA", "ROCm")
        text = (
            f"{{hosts}} {{has|have}} only GPUs of {maker} ({group.gpus[0][0].name}), which do not compute with "
            f"{computes}; change {VARIABLES['accelerator']}, or take such nodes out of group 'nodes'"
        )
        yield Remark("accelerator", text)


def _request(group: Group, wishes: Wishes) -> Request:
    """What is requested of the driver of nodes that are alike; their own request goes before that for all."""
    version = group.version or ("" if group.branch else wishes.driver_version)
    branch = major(version) if version else group.branch or wishes.driver_branch
    return Request(group.manage, branch, version, flavour=group.flavour or "auto")


def choice_of(candidate: Candidate, group: Group, wishes: Wishes) -> Choice:
    """What becomes of the driver of nodes with a candidate; any toolkit of torch's major needs no newer driver."""
    gpus = group.of("cuda")
    if not gpus:
        return Choice("none", "it has no NVIDIA GPU", group.driver.now)
    cuda = candidate.torch_cuda or ""
    return choose(rules_of(gpus, group.machine, least_driver(cuda), cuda), group.driver, _request(group, wishes))


def judge(candidate: Candidate, group: Group, wishes: Wishes, accelerator: str) -> tuple[list[Remark], Choice]:
    """What nodes that are alike have against a candidate, and what becomes of their driver with it."""
    found = [*_vendor(group, accelerator), *_wheels(candidate, group)]
    decision = Choice("none", "the cluster computes on CPUs" if accelerator == "cpu" else "it has no NVIDIA GPU")
    if accelerator == "cuda":
        found += _kernels(candidate, group)
        if wishes.bf16:
            found += _bf16(group)
        decision = choice_of(candidate, group, wishes)
        found += [Remark(fault.subject, fault.text) for fault in decision.faults]
    elif accelerator == "rocm":
        found += _gfx(candidate, group)
    return [replace(remark, hosts=group.hosts) for remark in found], decision


def judged(
    candidate: Candidate, groups: Sequence[Group], wishes: Wishes, accelerator: str
) -> tuple[list[Remark], list[Choice]]:
    """As judge(), for all groups, with what the wishes have against the candidate."""
    each = [judge(candidate, group, wishes, accelerator) for group in groups]
    remarks = [*candidate.faults, *(remark for found, _decision in each for remark in found)]
    return merged(remarks), [decision for _found, decision in each]


def gpus_apart(groups: Sequence[Group]) -> list[Remark]:
    """NVIDIA GPUs that no torch has kernels for together, pair by pair."""
    held: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for group in groups:
        for gpu in group.of("cuda"):
            if gpu.capability:
                held.setdefault((gpu.capability, group.machine), (gpu.name, []))[1].extend(group.hosts)
    builds = [(torch, build) for torch, row in torches().items() for build in row["builds"] if build.startswith("cu")]
    running = {
        (capability, machine): {pair for pair in builds if runs(*pair, machine, capability)}
        for capability, machine in held
    }
    found = []
    for pair in combinations(held, 2):
        if running[pair[0]] & running[pair[1]]:
            continue
        one, other = (f"{kind[0]} ({held[kind][0]} on {named(held[kind][1])})" for kind in pair)
        hosts = dict.fromkeys([*held[pair[0]][1], *held[pair[1]][1]])
        text = f"No torch has kernels for both compute capability {one} and {other}"
        found.append(Remark("torch", text, tuple(hosts)))
    return found
