# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What programs write when something fails, from C(data/symptoms.yml)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


@dataclass(frozen=True)
class Symptom:
    """A row: the signature of a text, its cause and the fix, empty where the row has none.

    :ivar consequence: it tells only of another rank that is not there.
    """

    signature: re.Pattern[str]
    cause: str
    fix: str
    consequence: bool = False


@dataclass(frozen=True)
class Finding:
    """A symptom in a text, its sentences filled in."""

    cause: str
    fix: str


@cache
def symptoms(kind: str) -> tuple[Symptom, ...]:
    """The symptoms of a list in the file, such as C(launch), in their order."""
    return tuple(
        Symptom(
            re.compile(row["signature"]), row.get("cause", ""), row.get("fix", ""), bool(row.get("consequence", False))
        )
        for row in rows("symptoms")[kind]
    )


def first(kind: str, text: str, *, consequences: bool = True) -> Finding | None:
    """The first symptom that a text shows; null where none is known.

    :param consequences: whether rows count that tell only of another rank.
    """
    for symptom in symptoms(kind):
        match = symptom.signature.search(text) if consequences or not symptom.consequence else None
        if match:
            groups = {name: (value or "").strip().rstrip(".") for name, value in match.groupdict().items()}
            return Finding(symptom.cause.format(**groups), symptom.fix.format(**groups))
    return None
