# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would work where the wishes do not: with the fewest of them changed, else with freer drivers or fewer nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_candidates import Candidate, candidates
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_judges import judge
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Group, vendors
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_search import search
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import VARIABLES, Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_words import ordered

# Which wish goes first: what costs a user least.
_ORDER = (
    "apex", "driver_version", "driver_branch", "cuda", "torch_build", "python", "deepspeed", "bf16", "torch", "stack",
    "accelerator",
)  # fmt: skip
_TRIED_TOGETHER = 3


@dataclass(frozen=True)
class Nearest:
    """What would work. where: the nodes that it would work on, in words."""

    text: str
    wishes: dict[str, Any]
    candidate: Candidate
    where: str


def _given(wishes: Wishes) -> dict[str, Any]:
    """Wishes as a user may give them."""
    found = {name: value for name, value in asdict(wishes).items() if value}
    if wishes.stack:
        found = {name: value for name, value in found.items() if name not in ("torch", "torch_build")}
    if wishes.apex in ("fitting", "none"):
        found["apex"] = wishes.apex == "fitting"
    return found


def _without(wishes: Wishes, names: Sequence[str]) -> Wishes:
    dropped = {*names, *(("torch", "torch_build") if "stack" in names else ())}
    return Wishes(**{name: value for name, value in asdict(wishes).items() if name not in dropped})


def _subsets(held: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, min(len(held), _TRIED_TOGETHER) + 1):
        yield from combinations(held, size)
    if len(held) > _TRIED_TOGETHER:
        yield tuple(held)


def _instead(name: str, candidate: Candidate, accelerator: str) -> str:
    """What a changed wish should be, empty where it is best left out."""
    return {
        "stack": candidate.stack,
        "accelerator": accelerator,
        "python": candidate.python,
        "torch": candidate.torch,
        "torch_build": candidate.build,
        "cuda": candidate.cuda or "",
        "deepspeed": candidate.deepspeed,
    }.get(name, "")


def _change(name: str, before: object, after: str) -> str:
    if name == "bf16":
        return "train with fp16 instead of bf16"
    of_it = f" (it is {before})" if before not in (None, "") else ""
    return f"set {VARIABLES[name]} to {after}{of_it}" if after else f"leave {VARIABLES[name]} out{of_it}"


def _nearest(changes: Sequence[str], wishes: dict[str, Any], candidate: Candidate, where: str) -> Nearest:
    said = f"{', '.join(changes[:-1])} and {changes[-1]}" if len(changes) > 1 else "".join(changes) or "without that"
    what = f"{candidate.name}, python {candidate.python} and DeepSpeed {candidate.deepspeed}"
    return Nearest(f"{said[:1].upper()}{said[1:]}: then {what} fit {where}.", wishes, candidate, where)


def _changes(names: Sequence[str], given: Mapping[str, Any], candidate: Candidate, accelerator: str) -> list[str]:
    """The changes in words; a build that came as the tag of torch_version is changed there."""
    names = list(names)
    tag = str(given.get("torch") or "").partition("+")[2]
    if "torch_build" in names and tag not in ("", candidate.build):
        names = ["torch", *(name for name in names if name not in ("torch", "torch_build"))]
        after = {"torch": f"{candidate.torch}+{candidate.build}"}
    else:
        after = {}
    return [_change(name, given.get(name), after.get(name) or _instead(name, candidate, accelerator)) for name in names]


def _by_wishes(
    wishes: Wishes, given: Mapping[str, Any], groups: Sequence[Group], lost: Sequence[str] | None
) -> Nearest | None:
    """With the fewest wishes changed; lost are those that could not be read and so are changed anyhow."""
    held = [name for name in _ORDER if getattr(wishes, name) and not (wishes.apex == "none" and name == "apex")]
    if wishes.stack:
        held = [name for name in held if name not in ("torch", "torch_build")]
    if not wishes.accelerator and not vendors(groups) and not wishes.torch_build:
        wishes, lost = replace(wishes, accelerator="cpu"), [*(lost or ()), "accelerator"]
    first = [()] if lost is not None else []
    for subset in (*first, *_subsets(held)):
        fewer = _without(wishes, subset)
        outcome = search(fewer, groups)
        if outcome and outcome.candidate:
            names = list(dict.fromkeys([*(lost or ()), *subset]))
            instead = {name: _instead(name, outcome.candidate, outcome.accelerator) for name in names}
            after = {**_given(fewer), **{name: value for name, value in instead.items() if value}}
            if "torch" in after and "+" in after["torch"]:
                after.pop("torch_build", None)
            changes = _changes(names, given, outcome.candidate, outcome.accelerator)
            return _nearest(changes, after, outcome.candidate, "every node")
    return None


def _by_drivers(wishes: Wishes, groups: Sequence[Group]) -> Nearest | None:
    """With drivers that may be touched, and without what nodes wish for them."""
    bound = [group for group in groups if not group.manage or group.branch or group.version or group.flavour]
    free = [replace(group, manage=True, branch="", version="", flavour="") for group in groups]
    outcome = search(wishes, free) if bound else None
    if not outcome or not outcome.candidate:
        return None
    where = named([host for group in bound for host in group.hosts])
    change = f"let the driver be chosen on {where} (nvidia_driver_manage: true, and nothing else said about it)"
    return _nearest([change], _given(wishes), outcome.candidate, "every node")


def _by_nodes(wishes: Wishes, groups: Sequence[Group], everyone: Sequence[str]) -> Nearest | None:
    """With the fewest nodes left out."""
    present = [name for name, vendor in (("cuda", "nvidia"), ("rocm", "amd")) if vendor in vendors(groups)]
    options = []
    for accelerator in [wishes.accelerator] if wishes.accelerator else present:
        for candidate in candidates(wishes, accelerator, True):
            bad = [group for group in groups if candidate.faults or judge(candidate, group, wishes, accelerator)[0]]
            options.append((sum(len(group.hosts) for group in bad), bad))
    count, bad = min(options, key=lambda option: option[0], default=(len(everyone), []))
    rest = [group for group in groups if group not in bad]
    outcome = search(wishes, rest) if count < len(everyone) else None
    if not outcome or not outcome.candidate:
        return None
    out = named(ordered([host for group in bad for host in group.hosts], everyone))
    return _nearest([f"take {out} out of group 'nodes'"], _given(wishes), outcome.candidate, "the other nodes")


def nearest(
    wishes: Wishes,
    given: Mapping[str, Any],
    groups: Sequence[Group],
    everyone: Sequence[str],
    lost: Sequence[str] | None,
) -> Nearest | None:
    """What would work, none where nothing does.

    :param given: the wishes as they came. lost: the names of those that could not be read; none where all could.
    """
    return (
        _by_wishes(wishes, given, groups, lost)
        or _by_drivers(wishes, groups)
        or _by_nodes(wishes, groups, everyone)
        or _by_nodes(Wishes(accelerator=wishes.accelerator), groups, everyone)
    )
