# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wishes and nodes -> one plan for all, or everything that stands in its way, and what would work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_candidates import Candidate
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_driver import Decision, past_life
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nearest import Nearest, nearest
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Group, grouped, hosts_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_search import Outcome, search
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import (
    apexes,
    cuda_releases,
    cudas,
    default_branch,
    key,
    least_driver,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import VARIABLES, Complaint, read


def _said(complaint: Complaint, everyone: Sequence[str]) -> str:
    """A complaint as a sentence, with its nodes."""
    hosts = [host for host in everyone if host in set(complaint.hosts)]
    text = complaint.text.replace("{hosts}", named(hosts, everyone) if hosts else "")
    one = len(hosts) == 1
    text = text.replace("{has}", "has" if one else "have").replace("{is}", "is" if one else "are")
    return text if text.endswith(".") else f"{text}."


def _capabilities(groups: Iterable[Group], accelerator: str) -> list[str]:
    found = {gpu.capability for group in groups for gpu in group.of(accelerator) if gpu.capability}
    return sorted(found, key=lambda capability: (key(capability), capability))


def _compiled(capabilities: Sequence[str], cuda: str) -> list[str]:
    """The capabilities that a toolkit compiles for, so that the result runs on the given ones."""
    known = cudas().get(cuda, {}).get("capabilities")
    if known is None:
        return list(capabilities)
    found = set()
    for capability in capabilities:
        own = key(capability)
        fitting = [cubin for cubin in known if key(cubin)[0] == own[0] and key(cubin) <= own]
        found |= {max(fitting, key=key)} if fitting else set()
    return sorted(found, key=key)


def _cuda(candidate: Candidate, capabilities: Sequence[str]) -> dict[str, Any] | None:
    if candidate.cuda is None:
        return None
    gcc = cudas().get(candidate.cuda, {}).get("gcc")
    return {
        "version": candidate.cuda,
        "release": candidate.release,
        "gcc": gcc,
        "architectures": _compiled(capabilities, candidate.cuda),
    }


def _driver(candidate: Candidate, decisions: Iterable[Decision]) -> dict[str, Any] | None:
    if candidate.torch_cuda is None:
        return None
    changed = {decision.branch for decision in decisions if decision.action in ("install", "upgrade")}
    least = least_driver(candidate.torch_cuda)
    return {
        "least": least,
        "advised": cuda_releases().get(candidate.release or "", {}).get("driver", least),
        "branch": changed.pop() if len(changed) == 1 else default_branch(),
    }


def _node(group: Group, decision: Decision, accelerator: str) -> dict[str, Any]:
    return {
        "driver": {
            "now": decision.now,
            "then": decision.then,
            "branch": decision.branch,
            "version": decision.version,
            "flavour": decision.flavour,
            "action": decision.action,
            "reason": decision.reason,
        },
        "gpus": group.words(accelerator),
        "architectures": _capabilities([group], accelerator),
    }


def _plan(outcome: Outcome, groups: Sequence[Group], everyone: Sequence[str]) -> dict[str, Any]:
    candidate = outcome.candidate
    if candidate is None:
        return {}
    capabilities = _capabilities(groups, outcome.accelerator)
    apex = apexes().get(candidate.apex or "", {})
    of_host = {
        host: (group, decision)
        for group, decision in zip(groups, outcome.decisions, strict=True)
        for host in group.hosts
    }
    return {
        "stack": candidate.stack,
        "accelerator": outcome.accelerator,
        "python": candidate.python,
        "torch": {
            "version": candidate.torch,
            "build": candidate.build,
            "torchvision": candidate.row["torchvision"],
            "torchaudio": candidate.row["torchaudio"],
        },
        "cuda": _cuda(candidate, capabilities) if outcome.accelerator == "cuda" else None,
        "nccl": candidate.row["nccl"] if outcome.accelerator == "cuda" else None,
        "deepspeed": candidate.deepspeed,
        "apex": {"ref": candidate.apex, "switches": apex.get("switches", "environment")} if candidate.apex else None,
        "architectures": capabilities,
        "driver": _driver(candidate, outcome.decisions) if outcome.accelerator == "cuda" else None,
        "nodes": {host: _node(*of_host[host], outcome.accelerator) for host in everyone},
    }


def _driver_warnings(outcome: Outcome, groups: Sequence[Group], everyone: Sequence[str], today: str) -> list[str]:
    """What a driver that stays, or is wished for, lacks."""
    candidate = outcome.candidate
    if candidate is None or candidate.torch_cuda is None or outcome.accelerator != "cuda":
        return []
    made_with = cuda_releases().get(candidate.release or "", {}).get("driver")
    said: dict[str, list[Group]] = {}
    for group, decision in zip(groups, outcome.decisions, strict=True):
        if decision.action == "none" or not decision.then:
            continue
        if made_with and "." in decision.then and key(decision.then) < key(str(made_with)):
            text = (
                f"{{hosts}}: the driver {decision.then} is older than {made_with}, which CUDA {candidate.cuda} was "
                "made with; all runs but code that is compiled from PTX at run time, and features of newer drivers."
            )
            said.setdefault(text, []).append(group)
        end = past_life(decision.branch, today)
        if end:
            text = f"{{hosts}}: the driver branch {decision.branch} had its last release in {end}."
            said.setdefault(text, []).append(group)
        if decision.action == "keep" and group.driver.parted:
            text = (
                f"{{hosts}}: the kernel has the driver {group.driver.loaded} loaded and the libraries are "
                f"{group.driver.library}; nothing computes there before a reboot."
            )
            said.setdefault(text, []).append(group)
    return [text.replace("{hosts}", named(hosts_of(of, everyone), everyone)) for text, of in said.items()]


def _warnings(outcome: Outcome, groups: Sequence[Group], everyone: Sequence[str]) -> list[str]:
    candidate = outcome.candidate
    if candidate is None:
        return []
    found = []
    unseen = outcome.accelerator != "cpu" and not any(group.of(outcome.accelerator) for group in groups)
    if unseen:
        found.append("No GPU was seen on any node, so nothing about GPUs and drivers could be checked.")
    if outcome.accelerator == "cpu" and candidate.accelerator != "cpu":
        found.append(f"{candidate.name} is larger than need be on CPUs; the build cpu does the same there.")
    if candidate.cuda and candidate.torch_cuda and candidate.cuda != candidate.torch_cuda:
        found.append(
            f"The toolkit is CUDA {candidate.cuda} and torch's CUDA is {candidate.torch_cuda}: DeepSpeed's ops "
            "compile, apex does not."
        )
    unknown = [group for group in groups if any(gpu.capability is None for gpu in group.of(outcome.accelerator))]
    if unknown:
        names = sorted({gpu.name for group in unknown for gpu in group.of(outcome.accelerator) if not gpu.capability})
        found.append(
            f"{named(hosts_of(unknown, everyone), everyone)}: the compute capability of {', '.join(names)} is not "
            "known, so it was not checked; add it to data/gpus.yml."
        )
    if candidate.cuda:
        capabilities = _capabilities(groups, outcome.accelerator)
        missing = [item for item in capabilities if item not in _compiled(capabilities, candidate.cuda)]
        if missing and cudas().get(candidate.cuda):
            found.append(
                f"nvcc of CUDA {candidate.cuda} does not know compute capability {' and '.join(missing)}; extensions "
                f"are compiled for {', '.join(_compiled(capabilities, candidate.cuda))}, which runs there too."
            )
    return found


def _conflicts(
    complaints: Iterable[Complaint], everyone: Sequence[str], near: Nearest | None, outcome: Outcome
) -> list[dict[str, Any]]:
    found = []
    for complaint in complaints:
        reason = _said(complaint, everyone)
        better = near.outcome.candidate if near else None
        if (
            near
            and complaint.subject == "torch"
            and better
            and outcome.candidate
            and better.name != outcome.candidate.name
        ):
            others = "on every node" if " every node" in near.text else "on the other nodes"
            reason = f"{reason[:-1]}; the newest that runs {others} is {better.torch}+{better.build}."
        hosts = [host for host in everyone if host in set(complaint.hosts)]
        found.append({"hosts": hosts, "subject": complaint.subject, "reason": reason})
    return found


def resolve_stack(wishes: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], today: str = "") -> dict[str, Any]:
    """
    :param wishes: see the filter resolve_stack. nodes: what each reported, by name. today: 2026-11, for tests.
    :returns: plan (none where there are conflicts), conflicts, nearest, warnings; see the filter.
    """
    today = today or date.today().strftime("%Y-%m")
    everyone = [str(name) for name in nodes]
    groups = grouped(nodes)
    reading = read(wishes)
    outcome = search(reading.wishes, groups)
    warnings = [*reading.warnings]
    if not reading.complaints and not outcome.complaints:
        warnings += [*_warnings(outcome, groups, everyone), *_driver_warnings(outcome, groups, everyone, today)]
        return {"plan": _plan(outcome, groups, everyone), "conflicts": [], "nearest": None, "warnings": warnings}
    lost = list(dict.fromkeys(complaint.subject for complaint in reading.complaints))
    near = nearest(reading.wishes, wishes, groups, everyone, [name for name in lost if name in VARIABLES])
    conflicts = _conflicts([*reading.complaints, *outcome.complaints], everyone, near, outcome)
    said = {"text": near.text, "wishes": near.wishes} if near else None
    return {"plan": None, "conflicts": conflicts, "nearest": said, "warnings": warnings}
