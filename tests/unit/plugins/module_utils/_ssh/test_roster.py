from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import roster


def record(name: str, *keys: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "address": f"10.0.0.{name[1:]}",
        "network": "10.0.0.0/24",
        "names": [name],
        "also": [],
        "port": 22,
        "public_keys": list(keys) or [f"key {name}"],
        "host_keys": [f"host {name}"],
        **more,
    }


STORED = roster.write_roster([record("n1"), record("n2"), record("n3")])


def names(found: roster.Roster) -> list[str]:
    return [one["name"] for one in found.records]


MERGES = {
    "a first run": (["n1", "n2"], [record("n2"), record("n1")], "", ["n1", "n2"], []),
    "a run with limit": (["n1", "n2", "n3"], [record("n1")], STORED, ["n1", "n2", "n3"], []),
    "a node that left": (["n1", "n3"], [record("n1")], STORED, ["n1", "n3"], []),
    "a node that nobody has seen": (["n1", "n9"], [record("n1")], STORED, ["n1"], ["n9"]),
    "a damaged file": (["n1", "n2"], [record("n1")], "{ not json", ["n1"], ["n2"]),
    "a file of another kind": (["n1"], [record("n1")], "[1, 2]", ["n1"], []),
    "a record that lacks something": (["n1", "n2"], [record("n1")], '{"nodes": [{"name": "n2"}]}', ["n1"], ["n2"]),
}


@pytest.mark.parametrize(("members", "fresh", "stored", "known", "missing"), MERGES.values(), ids=MERGES.keys())
def test_what_is_known_follows_the_inventory(
    members: list[str], fresh: list[dict[str, Any]], stored: str, known: list[str], missing: list[str]
) -> None:
    found = roster.merge(members, members, fresh, stored)
    assert names(found) == known
    assert found.missing == missing


N2_OLD = record("n2", "old key")
# what the nodes remember; the stored text, the key of n2
MEMORIES = {
    "nobody else knows": ([record("n2")], "", "key n2"),
    "the control node knows": ([N2_OLD], STORED, "key n2"),
    "what most nodes remember": ([N2_OLD, record("n2"), record("n2")], "", "key n2"),
    "a record that lacks something": ([{"name": "n2"}, record("n2")], "", "key n2"),
    "a node that left the inventory": ([record("n2"), record("n7")], "", "key n2"),
}


@pytest.mark.parametrize(("remembered", "stored", "key"), MEMORIES.values(), ids=MEMORIES.keys())
def test_what_nodes_remember_counts_where_nobody_else_knows(
    remembered: list[dict[str, Any]], stored: str, key: str
) -> None:
    found = roster.merge(["n1", "n2"], ["n1", "n2"], [record("n1")], stored, remembered)
    assert names(found) == ["n1", "n2"]
    assert found.records[1]["public_keys"] == [key]
    assert found.missing == []


def test_what_this_run_found_replaces_what_nodes_remember() -> None:
    found = roster.merge(["n1"], ["n1"], [record("n1", "new key")], "", [record("n1")])
    assert found.records[0]["public_keys"] == ["new key"]


def test_what_this_run_found_replaces_what_was_stored() -> None:
    found = roster.merge(["n1"], ["n1"], [record("n1", "new key")], STORED)
    assert found.records[0]["public_keys"] == ["new key"]


def test_check_mode_on_a_node_without_a_key_forgets_none() -> None:
    virgin = {**record("n1"), "public_keys": []}
    assert roster.merge(["n1"], ["n1"], [virgin], STORED).records[0]["public_keys"] == ["key n1"]


def test_only_public_fields_are_stored() -> None:
    found = roster.merge(["n1"], ["n1"], [{**record("n1"), "private_key": "secret"}], "")
    assert "secret" not in roster.write_roster(found.records)


def test_the_file_has_one_line_a_node_and_reads_back() -> None:
    assert sum("host n" in line for line in STORED.splitlines()) == 3
    assert list(roster.read_roster(STORED)) == ["n1", "n2", "n3"]
    assert json.loads(roster.write_roster([])) == {"nodes": []}


