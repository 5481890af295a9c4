# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.template import trust_as_template

from ansible_collections.fromzero.deepspeed.plugins.filter.resolve_stack import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import cluster, node


def test_a_plan_is_plain_data() -> None:
    tagged = trust_as_template("2.0.1")
    assert tagged.__class__ is not str
    found = resolve_stack({"torch": tagged}, cluster(node("a100", distribution=tagged)))
    assert found["plan"]["torch"]["version"].__class__ is str
    assert yaml.safe_load(yaml.safe_dump(found)) == found


@pytest.mark.parametrize("wishes", [None, {}, {"torch": None}])
def test_no_wish_is_none(wishes: Any) -> None:
    assert resolve_stack(wishes, cluster(node("a100")))["plan"]["stack"] == "torch-2.13-cu130"


@pytest.mark.parametrize(
    ("wishes", "nodes", "said"),
    [
        ("2.0.1", {"node1": {}}, "needs wishes as a dictionary, and was given str"),
        ({}, {}, "with one node at least"),
        ({}, None, "with one node at least"),
        ({}, ["node1"], "needs nodes as a dictionary"),
        ({}, {"node1": {}, "node2": None}, "was given no report of node2, but something else"),
    ],
)
def test_what_is_no_dictionary_is_refused_by_a_sentence(wishes: Any, nodes: Any, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        resolve_stack(wishes, nodes)
