# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would work where the wishes do not: with the fewest of them changed, else with freer drivers or fewer nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.candidates import Candidate, candidates
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.checks import judge
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group, vendors
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.search import Outcome, search
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import ordered

# Which wish goes first: what costs a user least.
_ORDER = (
    "apex", "driver_version", "driver_branch", "cuda", "torch_build", "python", "deepspeed", "bf16", "torch", "stack",
    "accelerator",
)  # fmt: skip
_TRIED_TOGETHER = 3
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Unread:
    """What could not be read. given: the wishes as they came. names: of those that are lost. changes: in words, what
    else is to change. guesses: what may be meant by those that are lost."""

    given: Given
    names: Sequence[str] = ()
    changes: Sequence[str] = ()
    guesses: Sequence[Mapping[str, Any]] = ()


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


def _held(wishes: Wishes) -> tuple[str, ...]:
    """The names of the wishes that there are; that apex is left out stands in nobody's way."""
    held = [name for name in _ORDER if getattr(wishes, name) not in ("", False, "none")]
    return tuple(name for name in held if not (wishes.stack and name in ("torch", "torch_build")))


def _after(fewer: Wishes, names: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    """The wishes after the changes."""
    if outcome.candidate is None:
        return {}
    empty = [name for name in names if not getattr(fewer, name)]
    instead = {name: _instead(name, outcome.candidate, outcome.accelerator) for name in empty}
    return {**_given(fewer), **{name: value for name, value in instead.items() if value}}


def _change(name: str, before: object, after: str) -> str:
    if name == "bf16":
        return "train with fp16 instead of bf16"
    of_it = f" (it is {before})" if before not in (None, "") else ""
    return f"set {VARIABLES[name]} to {after}{of_it}" if after else f"leave {VARIABLES[name]} out{of_it}"


def _nearest(changes: Sequence[str], wishes: dict[str, Any], candidate: Candidate, where: str) -> Nearest:
    said = listed(changes) or "without that"
    what = f"{candidate.name}, python {candidate.python} and DeepSpeed {candidate.deepspeed}"
    return Nearest(f"{said[:1].upper()}{said[1:]}: then {what} fit {where}.", wishes, candidate, where)


def _changes(names: Sequence[str], given: Given, outcome: Outcome, after: Wishes) -> list[str]:
    """The changes in words; a build that came as the tag of torch_version is changed there."""
    candidate = outcome.candidate
    if candidate is None:
        return []
    values = {name: getattr(after, name) or _instead(name, candidate, outcome.accelerator) for name in names}
    tag = str(given.get("torch") or "").partition("+")[2]
    if "torch_build" in values and tag not in ("", candidate.build):
        del values["torch_build"]
        values["torch"] = f"{candidate.torch}+{candidate.build}"
        if given.get("torch_build"):
            values["torch_build"] = ""
    return [
        _change(name, given.get(name), value) for name, value in values.items() if given.get(name) != (value or None)
    ]


def _by_wishes(wishes: Wishes, unread: Unread, groups: Sequence[Group]) -> Nearest | None:
    """With the fewest wishes changed, besides those that could not be read."""
    tried: list[tuple[Wishes, tuple[str, ...]]] = [(replace(wishes, **guess), ()) for guess in unread.guesses]
    if unread.names or unread.changes:
        tried.append((wishes, ()))
    tried += [(_without(wishes, subset), subset) for subset in _subsets(_held(wishes))]
    for fewer, subset in tried:
        outcome = search(fewer, groups)
        if outcome and outcome.candidate:
            names = list(dict.fromkeys([*unread.names, *subset]))
            changes = [*unread.changes, *_changes(names, unread.given, outcome, fewer)]
            return _nearest(changes, _after(fewer, names, outcome), outcome.candidate, "every node")
    return None


# What nodes have said about their driver, the lightest to change first.
_LIMITS: tuple[dict[str, Any], ...] = (
    {"flavour": ""},
    {"branch": "", "version": ""},
    {"flavour": "", "branch": "", "version": ""},
    {"manage": True},
    {"manage": True, "flavour": "", "branch": "", "version": ""},
)


def _driver_changes(group: Group, freed: Group, branch: str) -> list[str]:
    """How the variables of a group are to be changed, in words."""
    where = f"on {named(group.hosts)}"
    found = [f"set nvidia_driver_manage to true {where}"] if freed.manage and not group.manage else []
    if group.flavour and not freed.flavour:
        found.append(f"set nvidia_driver_flavour to auto {where} (it is {group.flavour})")
    if group.branch and not freed.branch:
        found.append(f"set nvidia_driver_branch to {branch} {where} (it is {group.branch})")
    if group.version and not freed.version:
        found.append(f"leave nvidia_driver_version out {where} (it is {group.version})")
    return found


def _by_drivers(wishes: Wishes, groups: Sequence[Group]) -> Nearest | None:
    """With less said about the drivers of nodes."""
    for limit in _LIMITS:
        free = [replace(group, **limit) for group in groups]
        outcome = search(wishes, free) if free != list(groups) else None
        if outcome and outcome.candidate:
            changes = [
                change
                for group, freed, decision in zip(groups, free, outcome.decisions, strict=True)
                if judge(outcome.candidate, group, wishes, outcome.accelerator)[0]
                for change in _driver_changes(group, freed, decision.branch or "")
            ]
            return _nearest(changes, _given(wishes), outcome.candidate, "every node")
    return None


def _by_nodes(wishes: Wishes, groups: Sequence[Group], everyone: Sequence[str]) -> tuple[Outcome, list[str]] | None:
    """With the fewest nodes left out, and which."""
    present = [name for name, vendor in (("cuda", "nvidia"), ("rocm", "amd")) if vendor in vendors(groups)]
    options = []
    for accelerator in [wishes.accelerator] if wishes.accelerator else present:
        for candidate in candidates(wishes, accelerator, True):
            bad = [group for group in groups if candidate.faults or judge(candidate, group, wishes, accelerator)[0]]
            options.append((sum(len(group.hosts) for group in bad), bad))
    count, bad = min(options, key=lambda option: option[0], default=(len(everyone), []))
    rest = [group for group in groups if group not in bad]
    outcome = search(wishes, rest) if count < len(everyone) else None
    return (outcome, ordered([host for group in bad for host in group.hosts], everyone)) if outcome else None


def _by_fewer_nodes(wishes: Wishes, unread: Unread, groups: Sequence[Group], everyone: Sequence[str]) -> Nearest | None:
    """With the fewest nodes left out, and where that is not enough one wish changed, or as many as must be."""
    held = _held(wishes)
    for subset in ((), *((name,) for name in held), held):
        found = _by_nodes(_without(wishes, subset), groups, everyone)
        if found is None:
            continue
        dropped = [*subset]
        for name in reversed(subset):
            # Whatever need not go with the others stays.
            kept = [other for other in dropped if other != name]
            again = _by_nodes(_without(wishes, kept), groups, everyone)
            if again and again[1] == found[1]:
                found, dropped = again, kept
        outcome, out = found
        if outcome.candidate:
            fewer = _without(wishes, dropped)
            names = list(dict.fromkeys([*unread.names, *dropped]))
            changes = [*unread.changes, *_changes(names, unread.given, outcome, fewer)]
            changes = [f"take {named(out)} out of group 'nodes'", *changes] if out else changes
            where = "the other nodes" if out else "every node"
            return _nearest(changes, _after(fewer, names, outcome), outcome.candidate, where)
    return None


def nearest(wishes: Wishes, unread: Unread, groups: Sequence[Group], everyone: Sequence[str]) -> Nearest | None:
    """What would work, none where nothing does."""
    if not wishes.accelerator and not wishes.torch_build and not vendors(groups):
        wishes, unread = replace(wishes, accelerator="cpu"), replace(unread, names=[*unread.names, "accelerator"])
    return (
        _by_wishes(wishes, unread, groups)
        or _by_drivers(wishes, groups)
        or _by_fewer_nodes(wishes, unread, groups, everyone)
    )
