# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.env import EnvironmentFileError, render_env

RENDERED = [
    ({"A": "1", "B": "x=y"}, "A=1\nB=x=y\n"),
    ({"A": None, "B": 2}, "B=2\n"),
    ({"A": True, "B": False}, "A=1\nB=0\n"),
    ({"A": ""}, "A=\n"),
    ({"A": " padded "}, "A=padded\n"),
    ({}, ""),
]
REFUSED = [
    ({"": "1"}, "is not the name"),
    ({"export A": "1"}, "'export A' is not the name"),
    ({"# note": "1"}, "is not the name"),
    ({"A": "one\ntwo"}, "more than one line"),
    ({"A": 'say "hi"'}, "double quote"),
    ({"NCCL_SOCKET_IFNAME": "=eth0"}, "a node's own"),
    ({"GLOO_SOCKET_IFNAME": "eth0"}, "a node's own"),
]
# value, release, whether it is worth a warning
REMARKED = [
    ("a b", "0.16.4", True),
    ("a;b", "0.14.5", True),
    ("a b", "0.16.9", False),
    ("a b", "", False),
    ("plain", "0.10.3", False),
    ("/logs/%h.%p", "", True),
    ("100%", "", False),
]


@pytest.mark.parametrize(("variables", "text"), RENDERED)
def test_lines_are_key_and_value_only(variables, text):
    assert render_env(variables).text == text


@pytest.mark.parametrize(("variables", "words"), REFUSED)
def test_what_breaks_the_launcher_or_differs_per_node_is_refused(variables, words):
    with pytest.raises(EnvironmentFileError, match=words):
        render_env(variables)


@pytest.mark.parametrize(("value", "version", "warned"), REMARKED)
def test_a_value_that_will_mean_something_else_on_the_nodes_is_remarked(value, version, warned):
    assert bool(render_env({"A": value}, version=version).remarks) is warned
