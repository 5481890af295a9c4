# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user should know about a plan that holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Choice
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import COMPANIONS, left_out
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    apexes,
    branches,
    compiled,
    cuda_releases,
    cudas,
    of_its_time,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.candidates import Candidate
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.plan import capabilities
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.search import Outcome
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark, merged, sentence


def _of_driver(candidate: Candidate, group: Group, decision: Choice, today: str) -> Iterator[str]:
    """What a driver lacks that stays, or is asked for."""
    if decision.action == "none" or not decision.then or not decision.branch:
        return
    made_with = str(cuda_releases().get(candidate.release or "", {}).get("driver", ""))
    if made_with and "." in decision.then and numbers(decision.then) < numbers(made_with):
        yield (
            f"{{hosts}}: the driver {decision.then} is older than {made_with}, which CUDA {candidate.cuda} was made "
            "with; all runs there but code compiled from PTX at run time, and what needs features of a newer driver"
        )
    end = branches().get(decision.branch, {}).get("end_of_life")
    if end and str(end) < today:
        yield f"{{hosts}}: the branch {decision.branch} of the driver had its last release in {end}"
    if decision.action != "keep":
        return
    if group.driver.parted:
        yield (
            f"{{hosts}}: the kernel has the driver {group.driver.loaded} loaded and the libraries are "
            f"{group.driver.library}; nothing computes there before a reboot"
        )
    elif not group.driver.loaded:
        yield f"{{hosts}}: the driver {decision.then} is there and not loaded; nothing computes there before it is"


def _of_node(candidate: Candidate, group: Group, accelerator: str) -> Iterator[str]:
    for name in COMPANIONS:
        everywhere = left_out(name, candidate.torch, candidate.build, candidate.python)
        reason = left_out(name, candidate.torch, candidate.build, candidate.python, group.machine)
        if reason and not everywhere:
            yield f"{{hosts}}: {reason.rstrip('.')}"
    for gpu in group.of(accelerator):
        if gpu.capability is None:
            yield (
                f"{{hosts}}: the {'gfx name' if accelerator == 'rocm' else 'compute capability'} of {gpu.name} is not "
                "known, so whether torch runs on it was not checked; a row in data/gpus.yml would tell"
            )
    if candidate.cuda and cudas().get(candidate.cuda):
        wanted = capabilities([group], accelerator)
        missing = [capability for capability in wanted if capability not in cudas()[candidate.cuda]["capabilities"]]
        if missing:
            yield (
                f"{{hosts}}: nvcc of CUDA {candidate.cuda} does not know compute capability {listed(missing)}; "
                f"extensions are compiled for {listed(compiled(missing, candidate.cuda)) or 'none of it'}, which "
                "runs there too"
            )


def _of_all(candidate: Candidate, wishes: Wishes, groups: Sequence[Group], accelerator: str) -> Iterator[str]:
    if accelerator != "cpu" and not any(group.of(accelerator) for group in groups):
        yield "No GPU was seen on any node, so nothing about GPUs and drivers was checked."
    unused = [host for group in groups if group.gpus for host in group.hosts]
    if accelerator == "cpu" and not wishes.accelerator and unused:
        yield f"{candidate.name} computes on CPUs, so the GPUs of {named(unused)} are not used."
    if accelerator == "cpu" and candidate.accelerator != "cpu":
        yield f"{candidate.name} computes on CPUs as the build cpu does, and is some GB larger."
    if candidate.torch_cuda and candidate.cuda != candidate.torch_cuda:
        yield (
            f"The toolkit is CUDA {candidate.cuda} and torch's CUDA is {candidate.torch_cuda}: DeepSpeed's ops compile "
            f"so, apex does {'because it is allowed to' if candidate.apex else 'not'}."
        )
    missing = (left_out(name, candidate.torch, candidate.build, candidate.python) for name in COMPANIONS)
    yield from filter(None, missing)
    if wishes.apex in apexes() and not of_its_time(wishes.apex, candidate.torch):
        era = apexes()[wishes.apex]
        until = f"to {era['torch_below']}" if era.get("torch_below") else "on"
        yield (
            f"apex {wishes.apex} is of the time of torch {era['torch_from']} {until}; whether it compiles with "
            f"{candidate.torch} is not known."
        )


def _of_wish(wishes: Wishes, group: Group, decision: Choice) -> Iterator[str]:
    """A wish for the driver that nodes do not follow, since it may not be touched there."""
    asked = group.version or group.branch or wishes.driver_version or wishes.driver_branch
    if not group.manage and decision.then and asked and asked not in (decision.then, decision.branch):
        name = VARIABLES["driver_version" if "." in asked else "driver_branch"]
        yield f"{{hosts}}: {name} asks for {asked}, and {decision.then} stays, since nvidia_driver_manage is false"


def warnings(
    outcome: Outcome, wishes: Wishes, groups: Sequence[Group], everyone: Sequence[str], today: str
) -> list[str]:
    """Sentences; what holds for several nodes is said once. today: a month, 2026-11."""
    candidate, accelerator = outcome.candidate, outcome.accelerator
    if candidate is None:
        return []
    found: list[Remark] = []
    for group, decision in zip(groups, outcome.decisions, strict=True):
        said = [*_of_node(candidate, group, accelerator), *_of_wish(wishes, group, decision)]
        if accelerator == "cuda":
            said += _of_driver(candidate, group, decision, today)
        found += [Remark("", text, group.hosts) for text in said]
    of_nodes = [sentence(remark, everyone) for remark in merged(found)]
    return [*_of_all(candidate, wishes, groups, accelerator), *of_nodes]
