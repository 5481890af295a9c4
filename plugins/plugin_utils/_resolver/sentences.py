# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sentences about nodes, which agree with how many there are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers

_VERSION = re.compile(r"\d+(\.\d+)*")
_EITHER = re.compile(r"\{(\w+)\|(\w+)\}")


@dataclass(frozen=True)
class Remark:
    """Something about nodes. subject: the wish it concerns. text: with {hosts}, and {has|have} for one or several."""

    subject: str
    text: str
    hosts: tuple[str, ...] = ()


def merged(remarks: Iterable[Remark]) -> list[Remark]:
    """What is said alike of several nodes, once with all of them."""
    found: dict[tuple[str, str], Remark] = {}
    for remark in remarks:
        same = found.get((remark.subject, remark.text))
        hosts = (*same.hosts, *remark.hosts) if same else remark.hosts
        found[remark.subject, remark.text] = replace(remark, hosts=hosts)
    return list(found.values())


def ordered(hosts: Iterable[str], everyone: Sequence[str]) -> list[str]:
    """Nodes in the order of the inventory."""
    held = set(hosts)
    return [host for host in everyone if host in held]


def sentence(remark: Remark, everyone: Sequence[str]) -> str:
    """A remark as a sentence, with its nodes."""
    hosts = ordered(remark.hosts, everyone)
    text = _EITHER.sub(lambda match: match[1] if len(hosts) == 1 else match[2], remark.text)
    text = text.replace("{hosts}", named(hosts, everyone) if hosts else "no node")
    text = f"{text[:1].upper()}{text[1:]}" if text.startswith("all nodes") else text
    return text if text.endswith(".") else f"{text}."


def span(versions: Sequence[str]) -> str:
    """3.10 to 3.13, for versions in their order."""
    return versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"


def near_names(text: str, known: Sequence[str]) -> list[str]:
    """The known names that are like one that is not, or the known versions next to it."""
    within = _VERSION.search(text)
    if not within or not all(_VERSION.fullmatch(name) for name in known):
        return difflib.get_close_matches(text, known, 3, 0.4)
    exact = [name for name in known if name in (within[0], f"{within[0]}.0")]
    if exact:
        return exact
    ranked = sorted(known, key=numbers)
    below = [name for name in ranked if numbers(name) < numbers(within[0])]
    return [*below[-1:], *[name for name in ranked if numbers(name) > numbers(within[0])][:1]]


def named_near(near: Sequence[str]) -> str:
    """What is near as the end of a sentence; empty where nothing is."""
    verb = "is" if len(near) == 1 else "are"
    return f"; the nearest {verb} {listed(near)}" if near else ""
