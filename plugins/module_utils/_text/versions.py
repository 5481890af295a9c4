# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions of drivers, CUDA, torch, Python, glibc, kernels: dotted numbers, and what sorts them.

Python packages that are compared exactly follow PEP 440 (C(_python.requirements)), those of conda its own order
(C(_conda.spec)).
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, which sort it: 535.104.05 after 535.86.10, 3.10 after 3.9. A local tag is left out."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def minor(version: str) -> str:
    """12.4 of 12.4.1, 3.11 of 3.11.9, 2.3 of 2.3.0+cu121."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def major(version: str) -> str:
    """580 of 580.95.05."""
    return version.partition(".")[0]
