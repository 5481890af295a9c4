# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wishes and nodes -> one plan for all, or everything that stands in its way, and what would work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import stacks
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Reading, read
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.nearest import Nearest, Unread, nearest
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import grouped, read_groups
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.plan import plan
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.search import Outcome, best_try, search
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark, ordered, sentence
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.warnings import warnings


def _conflicts(
    faults: Iterable[Remark], everyone: Sequence[str], near: Nearest | None, tried: Outcome
) -> list[dict[str, Any]]:
    found = []
    for fault in faults:
        reason = sentence(fault, everyone)
        better = near.candidate if near else None
        of_torch = tried.candidate is not None and fault.text.startswith(tried.candidate.name)
        if near and better and of_torch and tried.candidate and better.name != tried.candidate.name:
            reason = f"{reason[:-1]}; the newest that runs on {near.where} is {better.torch}+{better.build}."
        found.append({"hosts": ordered(fault.hosts, everyone), "subject": fault.subject, "reason": reason})
    return found


def _unread(wishes: Mapping[str, Any], reading: Reading, node_faults: Iterable[Remark]) -> Unread:
    """What could not be read, and what may be meant by it: first the one, then the other of the nearest."""
    lost = list(dict.fromkeys(fault.subject for fault in reading.faults))
    known = [name for name in lost if name in VARIABLES]
    changes = [f"leave the wish {name!r} out" for name in lost if name not in VARIABLES]
    changes += [f"leave nvidia_{fault.subject} out on {named(fault.hosts)}" for fault in node_faults]
    meant = {name: reading.meant[name] for name in known if reading.meant.get(name)}
    guesses = []
    for place in (0, 1):
        guess = {name: near[min(place, len(near) - 1)] for name, near in meant.items()}
        if "stack" in guess:
            guess = {
                **guess,
                "torch": stacks()[guess["stack"]]["torch"],
                "torch_build": stacks()[guess["stack"]]["build"],
            }
        guesses.append(guess)
    return Unread(wishes, known, changes, guesses if meant else ())


def resolve_stack(wishes: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], today: str = "") -> dict[str, Any]:
    """One plan for all nodes, or all conflicts.

    :param wishes: see the filter resolve_stack. nodes: what each reported, by name.
    :param today: the month that ends of life are compared with, such as 2026-11; empty takes the clock's.
    :returns: plan (none where there are conflicts), conflicts, nearest, warnings; see the filter.
    """
    everyone = [str(name) for name in nodes]
    reading = read(wishes)
    groups, node_faults, node_warnings = read_groups(grouped(nodes))
    said = [*reading.warnings, *(warning for warning in node_warnings if warning not in reading.warnings)]
    unread = [*reading.faults, *node_faults]
    outcome = search(reading.wishes, groups)
    if outcome and outcome.candidate and not unread:
        decided = list(zip(groups, outcome.decisions, strict=True))
        said += warnings(outcome, reading.wishes, groups, everyone, today or date.today().strftime("%Y-%m"))
        found = plan(outcome.candidate, outcome.accelerator, decided, everyone)
        return {"plan": found, "conflicts": [], "nearest": None, "warnings": said}
    tried = outcome or best_try(reading.wishes, groups)
    near = nearest(reading.wishes, _unread(wishes, reading, node_faults), groups, everyone)
    conflicts = _conflicts([*unread, *tried.faults], everyone, near, tried)
    return {
        "plan": None,
        "conflicts": conflicts,
        "nearest": {"text": near.text, "wishes": near.wishes} if near else None,
        "warnings": said,
    }
