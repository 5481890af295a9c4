# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The grammar of a DeepSpeed hostfile, as deepspeed.launcher.runner of release 0.19.8 reads it.

Written apart from what renders hostfiles, so that a rendering can be read back by something that does not share its
mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ENTRY = re.compile(r"^(\S+)\s+slots=(\d+)")


class HostfileError(ValueError):
    """A text is not a hostfile that DeepSpeed can use; the message is a sentence for the user."""


def _meaningful(text: str) -> Iterator[str]:
    for raw in text.splitlines():
        line = raw.strip()
        if line and not line.startswith("#"):
            yield line


def parse_hostfile(text: str) -> dict[str, int]:
    """The slots of each host, in the order of ranks.

    :param text: the content of a hostfile.
    :raises HostfileError: the launcher would refuse the text, or would take it and start nothing on a host (slots=0).
    """
    slots: dict[str, int] = {}
    for line in _meaningful(text):
        match = _ENTRY.search(line)
        if match is None:
            raise HostfileError(f"The hostfile line {line!r} is not of the form 'name slots=N'; correct or remove it.")
        name, count = match.group(1), int(match.group(2))
        if name in slots:
            raise HostfileError(f"The hostfile names {name} more than once; keep one line for it.")
        if count == 0:
            raise HostfileError(f"The hostfile gives {name} no slots, so nothing would start there; remove its line.")
        slots[name] = count
    if not slots:
        raise HostfileError("The hostfile names no host; run the hostfile playbook, or write 'name slots=N' lines.")
    return slots


def readable_lines(text: str) -> dict[str, int]:
    """The slots of each host on the lines that can be read; what cannot be read is passed over.

    For a file that a hand may have broken: what it says about a host is kept where it says anything.
    """
    slots: dict[str, int] = {}
    for line in _meaningful(text):
        match = _ENTRY.search(line)
        if match is not None and int(match.group(2)) > 0:
            slots.setdefault(match.group(1), int(match.group(2)))
    return slots


def ranks(slots: dict[str, int]) -> list[tuple[int, str]]:
    """Each rank with the name of its host, counted as the launcher counts them: line by line, slot by slot."""
    hosts = [name for name, count in slots.items() for slot in range(count)]
    return list(enumerate(hosts))
