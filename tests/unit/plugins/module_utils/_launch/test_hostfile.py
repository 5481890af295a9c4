# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import (
    HostfileError,
    parse_hostfile,
    ranks,
    readable_lines,
)

# Each was given to the launcher of DeepSpeed 0.19.8, whose answer is in the second column.
ACCEPTED = [
    ("node1 slots=2\nnode2 slots=4", {"node1": 2, "node2": 4}),
    ("# a comment\n\n  node1 slots=2\n", {"node1": 2}),
    ("node1\tslots=2", {"node1": 2}),
    ("node1 slots=2 extra=1 # note", {"node1": 2}),
    ("user@node1 slots=02", {"user@node1": 2}),
]
REFUSED = [
    ("node1 slots = 4", "'node1 slots = 4' is not of the form"),
    ("node1", "is not of the form"),
    ("node1 slots=x", "is not of the form"),
    ("node1 slots=1\nnode1 slots=1", "names node1 more than once"),
    ("# nothing\n\n", "names no host"),
    ("", "names no host"),
    # The launcher takes this one, and starts nothing on the host.
    ("node1 slots=0", "gives node1 no slots"),
]


@pytest.mark.parametrize(("text", "slots"), ACCEPTED)
def test_what_the_launcher_accepts_is_accepted(text, slots):
    assert parse_hostfile(text) == slots


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_the_launcher_refuses_or_misreads_is_refused(text, words):
    with pytest.raises(HostfileError, match=words):
        parse_hostfile(text)


def test_order_of_lines_is_order_of_ranks():
    assert ranks(parse_hostfile("b slots=1\na slots=2")) == [(0, "b"), (1, "a"), (2, "a")]


def test_a_broken_line_does_not_cost_the_others():
    assert readable_lines("a slots=1\nb slots = 2\nc\nd slots=0\na slots=3\ne slots=4\n") == {"a": 1, "e": 4}
