# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes have against a set: their C library, their GPUs, their driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_candidates import Candidate
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_driver import Decision, decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Group
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import gfx, kernels, key, runs
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import Complaint, Wishes

_BF16_CAPABILITY = "8.0"


def _wheels(candidate: Candidate, group: Group) -> Iterator[Complaint]:
    """Whether the wheels can be installed at all."""
    least = candidate.row["glibc"].get(group.machine)
    if least is None or (
        candidate.accelerator == "cuda"
        and group.machine != "x86_64"
        and not candidate.unknown
        and not kernels(candidate.torch, candidate.build, group.machine)
    ):
        yield Complaint("torch", f"{candidate.name} has no wheels for {group.machine}, which {{hosts}} is")
    elif group.glibc and key(group.glibc) < key(least):
        of = f" ({group.system})" if group.system else ""
        yield Complaint("torch", f"{candidate.name} needs glibc {least} or newer, and {{hosts}}{of} has {group.glibc}")


def _kernels(candidate: Candidate, group: Group) -> Iterator[Complaint]:
    if candidate.unknown or kernels(candidate.torch, candidate.build, group.machine) is None:
        return
    for gpu in group.of("cuda"):
        if gpu.capability and not runs(candidate.torch, candidate.build, group.machine, gpu.capability):
            text = f"{candidate.name} has no kernels for compute capability {gpu.capability} ({gpu.name} on {{hosts}})"
            yield Complaint("torch", text)


def _gfx(candidate: Candidate, group: Group) -> Iterator[Complaint]:
    known = gfx(candidate.build)
    for gpu in group.of("rocm"):
        if gpu.capability and known and not candidate.unknown and gpu.capability not in known:
            yield Complaint("torch", f"{candidate.name} has no kernels for {gpu.capability} ({gpu.name} on {{hosts}})")


def _bf16(group: Group) -> Iterator[Complaint]:
    for gpu in group.of("cuda"):
        if gpu.capability and key(gpu.capability) < key(_BF16_CAPABILITY):
            text = (
                f"bf16 is wished for, and {gpu.name} on {{hosts}} has compute capability {gpu.capability}; bf16 begins "
                f"with {_BF16_CAPABILITY} (Ampere). Train with fp16 there"
            )
            yield Complaint("bf16", text)


def _vendor(group: Group, accelerator: str) -> Iterator[Complaint]:
    if accelerator != "cpu" and group.gpus and not group.of(accelerator):
        name = group.gpus[0][0].name
        maker = {"cuda": "AMD", "rocm": "NVIDIA"}[accelerator]
        text = (
            f"{{hosts}} has only GPUs of {maker} ({name}), and the stack computes with "
            f"{'CUDA' if accelerator == 'cuda' else 'ROCm'}; "
            "take them out of group 'nodes', or change cluster_accelerator"
        )
        yield Complaint("accelerator", text)


def needed_cuda(candidate: Candidate) -> str:
    """The CUDA that the driver must run: torch's."""
    return candidate.torch_cuda or ""


def judge(candidate: Candidate, group: Group, wishes: Wishes, accelerator: str) -> tuple[list[Complaint], Decision]:
    """What nodes that are alike have against a candidate, and what becomes of their driver with it."""
    found = [*_vendor(group, accelerator), *_wheels(candidate, group)]
    decision = Decision("none", "the cluster computes on CPUs" if accelerator == "cpu" else "it has no NVIDIA GPU")
    if accelerator == "cuda":
        found += _kernels(candidate, group)
        if wishes.bf16:
            found += _bf16(group)
        decision = decide(group, group.of("cuda"), wishes, needed_cuda(candidate))
        found += decision.complaints
    elif accelerator == "rocm":
        found += _gfx(candidate, group)
    return [replace(complaint, hosts=group.hosts) for complaint in found], decision


def judged(
    candidate: Candidate, groups: Sequence[Group], wishes: Wishes, accelerator: str
) -> tuple[list[Complaint], list[Decision]]:
    """As L(judge), for all groups; what several say alike is said once, with the nodes of all."""
    merged: dict[tuple[str, str], Complaint] = {}
    decisions = []
    for complaint in candidate.complaints:
        merged[complaint.subject, complaint.text] = complaint
    for group in groups:
        complaints, decision = judge(candidate, group, wishes, accelerator)
        decisions.append(decision)
        for complaint in complaints:
            same = merged.get((complaint.subject, complaint.text))
            hosts = (*same.hosts, *complaint.hosts) if same else complaint.hosts
            merged[complaint.subject, complaint.text] = replace(complaint, hosts=hosts)
    return list(merged.values()), decisions
