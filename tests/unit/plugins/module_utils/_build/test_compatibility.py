# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.compatibility import Here, problems

NEEDS = {"machine": "x86_64", "glibc": "2.36", "python": "3.11", "torch": "2.13.0+cpu", "instructions": []}
HERE = {"machine": "x86_64", "glibc": "2.36", "python": "3.11.9", "torch": "2.13.0+cpu", "instructions": ["avx"]}

CASES = [
    ({}, {}, []),
    ({}, {"glibc": "2.39"}, []),
    ({}, {"glibc": "2.4"}, ["with glibc 2.36, and this node has the older 2.4"]),
    ({}, {"glibc": None}, ["with glibc 2.36, and this node has another C library than glibc"]),
    ({"glibc": None}, {"glibc": None}, []),
    ({}, {"machine": "aarch64"}, ["was built on node1 for x86_64, and this node is aarch64", "a play of its own"]),
    ({}, {"python": "3.12.0"}, ["for Python 3.11, and the environment here has 3.12"]),
    ({}, {"torch": "2.13.0+cu130"}, ["with torch 2.13.0+cpu, and the environment here has 2.13.0+cu130"]),
    ({}, {"torch": ""}, ["and the environment here has none"]),
    ({"torch": ""}, {"torch": "2.0"}, []),
    ({"instructions": ["avx"]}, {}, []),
    (
        {"instructions": ["avx", "avx512f", "amx_tile"]},
        {},
        ["for the very processor there, and the one of this node lacks amx_tile, avx512f"],
    ),
]


@pytest.mark.parametrize(("needs", "here", "sentences"), CASES)
def test_wheel_that_does_not_fit_is_told(needs, here, sentences):
    wheel = {"filename": "x-1.0-cp311-cp311-linux_x86_64.whl", "built_on": "node1", "needs": {**NEEDS, **needs}}
    found = " ".join(problems(wheel, Here(**{**HERE, **here})))
    assert bool(found) == bool(sentences)
    for sentence in sentences:
        assert sentence in found


def test_all_that_does_not_fit_is_told_at_once():
    wheel = {"filename": "x.whl", "built_on": "node1", "needs": {**NEEDS, "instructions": ["sve"]}}
    assert len(problems(wheel, Here("x86_64", "2.17", "3.9.1", "1.13.0", []))) == 4
