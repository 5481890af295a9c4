# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory this account may still use, and how many compilers that is enough for."""

from __future__ import annotations

import re
from pathlib import Path

GIB = 1 << 30
_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)
# A control group of version 1 without a limit has one that no machine reaches.
_NO_LIMIT = 1 << 60


def available(root: Path = Path("/")) -> int:
    """Bytes that can be had without swapping: what the kernel says is available, and no more than a control group lets.

    :param root: stands for the node's own files.
    """
    found = _AVAILABLE.search(_text(root / "proc/meminfo"))
    free = int(found.group(1)) * 1024 if found else 0
    groups = root / "sys/fs/cgroup"
    for limit, used in (
        (groups / "memory.max", groups / "memory.current"),
        (groups / "memory/memory.limit_in_bytes", groups / "memory/memory.usage_in_bytes"),
    ):
        most, taken = _text(limit).strip(), _text(used).strip()
        if most.isdigit() and taken.isdigit() and int(most) < _NO_LIMIT:
            free = min(free, max(0, int(most) - int(taken)))
    return free


def compilers(cores: int, free: int, for_each: float) -> int:
    """How many compilers may run at once: no more than cores, and so much memory for each, but one at least.

    :param free: bytes. for_each: GiB.
    """
    return max(1, min(cores, int(free // (for_each * GIB)))) if for_each > 0 else max(1, cores)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
