# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.fact import PlanError, read

PLAN = {
    "torch": {"version": "2.9.1", "build": "cu126"},
    "cuda": None,
    "architectures": ["7.0"],
    "node": {"driver": {"branch": "580", "version": "", "flavour": None}},
}


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("torch.version", "2.9.1"),
        ("architectures", ["7.0"]),
        ("node.driver.branch", "580"),
        ("torch", {"version": "2.9.1", "build": "cu126"}),
        # An empty text is a value: nothing is pinned.
        ("node.driver.version", ""),
        ("node.driver.flavour", "fallback"),
        ("cuda", "fallback"),
        # Where a whole part is left empty, so is all that could be in it.
        ("cuda.version", "fallback"),
    ],
)
def test_a_place_gives_its_value_and_an_empty_one_the_default(place: str, wanted: Any) -> None:
    assert read(PLAN, place, "fallback") == wanted


def test_without_a_plan_the_default_counts() -> None:
    assert read(None, "torch.version", "2.13.0") == "2.13.0"
    assert read(None, "torch.version") is None


@pytest.mark.parametrize("place", ["torch.vresion", "driver.branch", "node.driver.brand"])
def test_a_place_that_no_plan_has_is_refused_with_those_that_there_are(place: str) -> None:
    with pytest.raises(PlanError, match=rf"The plan has no '{place}': '[a-z]+' is not among \w+"):
        read(PLAN, place, "x")
