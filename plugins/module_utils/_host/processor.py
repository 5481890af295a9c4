# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a processor can execute, as far as a compiler that is told -march=native makes use of it."""

from __future__ import annotations

import re

_FLAGS = re.compile(r"^(?:flags|Features)\s*:(?P<flags>.*)$", re.MULTILINE)
# Those of x86 that gcc emits code for; the rest speaks of virtual machines, power and mitigations.
_X86 = re.compile(
    r"^(mmx|sse|sse2|pni|ssse3|sse4_[12a]|sse4a|avx\w*|fma4?|f16c|bmi[12]|adx|aes|pclmulqdq|sha_ni|vaes|vpclmulqdq|gfni"
    r"|amx_\w+|abm|lzcnt|popcnt|movbe|xop|tbm|3dnow\w*|cx16|lahf_lm|fsgsbase|rdrand|rdseed|clflushopt|clwb|movdir\w+)$"
)
# The levels of the x86-64 psABI, by what each asks for beyond the one before.
_LEVELS = (
    {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
    {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"},
    {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
)


def instructions(cpuinfo: str) -> list[str]:
    """The sets of instructions of a processor, by the kernel's names, sorted.

    :param cpuinfo: the content of /proc/cpuinfo.
    """
    found = _FLAGS.search(cpuinfo)
    flags = set(found["flags"].split()) if found else set()
    on_x86 = "sse2" in flags
    return sorted(flag for flag in flags if not on_x86 or _X86.match(flag))


def level(cpuinfo: str) -> int:
    """The level of the x86-64 psABI that a processor has, 1 to 4; 0 for other processors."""
    flags = set(instructions(cpuinfo))
    if "sse2" not in flags:
        return 0
    reached = 1
    for needed in _LEVELS:
        if not needed <= flags:
            break
        reached += 1
    return reached
