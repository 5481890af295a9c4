# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.toolkit_check import refusals


def node(capability: str = "8.0") -> Node:
    gpu = {"vendor": "nvidia", "name": "some GPU", "compute_capability": capability}
    # The driver of today is of no interest: that of the plan counts.
    return Node("node1", {"fromzero_gpus": {"gpus": [gpu], "driver": {"library": "470.182.03"}}})


# The driver that is planned, the node, what it is given, words of the sentence; none where all is well.
CASES: list[tuple[str, Node, dict[str, Any], str]] = [
    ("580", node(), {}, ""),
    ("580.95.05", node(), {}, ""),
    ("", node(), {}, ""),
    ("535", node(), {}, "node1: CUDA 13.0 needs driver 580.65.06 or newer, and the driver here is 535"),
    ("525", node(), {"cuda_toolkit_versions": ["12.8"]}, ""),
    ("535.54.03", node(), {"cuda_toolkit_versions": ["12.8", "13.0"]}, "CUDA 13.0 needs driver 580.65.06"),
    ("580", node(), {"cuda_toolkit_versions": ["13.0", "13.01"]}, "CUDA 13.01 is not known; near it are 13.0"),
    ("580", node(), {"cuda_toolkit_versions": ["13.0", "13.0.3"]}, "13.0 more than once"),
    ("580", node(), {"cuda_toolkit_default": "12.8"}, "CUDA 12.8 is to be used"),
    ("580", node(), {"cuda_toolkit_environments": {"/env": "12.8"}}, "CUDA 12.8 is to be used"),
    ("580", node("7.0"), {}, "node1: CUDA 13.0 does not compile for some GPU"),
    ("580", node("7.0"), {"cuda_toolkit_versions": ["12.8", "13.0"]}, ""),
]


@pytest.mark.parametrize(("then", "seen", "values", "words"), CASES)
def test_what_the_role_would_refuse_is_known_with_the_plan(
    then: str, seen: Node, values: dict[str, Any], words: str
) -> None:
    found = refusals(seen, {"then": then}, "13.0", values)
    assert len(found) == bool(words)
    assert words in " ".join(found)
