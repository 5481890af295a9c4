# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan as plain data, as roles read it and the playbook plan prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Choice
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import COMPANIONS, left_out
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    apex_row,
    compiled,
    cuda_releases,
    cudas,
    default_branch,
    least_driver,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.candidates import Candidate
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group


def capabilities(groups: Iterable[Group], accelerator: str) -> list[str]:
    """The compute capabilities, or gfx names, of all GPUs that an accelerator computes on."""
    found = {gpu.capability for group in groups for gpu in group.of(accelerator) if gpu.capability}
    return sorted(found, key=lambda capability: (numbers(capability), capability))


def _torch(candidate: Candidate) -> dict[str, Any]:
    """Torch with what belongs to it; what a machine lacks is decided for each node, by the role."""
    missing = {name for name in COMPANIONS if left_out(name, candidate.torch, candidate.build, candidate.python)}
    own = {name: None if name in missing else candidate.row[name] for name in COMPANIONS}
    return {"version": candidate.torch, "build": candidate.build, **own}


def _cuda(candidate: Candidate, wanted: Sequence[str]) -> dict[str, Any] | None:
    if candidate.cuda is None:
        return None
    return {
        "version": candidate.cuda,
        "release": candidate.release,
        "gcc": cudas().get(candidate.cuda, {}).get("gcc"),
        "architectures": compiled(wanted, candidate.cuda),
    }


def _driver(candidate: Candidate, decisions: Iterable[Choice]) -> dict[str, Any]:
    changed = {decision.branch for decision in decisions if decision.action in ("install", "upgrade")}
    least = least_driver(candidate.torch_cuda or "")
    return {
        "least": least,
        "advised": str(cuda_releases().get(candidate.release or "", {}).get("driver", least)),
        "branch": changed.pop() if len(changed) == 1 else default_branch(),
    }


def _node(group: Group, decision: Choice, accelerator: str) -> dict[str, Any]:
    driver = {
        "now": decision.now,
        "then": decision.then,
        "branch": decision.branch,
        "version": decision.version,
        "flavour": decision.flavour,
        "action": decision.action,
        "reason": decision.reason,
    }
    return {"driver": driver, "gpus": group.words(), "architectures": capabilities([group], accelerator)}


def plan(
    candidate: Candidate, accelerator: str, decided: Sequence[tuple[Group, Choice]], everyone: Sequence[str]
) -> dict[str, Any]:
    """See the filter resolve_stack."""
    on_cuda = accelerator == "cuda"
    wanted = capabilities([group for group, _decision in decided], accelerator)
    of_host = {host: (group, decision) for group, decision in decided for host in group.hosts}
    return {
        "stack": candidate.stack,
        "accelerator": accelerator,
        "python": candidate.python,
        "torch": _torch(candidate),
        "cuda": _cuda(candidate, wanted) if on_cuda else None,
        "nccl": candidate.row["nccl"] if on_cuda else None,
        "deepspeed": candidate.deepspeed,
        "apex": {"ref": candidate.apex, "switches": apex_row(candidate.apex)["switches"]} if candidate.apex else None,
        "architectures": wanted,
        "driver": _driver(candidate, (decision for _group, decision in decided)) if on_cuda else None,
        "nodes": {host: _node(*of_host[host], accelerator) for host in everyone},
    }
