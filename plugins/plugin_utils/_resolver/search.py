# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The search for the best set that all wishes and all nodes allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Choice
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    accelerator_of,
    least_driver,
    torches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.candidates import Candidate, candidates
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.checks import gpus_apart, judge, judged
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group, vendors
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark


@dataclass(frozen=True)
class Outcome:
    """What a search ended with. candidate: the set, or where there are faults the one that has the least of them."""

    accelerator: str
    candidate: Candidate | None
    decisions: tuple[Choice, ...]
    faults: tuple[Remark, ...]


def _hosts(groups: Sequence[Group], vendor: str) -> tuple[str, ...]:
    return tuple(host for group in groups if vendor in vendors([group]) for host in group.hosts)


def settle(wishes: Wishes, groups: Sequence[Group]) -> tuple[str, list[Remark]]:
    """What the cluster computes on, and what speaks against it."""
    build = accelerator_of(wishes.torch_build) if wishes.torch_build else ""
    if wishes.accelerator:
        if not build or wishes.accelerator in (build, "cpu"):
            return wishes.accelerator, []
        text = (
            f"{VARIABLES['accelerator']} is {wishes.accelerator}, and the build {wishes.torch_build} of torch computes "
            f"on {build}; change one of both"
        )
        return wishes.accelerator, [Remark("torch_build", text)]
    if build:
        return build, []
    found = vendors(groups)
    if {"nvidia", "amd"} <= found:
        amd, nvidia = _hosts(groups, "amd"), _hosts(groups, "nvidia")
        text = (
            "NVIDIA and AMD GPUs are in one cluster ({hosts}), and one run computes on one kind; set "
            f"{VARIABLES['accelerator']} to cuda or rocm, and take the nodes of the other kind out of group 'nodes'"
        )
        remark = Remark("accelerator", text, tuple(dict.fromkeys((*nvidia, *amd))))
        return "rocm" if len(amd) > len(nvidia) else "cuda", [remark]
    if found:
        return "rocm" if "amd" in found else "cuda", []
    text = f"No GPU was found on any node; set {VARIABLES['accelerator']} to cpu to train on CPUs"
    return "cpu", [Remark("accelerator", text)]


def _wishes_apart(wishes: Wishes, accelerator: str) -> list[Remark]:
    """A build that does not exist, alone or of the torch that is wished for."""
    build, row = wishes.torch_build, torches().get(wishes.torch)
    if row and build and build not in row["builds"]:
        text = f"torch {wishes.torch} does not come as {build}; its builds are {', '.join(row['builds'])}"
        return [Remark("torch_build", text)]
    if build and not row and not wishes.torch and not any(build in other["builds"] for other in torches().values()):
        return [Remark("torch_build", f"No torch is known that comes as {build}")]
    if row and not any(accelerator_of(other) == accelerator for other in row["builds"]):
        text = f"torch {wishes.torch} has no build for {accelerator}; its builds are {', '.join(row['builds'])}"
        return [Remark("torch", text)]
    return []


def _weight(faults: Sequence[Remark]) -> tuple[int, int, int]:
    """How much speaks against a candidate: what is not as wished, then the nodes that it fails on, then all reasons."""
    hosts = {host for fault in faults for host in fault.hosts}
    return sum(not fault.hosts for fault in faults), len(hosts), len(faults)


def _missing(candidate: Candidate, faults: Sequence[Remark]) -> tuple[int, ...]:
    """The driver that a candidate needs, where one that may not be touched is too old: the least says most."""
    too_old = any(fault.subject == "driver_manage" for fault in faults)
    return numbers(least_driver(candidate.torch_cuda)) if too_old and candidate.torch_cuda else (999,)


def _begin(wishes: Wishes, groups: Sequence[Group]) -> tuple[str, list[Remark], Iterator[Candidate]]:
    accelerator, faults = settle(wishes, groups)
    headless = accelerator == "cpu" or any(not group.of(accelerator) for group in groups)
    faults += _wishes_apart(wishes, accelerator)
    return accelerator, faults, candidates(wishes, accelerator, headless)


def search(wishes: Wishes, groups: Sequence[Group]) -> Outcome | None:
    """The first candidate that nothing speaks against, none where there is none."""
    accelerator, faults, tried = _begin(wishes, groups)
    for candidate in () if faults else tried:
        if not candidate.faults and not any(judge(candidate, group, wishes, accelerator)[0] for group in groups):
            return Outcome(accelerator, candidate, tuple(judged(candidate, groups, wishes, accelerator)[1]), ())
    return None


def best_try(wishes: Wishes, groups: Sequence[Group]) -> Outcome:
    """Where nothing fits: the candidate with the least against it, and all of that."""
    accelerator, faults, tried = _begin(wishes, groups)
    rated = [(candidate, *judged(candidate, groups, wishes, accelerator)) for candidate in tried]
    if not rated:
        what = (
            f"torch {wishes.torch}".strip() if not wishes.torch_build else f"torch that comes as {wishes.torch_build}"
        )
        none = Remark("torch", f"No {what} is known that computes on {accelerator}")
        return Outcome(accelerator, None, (), tuple(faults) or (none,))
    candidate, found, decisions = min(rated, key=lambda each: (_weight(each[1]), _missing(each[0], each[1])))
    apart = gpus_apart(groups) if accelerator == "cuda" else []
    if apart and not wishes.torch:
        # What one torch lacks says little where none has all.
        found = [fault for fault in found if fault.subject != "torch"]
    return Outcome(accelerator, candidate, tuple(decisions), (*faults, *apart, *found))
