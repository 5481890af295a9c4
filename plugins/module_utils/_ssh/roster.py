# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roster: what is publicly known of every member of the mesh, this run's findings over those of earlier ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named

Record = dict[str, Any]
# Only what may be read by anyone is ever stored.
FIELDS = ("name", "address", "network", "names", "also", "port", "public_keys", "host_keys")


@dataclass(frozen=True)
class Roster:
    """The members in the order of the inventory.

    :param records: what is known of each member that was ever seen.
    :param missing: members of which nothing is known.
    :param outside: members that this run was not asked to touch.
    :param unknown: members of this run with keys that nobody knew before it.
    """

    records: list[Record]
    missing: list[str]
    outside: list[str]
    unknown: list[str]

    @property
    def waiting(self) -> list[str]:
        """Members with a new key beside the one in use."""
        return [record["name"] for record in self.records if len(record["public_keys"]) > 1]

    @property
    def networks(self) -> list[str]:
        """The networks of the members' addresses, or the addresses themselves, each once."""
        found = (record["network"] or record["address"] for record in self.records)
        return sorted({network for network in found if network})

    @property
    def warnings(self) -> list[str]:
        """A sentence for each thing that this run cannot do."""
        found = []
        if self.missing:
            limit = "without --limit " if set(self.missing) & set(self.outside) else ""
            found.append(
                f"Nothing is known yet of {named(self.missing)}, so no node can reach them by ssh; "
                f"run again {limit}once they answer."
            )
        homeless = [record["name"] for record in self.records if not record["address"]]
        if homeless:
            found.append(
                f"No address between nodes is known of {named(homeless)}, so they get no alias; "
                "set ssh_mesh_address for them."
            )
        if self.waiting and self.outside:
            found.append(
                f"The new keys of {named(self.waiting)} wait until {named(self.outside)} can accept them; "
                "run again without --limit to put them into use."
            )
        known = [name for name in self.outside if name not in self.missing]
        new = [name for name in self.unknown if name not in self.waiting]
        if known and new:
            do = "do" if len(known) > 1 else "does"
            found.append(
                f"{named(known)} {do} not know the keys of {named(new)} yet; run again without --limit, so that they "
                "let each other in."
            )
        return found


def read_roster(text: str) -> dict[str, Record]:
    """The records of an earlier run by name; a damaged file is as good as none."""
    try:
        stored = json.loads(text)
        records = [_plain(record) for record in stored["nodes"]]
    except (ValueError, KeyError, TypeError):
        return {}
    return {record["name"]: record for record in records}


def write_roster(records: Sequence[Record]) -> str:
    """The text of the file: one record a line, so that a change shows as one line."""
    lines = ",\n".join(f"    {json.dumps(record, sort_keys=True)}" for record in records)
    return f'{{\n  "nodes": [\n{lines}\n  ]\n}}\n' if records else '{\n  "nodes": []\n}\n'


def left_with_key_of(name: str, members: Iterable[str], stored: str) -> list[str]:
    """Nodes that are no longer members, and whose key is that of a member.

    :param stored: the text of the roster of an earlier run.
    """
    records = read_roster(stored)
    keys = set(records[name]["public_keys"]) if name in records else set()
    staying = set(members)
    return [other for other, record in records.items() if other not in staying and keys & set(record["public_keys"])]


def _plain(record: Mapping[str, Any]) -> Record:
    return {name: record[name] for name in FIELDS}


def _remembered(records: Iterable[Mapping[str, Any]]) -> dict[str, Record]:
    """What most nodes remember of each; one that was down for a while may remember what is no longer so."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        try:
            plain = _plain(record)
        except KeyError:
            continue
        found.setdefault(str(plain["name"]), Counter())[json.dumps(plain, sort_keys=True)] += 1
    return {name: json.loads(counted.most_common(1)[0][0]) for name, counted in found.items()}


def merge(
    members: Sequence[str],
    run: Sequence[str],
    fresh: Sequence[Mapping[str, Any]],
    stored: str,
    remembered: Sequence[Mapping[str, Any]] = (),
) -> Roster:
    """The roster of the members; who left the inventory is forgotten.

    A node without a key (check mode on a virgin host) keeps the one that is stored.

    :param members: the names of all members.
    :param run: the names of the hosts that this run was asked to touch.
    :param fresh: the records that this run found.
    :param stored: the text that the last run stored.
    :param remembered: the records that nodes of this run remember; they count where neither says anything.
    """
    earlier = read_roster(stored)
    known = {**_remembered(remembered), **earlier}
    unknown = []
    for found in fresh:
        record = _plain(found)
        if not record["public_keys"] and record["name"] in known:
            record["public_keys"] = known[record["name"]]["public_keys"]
        before = earlier.get(record["name"], {})
        if any(record[kind] != before.get(kind) for kind in ("public_keys", "host_keys")):
            unknown.append(record["name"])
        known[record["name"]] = record
    return Roster(
        records=[known[name] for name in members if name in known],
        missing=[name for name in members if name not in known],
        outside=[name for name in members if name not in set(run)],
        # A control node that remembers nobody cannot tell.
        unknown=[name for name in unknown if name in set(run)] if earlier else [],
    )
