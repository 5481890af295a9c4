# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The search for the best set that all wishes and all nodes allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_candidates import Candidate, candidates
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_driver import Decision
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_judges import judge, judged
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Group, vendors
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import accelerator_of, torches
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import Complaint, Wishes


@dataclass(frozen=True)
class Outcome:
    """What a search ended with. candidate: the set, or the one with the least against it where there are complaints."""

    accelerator: str
    candidate: Candidate | None
    decisions: tuple[Decision, ...]
    complaints: tuple[Complaint, ...]


def _hosts(groups: Sequence[Group], vendor: str) -> tuple[str, ...]:
    return tuple(
        host for group in groups if any(gpu.vendor == vendor for gpu, _count in group.gpus) for host in group.hosts
    )


def settle(wishes: Wishes, groups: Sequence[Group]) -> tuple[str, list[Complaint]]:
    """What the cluster computes on, and what speaks against it."""
    build = accelerator_of(wishes.torch_build) if wishes.torch_build else ""
    if wishes.accelerator:
        if build and wishes.accelerator not in (build, "cpu"):
            text = (
                f"cluster_accelerator is {wishes.accelerator!r}, and the build {wishes.torch_build} of torch computes "
                f"with {'the CPU' if build == 'cpu' else build}; change one of both."
            )
            return wishes.accelerator, [Complaint("torch_build", text)]
        return wishes.accelerator, []
    if build:
        return build, []
    found = vendors(groups)
    if {"nvidia", "amd"} <= found:
        text = (
            "NVIDIA and AMD GPUs are in one cluster ({hosts}), and one run computes with one kind; set "
            "cluster_accelerator to cuda or rocm, and take the nodes of the other kind out of group 'nodes'."
        )
        amd, nvidia = _hosts(groups, "amd"), _hosts(groups, "nvidia")
        accelerator = "rocm" if len(amd) > len(nvidia) else "cuda"
        return accelerator, [Complaint("accelerator", text, tuple(dict.fromkeys((*nvidia, *amd))))]
    if found:
        return "rocm" if "amd" in found else "cuda", []
    text = "No GPU was found on any node; set cluster_accelerator: cpu to train on CPUs."
    return "cpu", [Complaint("accelerator", text)]


def _pair_fault(wishes: Wishes) -> list[Complaint]:
    """A build that a torch does not come in."""
    row = torches().get(wishes.torch)
    if not row or not wishes.torch_build or wishes.torch_build in row["builds"]:
        return []
    text = f"torch {wishes.torch} does not come as {wishes.torch_build}; its builds are {', '.join(row['builds'])}."
    return [Complaint("torch_build", text)]


def search(wishes: Wishes, groups: Sequence[Group]) -> Outcome:
    """The first candidate that nothing speaks against; else the one with the least against it, with all of that."""
    accelerator, faults = settle(wishes, groups)
    faults = [*faults, *_pair_fault(wishes)]
    headless = accelerator == "cpu" or any(not group.of(accelerator) for group in groups)
    if not faults:
        for candidate in candidates(wishes, accelerator, headless):
            if not candidate.complaints and not any(
                judge(candidate, group, wishes, accelerator)[0] for group in groups
            ):
                _complaints, decisions = judged(candidate, groups, wishes, accelerator)
                return Outcome(accelerator, candidate, tuple(decisions), ())
    best: tuple[Candidate, list[Complaint], list[Decision]] | None = None
    for candidate in candidates(wishes, accelerator, headless):
        complaints, decisions = judged(candidate, groups, wishes, accelerator)
        if best is None or len(complaints) < len(best[1]):
            best = (candidate, complaints, decisions)
    if best is None:
        return Outcome(accelerator, None, (), tuple(faults) or (_nothing(wishes, accelerator),))
    return Outcome(accelerator, best[0], tuple(best[2]), (*faults, *best[1]))


def _nothing(wishes: Wishes, accelerator: str) -> Complaint:
    build = f" {wishes.torch_build}" if wishes.torch_build else ""
    text = f"No torch is known that computes with {accelerator} and comes as{build or ' such a build'}."
    return Complaint("torch_build" if build else "torch", text)
