# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the hostfile and the table of addresses from what the nodes reported. Plain values in, text out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import (
    HostfileError,
    parse_hostfile,
    readable_lines,
)

# What ssh, pdsh and the launcher's --include (NODE:SLOT@NODE) can all carry as a host's name.
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")


@dataclass(frozen=True)
class Rendering:
    """A text, and one sentence for each thing about it that the user should know."""

    text: str
    remarks: list[str] = field(default_factory=list)


def slots_of(name: str, value: Any) -> int:
    """The number of slots that a host was given or measured to have.

    :raises HostfileError: the value is not a whole number of at least 0.
    """
    if isinstance(value, bool) or not re.fullmatch(r"\s*[+-]?\d+\s*", str(value)):
        raise HostfileError(f"The slots of {name} are {str(value)!r}; set hostfile_slots to a whole number such as 8.")
    count = int(value)
    if count < 0:
        raise HostfileError(f"The slots of {name} are {count}; set hostfile_slots to 0 (leave it out) or more.")
    return count


def _in_rank_order(order: Sequence[str], head: str | None) -> list[str]:
    """The head first, because the first line is rank 0 and its host the master; then the order of the inventory."""
    return sorted(dict.fromkeys(order), key=lambda name: name != head)


def render_hostfile(
    measured: Mapping[str, Any],
    *,
    order: Sequence[str] = (),
    head: str | None = None,
    present: str = "",
    away: Collection[str] = (),
) -> Rendering:
    """The hostfile of a cluster.

    :param measured: the slots of each node that is healthy in this run.
    :param order: every node of the inventory in its order; by default the nodes measured.
    :param head: the node whose line comes first.
    :param present: the hostfile as it is; read only for the nodes that are away.
    :param away: nodes that this run leaves alone (--limit); they keep the line they have.
    :raises HostfileError: a name or a number of slots that no hostfile can carry, or no slot on any node.
    """
    nodes = _in_rank_order(order or list(measured), head)
    kept = readable_lines(present) if away else {}
    slots: dict[str, int] = {}
    remarks = []
    for name in nodes:
        if name in measured:
            if not _NAME.match(name):
                raise HostfileError(
                    f"The name {name!r} cannot stand in a hostfile; use letters, digits, dots and dashes only."
                )
            count = slots_of(name, measured[name])
            if count:
                slots[name] = count
            else:
                remarks.append(
                    f"{name} brings no slots and is left out of the hostfile; set hostfile_slots if it should train."
                )
        elif name in away:
            if name in kept:
                slots[name] = kept[name]
        else:
            remarks.append(f"{name} is not healthy in this run and is left out of the hostfile.")
    if not slots:
        raise HostfileError(
            "No node brings a slot, so there is nothing to train on: no GPU was found on "
            f"{', '.join(measured) or 'any node'}. Set cluster_accelerator to cpu, or hostfile_slots per host."
        )
    if len(set(slots.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in slots.items())
        remarks.append(
            f"The nodes bring unequal numbers of slots ({counts}); the launchers mpich and impi refuse that."
        )
    text = "".join(f"{name} slots={count}\n" for name, count in slots.items())
    if parse_hostfile(text) != slots:
        raise HostfileError(f"The rendered hostfile does not read back as it was meant; report this text: {text!r}.")
    return Rendering(text, remarks)


def render_addresses(
    measured: Mapping[str, str],
    *,
    order: Sequence[str] = (),
    present: str = "",
    away: Collection[str] = (),
) -> str:
    """One line "name address" per node: where the master of a run listens when that node comes first.

    The parameters are those of render_hostfile, with addresses in the place of slots; a node without one gets no line.
    """
    kept = dict(line.split()[:2] for line in present.splitlines() if len(line.split()) >= 2)
    lines = {}
    for name in order or list(measured):
        address = measured.get(name) or (kept.get(name) if name in away else None)
        if address:
            lines[name] = address
    return "".join(f"{name} {address}\n" for name, address in lines.items())


def render_machines(hostfile: str, addresses: str) -> dict[str, Any]:
    """What other launchers than deepspeed ask for, from the hostfile and the table of addresses.

    Lines that cannot be read are passed over, since a hand may have broken them; without any there is no node.
    """
    slots = readable_lines(hostfile)
    table = dict(line.split()[:2] for line in addresses.splitlines() if len(line.split()) >= 2)
    return {
        "nodes": {name: {"rank": rank, "slots": count} for rank, (name, count) in enumerate(slots.items())},
        "processes": sum(slots.values()),
        "master": table.get(next(iter(slots), ""), ""),
        "equal": len(set(slots.values())) <= 1,
    }
