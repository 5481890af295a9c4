# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import HostfileError
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.hostfile import (
    render_addresses,
    render_hostfile,
    render_machines,
)

# name, what was measured, the other parameters, the text
RENDERED = [
    ("inventory order", {"b": 1, "a": 2}, {"order": ["b", "a"]}, "b slots=1\na slots=2\n"),
    (
        "head first",
        {"a": 1, "b": 2, "c": 3},
        {"order": ["a", "b", "c"], "head": "b"},
        "b slots=2\na slots=1\nc slots=3\n",
    ),
    ("no slots", {"a": 0, "b": 2}, {}, "b slots=2\n"),
    ("slots as text", {"a": "4"}, {}, "a slots=4\n"),
    ("failed in this run", {"a": 1}, {"order": ["a", "b"], "present": "a slots=1\nb slots=1\n"}, "a slots=1\n"),
    ("gone from the inventory", {"a": 1}, {"order": ["a"], "present": "a slots=1\nold slots=9\n"}, "a slots=1\n"),
    (
        "outside the limit",
        {"b": 4},
        {"order": ["a", "b", "c"], "head": "a", "present": "a slots=2\nb slots=1\nc slots=8\n", "away": ["a", "c"]},
        "a slots=2\nb slots=4\nc slots=8\n",
    ),
    (
        "outside the limit and gone from the inventory",
        {"b": 4},
        {"order": ["b"], "present": "x slots=2\n", "away": []},
        "b slots=4\n",
    ),
    ("outside the limit and never measured", {"a": 1}, {"order": ["a", "b"], "away": ["b"]}, "a slots=1\n"),
    (
        "outside the limit in a file that a hand broke",
        {"a": 1},
        {"order": ["a", "b", "c"], "present": "b slots = 2\n# c\nc slots=3 # note\n", "away": ["b", "c"]},
        "a slots=1\nc slots=3\n",
    ),
    (
        "nothing here, something outside the limit",
        {"a": 0},
        {"order": ["a", "b"], "present": "b slots=2\n", "away": ["b"]},
        "b slots=2\n",
    ),
]

# name, what was measured, words of the sentence
REFUSED = [
    ("negative", {"a": -1}, "slots of a are -1"),
    ("text", {"a": "many"}, "slots of a are 'many'"),
    ("a fraction", {"a": 1.5}, "whole number"),
    ("a truth value", {"a": True}, "whole number"),
    ("zero everywhere", {"a": 0, "b": 0}, "no GPU was found on a, b"),
    ("no node", {}, "nothing to train on"),
    ("a user in the name", {"me@a": 1}, "'me@a' cannot stand in a hostfile"),
    ("a comment for a name", {"#a": 1}, "cannot stand in a hostfile"),
    ("a slot list in the name", {"a:0": 1}, "cannot stand in a hostfile"),
    ("pdsh's brackets in the name", {"a[1-2]": 1}, "cannot stand in a hostfile"),
    ("an option for a name", {"-w": 1}, "cannot stand in a hostfile"),
]


@pytest.mark.parametrize(
    ("measured", "options", "text"), [row[1:] for row in RENDERED], ids=[row[0] for row in RENDERED]
)
def test_hostfile_is_rendered(measured, options, text):
    assert render_hostfile(measured, **options).text == text


@pytest.mark.parametrize(("measured", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_no_hostfile_can_carry_is_refused(measured, words):
    with pytest.raises(HostfileError, match=words.replace("[", r"\[")):
        render_hostfile(measured)


def test_hostfile_has_no_comment_and_no_blank_line_because_ds_ssh_takes_each_line_for_a_host():
    text = render_hostfile({f"node{number}": number for number in range(20)}).text
    assert all(line.split()[1].startswith("slots=") for line in text.split("\n")[:-1])


@pytest.mark.parametrize(
    ("measured", "order", "words"),
    [
        ({"a": 1, "b": 0}, ["a", "b"], "b brings no slots"),
        ({"a": 1}, ["a", "b"], "b is not healthy"),
        ({"a": 1, "b": 2}, ["a", "b"], "unequal numbers of slots (a 1, b 2)"),
    ],
)
def test_a_remark_names_what_the_user_should_know(measured, order, words):
    assert [remark for remark in render_hostfile(measured, order=order).remarks if words in remark]


def test_a_thousand_nodes_keep_their_order():
    names = [f"node{number}" for number in range(1000)]
    text = render_hostfile(dict.fromkeys(reversed(names), 8), order=names, head="node500").text
    assert [line.split()[0] for line in text.splitlines()] == ["node500", *(n for n in names if n != "node500")]


@pytest.mark.parametrize(
    ("measured", "options", "text"),
    [
        ({"a": "192.0.2.1", "b": ""}, {}, "a 192.0.2.1\n"),
        (
            {"b": "192.0.2.2"},
            {"order": ["a", "b", "c"], "present": "a 192.0.2.9\nc 192.0.2.3\n", "away": ["a"]},
            "a 192.0.2.9\nb 192.0.2.2\n",
        ),
    ],
)
def test_addresses_are_those_of_this_run_and_of_nodes_outside_the_limit(measured, options, text):
    assert render_addresses(measured, **options) == text


# hostfile, addresses, the answer
MACHINES = [
    (
        "a slots=2\nb slots=3\n",
        "b 10.0.0.2\na 10.0.0.1\n",
        {"nodes": {"a": (0, 2), "b": (1, 3)}, "processes": 5, "master": "10.0.0.1", "equal": False},
    ),
    ("b slots=4\n", "a 10.0.0.1\n", {"nodes": {"b": (0, 4)}, "processes": 4, "master": "", "equal": True}),
    ("# by hand\na slots=2\nb slots = 2\n", "", {"nodes": {"a": (0, 2)}, "processes": 2, "master": "", "equal": True}),
    ("", "", {"nodes": {}, "processes": 0, "master": "", "equal": True}),
]


@pytest.mark.parametrize(("hostfile", "addresses", "expected"), MACHINES)
def test_other_launchers_count_as_the_hostfile_does(hostfile, addresses, expected):
    found = render_machines(hostfile, addresses)
    assert {name: (node["rank"], node["slots"]) for name, node in found.pop("nodes").items()} == expected.pop("nodes")
    assert found == expected
