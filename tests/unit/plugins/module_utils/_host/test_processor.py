# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.processor import instructions, level

V1 = "fpu sse sse2 syscall nx lm hypervisor"
V2 = f"{V1} cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"

LEVELS = [(V1, 1), (V2, 2), (V3, 3), (V4, 4), (V3.replace("bmi2", ""), 2), (f"{V1} avx512f", 1)]


@pytest.mark.parametrize(("flags", "expected"), LEVELS)
def test_level_is_the_highest_of_which_nothing_is_missing(flags, expected):
    assert level(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: x\n") == expected


def test_instructions_are_those_that_a_compiler_uses():
    assert instructions(f"flags\t\t: {V2} avx512_vnni amx_tile pti ibrs\n") == [
        *("amx_tile", "avx512_vnni", "cx16", "lahf_lm", "pni", "popcnt", "sse", "sse2", "sse4_1", "sse4_2", "ssse3"),
    ]


def test_other_processors_have_features_and_no_level():
    arm = "processor\t: 0\nFeatures\t: fp asimd sve\n"
    assert instructions(arm) == ["asimd", "fp", "sve"]
    assert level(arm) == 0


def test_file_without_flags_says_nothing():
    assert instructions("processor : 0\n") == []
    assert level("") == 0