def test_keys_wait_for_nodes_outside_the_run_and_a_sentence_says_so() -> None:
    found = roster.merge(["n1", "n2"], ["n1"], [record("n1", "old", "new")], STORED)
    assert (found.waiting, found.outside) == (["n1"], ["n2"])
    assert any("The new keys of n1 wait until n2 can accept them" in warning for warning in found.warnings)
    assert roster.merge(["n1"], ["n1"], [record("n1", "old", "new")], "").warnings == []


def test_nodes_that_are_missing_or_have_no_address_are_named() -> None:
    members = ["n1", *[f"m{at}" for at in range(12)]]
    warnings = roster.merge(members, members, [record("n1", address="")], "").warnings
    assert any("m0, m1" in warning and "and 7 more" in warning for warning in warnings)
    assert any("No address between nodes is known of n1" in warning for warning in warnings)


def test_a_limit_is_only_named_where_there_is_one() -> None:
    for run, words in ((["n1", "n9"], "run again once they answer"), (["n1"], "run again without --limit once they")):
        assert words in roster.merge(["n1", "n9"], run, [record("n1")], STORED).warnings[0]


# what the run found of n1, the nodes of the run, what was stored
UNKNOWN = {
    "installed anew": (record("n1", "new"), ["n1"], STORED, True),
    "with a host key of another": (record("n1", host_keys=["new"]), ["n1"], STORED, True),
    "a new node": (record("n4"), ["n4"], STORED, True),
    "as it was": (record("n1"), ["n1"], STORED, False),
    "at another address": (record("n1", address="10.0.0.9"), ["n1"], STORED, False),
    "no limit": (record("n1", "new"), ["n1", "n2", "n3", "n4"], STORED, False),
    "another control node": (record("n1"), ["n1"], "", False),
    "a rotation": (record("n1", "key n1", "new"), ["n1"], STORED, False),
}


@pytest.mark.parametrize(("found", "run", "stored", "warned"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_node_that_the_others_do_not_know_under_a_limit_is_named(
    found: dict[str, Any], run: list[str], stored: str, warned: bool
) -> None:
    warnings = roster.merge(["n1", "n2", "n3", "n4"], run, [found], stored).warnings
    sentence = f"not know the keys of {found['name']} yet; run again without --limit"
    assert any(sentence in warning for warning in warnings) == warned


def test_networks_are_listed_once_and_addresses_stand_in() -> None:
    fresh = [record("n1"), record("n2"), record("n3", network=""), record("n4", network="", address="")]
    assert roster.merge(["n1", "n2", "n3", "n4"], [], fresh, "").networks == ["10.0.0.0/24", "10.0.0.3"]


SHARING = roster.write_roster(
    [record("n1", "shared"), record("n2", "shared"), record("n3"), record("n4", "shared", "next")]
)
# the member; the members now; the stored text, who left with its key
LEAVERS = {
    "nobody left": ("n1", ["n1", "n2", "n3", "n4"], SHARING, []),
    "one that had the key": ("n1", ["n1", "n3", "n4"], SHARING, ["n2"]),
    "one that had the key in use beside a waiting one": ("n2", ["n1", "n2", "n3"], SHARING, ["n4"]),
    "one with a key of its own": ("n1", ["n1", "n2", "n4"], SHARING, []),
    "a first run": ("n1", ["n1"], "", []),
    "a member that nobody has seen": ("n9", ["n9"], SHARING, []),
    "a damaged file": ("n1", ["n1"], "{ not json", []),
}


@pytest.mark.parametrize(("name", "members", "stored", "left"), LEAVERS.values(), ids=LEAVERS.keys())
def test_who_left_with_the_key_of_a_member(name: str, members: list[str], stored: str, left: list[str]) -> None:
    assert roster.left_with_key_of(name, members, stored) == left
