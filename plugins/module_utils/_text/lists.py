# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists inside sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SHOWN_NAMES = 5


def listed(words: Iterable[object], last: str = "and", most: int | None = None) -> str:
    """A, B and C.

    :param last: the word before the last one.
    :param most: how many are shown, with the number of the others behind them: A, B and 3 more.
    """
    known = [str(word) for word in words]
    if most is not None and len(known) > most:
        known, last = [*known[:most], f"{len(known) - most} more"], "and"
    return f"{', '.join(known[:-1])} {last} {known[-1]}" if len(known) > 1 else "".join(known)


def named(hosts: Sequence[object], everyone: Sequence[object] = ()) -> str:
    """Hosts in a sentence: C(all nodes), or as many names as a reader follows."""
    return "all nodes" if len(hosts) > 1 and len(hosts) == len(everyone) else listed(hosts, most=_SHOWN_NAMES)
