# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would work where the wishes do not: with the fewest of them changed, else with fewer nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_candidates import candidates
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_judges import judge
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Group, hosts_of, vendors
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_search import Outcome, search
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import VARIABLES, Wishes

# Which wish goes first: what costs a user least.
_ORDER = (
    "apex",
    "driver_version",
    "driver_branch",
    "cuda",
    "torch_build",
    "python",
    "deepspeed",
    "bf16",
    "torch",
    "stack",
    "accelerator",
)
_TRIED_TOGETHER = 3


@dataclass(frozen=True)
class Nearest:
    """What would work. outcome: null where nothing does."""

    text: str
    wishes: dict[str, Any]
    outcome: Outcome


def _without(wishes: Wishes, names: Sequence[str]) -> Wishes:
    dropped = set(names)
    if "stack" in dropped:
        dropped |= {"torch", "torch_build"}
    return Wishes(**{name: value for name, value in asdict(wishes).items() if name not in dropped})


def _subsets(held: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, min(len(held), _TRIED_TOGETHER) + 1):
        yield from combinations(held, size)
    if len(held) > _TRIED_TOGETHER:
        yield tuple(held)


def _value(name: str, outcome: Outcome) -> Any:
    candidate = outcome.candidate
    if candidate is None:
        return ""
    branch = next((decision.branch for decision in outcome.decisions if decision.branch), "")
    return {
        "stack": candidate.stack,
        "accelerator": outcome.accelerator,
        "python": candidate.python,
        "torch": candidate.torch,
        "torch_build": candidate.build,
        "cuda": candidate.cuda or "",
        "deepspeed": candidate.deepspeed,
        "apex": candidate.apex or "none",
        "driver_branch": branch,
        "driver_version": "",
        "bf16": False,
    }[name]


def _change(name: str, before: object, after: object) -> str:
    variable = VARIABLES[name]
    if name == "bf16":
        return "train with fp16 instead of bf16"
    if after in ("", "none"):
        return f"leave {variable} out (it is {before})"
    return f"set {variable} to {after} (it is {before})"


def _sentence(changes: Sequence[str], outcome: Outcome, where: str) -> str:
    candidate = outcome.candidate
    if candidate is None:
        return ""
    said = " and ".join(changes)
    what = f"{candidate.name}, python {candidate.python} and DeepSpeed {candidate.deepspeed}"
    return f"{said[:1].upper()}{said[1:]}: {what} fit {where}."


def _by_wishes(
    wishes: Wishes, given: Mapping[str, Any], groups: Sequence[Group], lost: Sequence[str]
) -> Nearest | None:
    """With the fewest wishes changed; lost are those that could not be read and so are changed anyhow."""
    held = [name for name in _ORDER if getattr(wishes, name)]
    if wishes.stack:
        held = [name for name in held if name not in ("torch", "torch_build")]
    for subset in [()] * bool(lost) + list(_subsets(held)):
        fewer = _without(wishes, subset)
        outcome = search(fewer, groups)
        if not outcome.complaints and outcome.candidate:
            names = [*lost, *(name for name in subset if name not in lost)]
            after = {name: _value(name, outcome) for name in names}
            changes = [_change(name, given.get(name, ""), after[name]) for name in names if name in VARIABLES]
            kept = {name: value for name, value in asdict(fewer).items() if value}
            found = {**kept, **{name: value for name, value in after.items() if value not in ("", "none", False)}}
            return Nearest(_sentence(changes, outcome, "every node"), found, outcome)
    return None


def _by_drivers(wishes: Wishes, groups: Sequence[Group]) -> Nearest | None:
    """With drivers that may be touched, and nodes' own wishes for them left out."""
    bound = [group for group in groups if not group.manage or group.branch or group.version or group.flavour != "auto"]
    free = [replace(group, manage=True, branch="", version="", flavour="auto") for group in groups]
    if not bound:
        return None
    outcome = search(wishes, free)
    if outcome.complaints or not outcome.candidate:
        return None
    where = named([host for group in bound for host in group.hosts])
    changes = [f"let the driver be changed on {where} (nvidia_driver_manage: true, nothing else said about it)"]
    kept = {name: value for name, value in asdict(wishes).items() if value}
    return Nearest(_sentence(changes, outcome, "every node"), kept, outcome)


def _by_nodes(wishes: Wishes, groups: Sequence[Group], everyone: Sequence[str]) -> Nearest | None:
    """With the fewest nodes left out."""
    best: tuple[int, list[Group]] | None = None
    present = [name for name, vendor in (("cuda", "nvidia"), ("rocm", "amd")) if vendor in vendors(groups)]
    for accelerator in [wishes.accelerator] if wishes.accelerator else present or ["cpu"]:
        for candidate in candidates(wishes, accelerator, True):
            if candidate.complaints:
                continue
            bad = [group for group in groups if judge(candidate, group, wishes, accelerator)[0]]
            count = sum(len(group.hosts) for group in bad)
            if count < len(everyone) and (best is None or count < best[0]):
                best = (count, bad)
    if best is None:
        return None
    rest = [group for group in groups if group not in best[1]]
    outcome = search(wishes, rest)
    if outcome.complaints or not outcome.candidate:
        return None
    changes = [f"take {named(hosts_of(best[1], everyone))} out of group 'nodes'"]
    kept = {name: value for name, value in asdict(wishes).items() if value}
    return Nearest(_sentence(changes, outcome, "the other nodes"), kept, outcome)


def nearest(
    wishes: Wishes, given: Mapping[str, Any], groups: Sequence[Group], everyone: Sequence[str], lost: Sequence[str]
) -> Nearest | None:
    """What would work, none where nothing does."""
    return (
        _by_wishes(wishes, given, groups, lost)
        or _by_drivers(wishes, groups)
        or _by_nodes(wishes, groups, everyone)
        or _by_nodes(Wishes(accelerator=wishes.accelerator), groups, everyone)
    )
