# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.checks import (
    CONNECTION,
    address_problems,
    comment_problems,
    connection_problems,
    depot_problems,
    group_problems,
    inventory_problems,
    knob_problems,
    limit_problems,
    membership_problems,
    misspelt,
    name_problem,
    name_problems,
    role_variable_problems,
    slot_problems,
    without_comments,
)

NO_CONNECTION = [
    ({"ansible_host": ""}, "must be the node's address"),
    ({"ansible_host": None}, "must be the node's address"),
    ({"ansible_host": "10.0.0.5:2222"}, "ansible_port"),
    ({"ansible_host": "root@10.0.0.5"}, "ansible_user"),
    ({"ansible_host": "10.0.0.5 "}, "blank"),
    ({"ansible_port": "abc"}, "1 to 65535"),
    ({"ansible_port": 0}, "1 to 65535"),
    ({"ansible_port": 65536}, "1 to 65535"),
]

CONNECTIONS = [
    {},
    {"ansible_host": "fe80::1%eth0", "ansible_port": "22"},
    {"ansible_host": "fd00::5", "ansible_port": 2222},
    {"ansible_host": "node_1.example.com", "ansible_port": None},
]

CARRIED = ["node1", "Node-1", "gpu_7", "a", "node1.example.com", "10.0.0.5", "7up", "x" * 63]

NOT_CARRIED = [
    ("-node", "begins or ends"),
    ("node-", "begins or ends"),
    ("_node", "begins or ends"),
    (".node", "begins or ends"),
    ("node 1", "' '"),
    ("node1,node2", "','"),
    ("node[1-2]", "'['"),
    ("user@node", "'@'"),
    ("node:22", "':'"),
    ("node#1", "'#'"),
    ("node%h", "'%'"),
    ("nöde", "'ö'"),
    ("fd00::5", "IPv6"),
    ("a..b", "two dots"),
    ("x" * 64, "longer"),
    ("12", "only a number"),
    ("0x7f", "only a number"),
    ("10.5", "only a number"),
]

GROUPS: list[tuple[dict[str, list[str]], str]] = [
    ({"all": []}, "no group 'nodes'"),
    ({"node": ["a"], "all": ["a"]}, "'node' may be meant"),
    ({"nodes": []}, "empty"),
    ({"nodes": ["a"], "head": ["b"]}, "b is in group 'head' but not in group 'nodes'"),
    ({"nodes": ["a", "b"], "head": ["a", "b"]}, "a and b"),
]

ONE_ADDRESS: list[tuple[dict[str, dict[str, Any]], str]] = [
    ({"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "10.0.0.1"}}, "10.0.0.1;"),
    ({"a": {"ansible_host": "B"}, "b": {}}, "address, b;"),
    (
        {"a": {"ansible_host": "h", "ansible_port": 2222}, "b": {"ansible_ssh_host": "h", "ansible_port": "2222"}},
        "2222",
    ),
    ({"a": {"ansible_host": "h", "ansible_port": 22}, "b": {"ansible_host": "h"}}, "address, h;"),
]

OWN_ADDRESSES: list[dict[str, dict[str, Any]]] = [
    {"a": {}, "b": {}},
    {
        "a": {"ansible_host": "127.0.0.1", "ansible_port": 2201},
        "b": {"ansible_host": "127.0.0.1", "ansible_port": 2202},
    },
]

KNOBS: list[tuple[dict[str, dict[str, Any]], str]] = [
    ({"a": {"cluster_network": "x"}, "b": {"cluster_network": "x"}}, "cluster_network is 'x' on all nodes: it must"),
    ({"a": {"cluster_network": "x"}, "b": {}}, "cluster_network is 'x' on a: it must"),
    ({"a": {"cluster_accelerator": "tpu"}, "b": {}}, "one of auto, cuda, rocm, cpu"),
    ({"a": {"cluster_user": "x"}, "b": {"cluster_user": "y"}}, "'x' on a, 'y' on b: it must be the same on all nodes"),
    ({"a": {"cluster_head": "c"}, "b": {}}, "cluster_head is 'c', which is not in group 'nodes'"),
]

SLOTS: list[tuple[dict[str, dict[str, Any]], str]] = [
    ({"a": {"hostfile_slots": -1}, "b": {}}, "hostfile_slots is -1 on a"),
    ({"a": {"hostfile_slots": "two"}, "b": {}}, "hostfile_slots is 'two' on a"),
    ({"a": {"hostfile_slots": 1.5}, "b": {}}, "hostfile_slots is 1.5 on a"),
    ({"a": {"hostfile_slots": True}, "b": {}}, "hostfile_slots is true on a"),
    ({"a": {"hostfile_slots": None}, "b": {}}, "hostfile_slots is empty on a"),
    ({"a": {"hostfile_cpu_slots": -2}, "b": {}}, "hostfile_cpu_slots is -2 on a"),
    ({"a": {"hostfile_slots": 0}, "b": {"hostfile_slots": "0"}}, "0 on all nodes"),
    ({"a": {"hostfile_slots": 0, "hostfile_cpu_slots": 2}, "b": {"hostfile_cpu_slots": 0}}, "0 on all nodes"),
]

OPTIONS = {
    "torch_version": {"type": "str"},
    "torch_secret": {"type": "bool", "no_log": True},
    "ssh_mesh_key": {"type": "str", "choices": ["per_node", "shared"]},
    "hostfile_slots": {"type": "int"},
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_name_that_every_tool_carries_is_left_alone(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(("name", "said"), NOT_CARRIED)
def test_a_name_that_a_tool_would_break_is_refused(name: str, said: str) -> None:
    assert said in str(name_problem(name))
    assert repr(name) in name_problems([name])[0]


def test_names_that_ssh_cannot_tell_apart_are_refused() -> None:
    assert "Node1 and node1" in name_problems(["Node1", "node1", "node2"])[0]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_name_that_means_each_node_itself_is_refused_among_several(name: str) -> None:
    assert name_problems([name]) == []
    assert name in name_problems([name, "node2"])[0]


@pytest.mark.parametrize(("groups", "said"), GROUPS)
def test_groups_that_cannot_work_are_refused(groups: dict[str, list[str]], said: str) -> None:
    assert any(said in problem for problem in group_problems(groups))


MEMBERS = [
    ({"all": ["a", "b"], "gpus": ["a", "b"]}, "no group 'nodes'; list every", "below it gpus."),
    ({"all": ["a", "b"], "ungrouped": ["a", "b"]}, "no group 'nodes'; list every machine that trains in it.", ""),
    ({"all": ["a", "b"], "node": ["a", "b"]}, "no group 'nodes'", "Group 'node' may be meant."),
    ({"all": ["a", "b"], "nodes": ["a"], "gpus": ["a", "b"]}, "b is not in group 'nodes'", "[nodes:children], and bel"),
    ({"all": ["a", "b"], "nodes": ["c"], "x": ["a"], "y": ["b"]}, "a and b are not in group", "below it x, y."),
    ({"all": ["a", "b", "c"], "nodes": ["c"], "x": ["a", "b", "c"]}, "list every machine that trains there.", ""),
]


@pytest.mark.parametrize(("groups", "said", "remedy"), MEMBERS)
def test_hosts_outside_of_the_nodes_are_refused(groups: dict[str, list[str]], said: str, remedy: str) -> None:
    (problem,) = membership_problems(groups, ["a", "b"])
    assert said in problem
    assert problem.endswith(remedy) or remedy in problem


def test_a_part_of_the_nodes_is_fine() -> None:
    assert membership_problems({"all": ["a", "b"], "nodes": ["a", "b"]}, ["b"]) == []


def test_a_head_among_the_nodes_is_fine() -> None:
    assert group_problems({"nodes": ["a", "b"], "head": ["b"]}) == []


@pytest.mark.parametrize(("given", "said"), ONE_ADDRESS)
def test_two_hosts_with_one_address_are_refused(given: dict[str, dict[str, Any]], said: str) -> None:
    (problem,) = address_problems(["a", "b"], given)
    assert problem.startswith("a and b have one address")
    assert said in problem


@pytest.mark.parametrize(("given", "said"), NO_CONNECTION)
def test_what_ssh_cannot_connect_to_is_refused(given: dict[str, Any], said: str) -> None:
    (problem,) = connection_problems(["a", "b"], {"a": {}, "b": given})
    assert next(iter(given)) in problem
    assert " on b: " in problem
    assert said in problem


@pytest.mark.parametrize("given", CONNECTIONS)
def test_what_ssh_may_connect_to_is_fine(given: dict[str, Any]) -> None:
    assert connection_problems(["a"], {"a": given}) == []


@pytest.mark.parametrize("given", OWN_ADDRESSES)
def test_hosts_with_addresses_or_ports_of_their_own_are_fine(given: dict[str, dict[str, Any]]) -> None:
    assert address_problems(["a", "b"], given) == []


@pytest.mark.parametrize(("given", "said"), KNOBS)
def test_a_cluster_variable_is_judged_with_the_nodes_that_have_it(given: dict[str, dict[str, Any]], said: str) -> None:
    assert any(said in problem for problem in knob_problems(["a", "b"], given))


def test_an_interface_may_differ_between_nodes_and_a_network_may_be_left_empty() -> None:
    given = {"a": {"cluster_interface": "eth0", "cluster_network": ""}, "b": {"cluster_interface": "ib0"}}
    assert knob_problems(["a", "b"], given) == []


def test_a_head_that_a_run_leaves_out_is_a_node_all_the_same():
    given = {"a": {"cluster_head": "b"}}
    assert knob_problems(["a"], given, ["a", "b"]) == []
    assert knob_problems(["a"], given, ["a", "c"])


@pytest.mark.parametrize(("given", "said"), SLOTS)
def test_slots_that_are_no_count_or_nowhere_are_refused(given: dict[str, dict[str, Any]], said: str) -> None:
    assert any(said in problem for problem in slot_problems(["a", "b"], given))


@pytest.mark.parametrize("slots", [0, 8, "8"])
def test_slots_that_are_a_count_on_one_node_are_fine(slots: Any) -> None:
    assert slot_problems(["a", "b"], {"a": {"hostfile_slots": slots}, "b": {}}) == []


def test_a_limit_that_leaves_no_node_is_refused() -> None:
    assert "--limit leaves gateway" in limit_problems(["a", "b"], ["gateway"])[0]
    assert limit_problems(["a", "b"], ["b", "gateway"]) == limit_problems(["a"], ["localhost", "a"]) == []


def test_a_wrong_role_variable_is_named_once_for_all_nodes_and_a_secret_is_not_shown() -> None:
    given = {node: {"torch_version": ["2.0.1"], "torch_secret": "hush", "ssh_mesh_key": "one"} for node in "abc"}
    problems = role_variable_problems(list("abc"), given, OPTIONS)
    assert [problem.split()[0] for problem in problems] == ["ssh_mesh_key", "torch_secret", "torch_version"]
    assert all("on all nodes" in problem for problem in problems)
    assert "hush" not in str(problems)


def test_a_misspelt_variable_is_named_with_the_one_that_may_be_meant() -> None:
    names = ["cluster_netwrok", "torch_vresion", "trch_version", "my_app_version", "torch_version", "cluster_name"]
    known = ["cluster_network", "torch_version", "conda_version"]
    assert misspelt(names, known, ["cluster_", "torch_"]) == [
        "Nothing reads the variable cluster_netwrok; cluster_network may be meant.",
        "Nothing reads the variable torch_vresion; torch_version may be meant.",
        "Nothing reads the variable trch_version; torch_version may be meant.",
    ]


def test_a_word_of_deepspeed_is_named_with_the_variable_that_says_it() -> None:
    known = ["hostfile_slots", "hostfile_master_port"]
    assert misspelt(["slots", "node_slots"], known, ["hostfile_"]) == [
        "Nothing reads the variable slots; hostfile_slots may be meant."
    ]
    assert misspelt(["slots"], ["torch_version"], ["torch_"]) == []


def test_all_problems_come_at_once() -> None:
    groups = {"nodes": ["a,b", "c"], "head": ["d"]}
    given = {"a,b": {"ansible_host": "x", "cluster_network": "y", "hostfile_slots": -1}, "c": {"ansible_host": "x"}}
    said = "\n".join(inventory_problems(groups, given, OPTIONS))
    assert all(part in said for part in ("d is in group", "'a,b' contains", "one address", "cluster_network", "slots"))


def test_an_ordinary_inventory_has_no_problem() -> None:
    groups = {"nodes": ["a", "b"]}
    given = {"a": {"ansible_host": "10.0.0.1", "torch_version": "2.9.1"}, "b": {"ansible_host": "10.0.0.2"}}
    assert inventory_problems(groups, given, OPTIONS) == []


@pytest.mark.parametrize(
    ("hosts", "everyone", "words"),
    [
        (["a"], ["a"], "a"),
        (["a", "b"], ["a", "b", "c"], "a and b"),
        (["a", "b"], ["a", "b"], "all nodes"),
        (list("abcdefgh"), (), "a, b, c, d, e and 3 more"),
    ],
)
def test_hosts_are_named_as_far_as_a_reader_follows(hosts: list[str], everyone: list[str], words: str) -> None:
    assert named(hosts, everyone) == words


def test_depot_without_a_host_is_a_problem() -> None:
    given: dict[str, Any] = {"a": {"cluster_depot_url": "http://depot/fromzero"}, "b": {}}
    assert (
        "there is no group 'depot' with the host that serves there" in depot_problems({"nodes": ["a", "b"]}, given)[0]
    )
    assert depot_problems({"nodes": ["a", "b"], "depot": ["d"]}, given) == []
    assert depot_problems({"nodes": ["a", "b"]}, {"a": {"cluster_depot_url": ""}, "b": {}}) == []


WITH_COMMENTS = [
    (
        {"a": {"cluster_network": "10.0.0.0/24   # optional"}, "b": {}},
        "cluster_network is '10.0.0.0/24   # optional' on a",
    ),
    (
        {"a": {"ansible_user": "ann\t# me"}, "b": {"ansible_user": "ann\t# me"}},
        "ansible_user is 'ann\\t# me' on all nodes",
    ),
    ({"a": {"ansible_port": "22 #"}, "b": {}}, "ansible_port is '22 #' on a"),
    ({"a": {}, "b": {}, "depot": {"cluster_become": "true # x"}}, "cluster_become is 'true # x' on depot"),
    ({"a": {}, "b": {"conda_channels": "conda-forge # y"}}, "conda_channels is 'conda-forge # y' on b"),
]
WITHOUT_COMMENTS = [
    {"a": {"ansible_user": "ann#1", "cluster_head": "#a", "hostfile_slots": 8}},
    {"a": {"torch_wheels": ["a # b"], "nccl_settings": {"A": "b # c"}}},
    {"a": {"a_token": "x # y"}},
]


@pytest.mark.parametrize(("given", "said"), WITH_COMMENTS)
def test_a_comment_in_a_value_is_named_with_the_way_out(given: dict[str, dict[str, Any]], said: str) -> None:
    (problem,) = comment_problems(["a", "b"], given)
    assert problem.startswith(f"{said}: the comment is part of the value")
    assert "a line of its own" in problem


@pytest.mark.parametrize("given", WITHOUT_COMMENTS)
def test_a_hash_that_begins_no_comment_or_is_in_a_secret_is_fine(given: dict[str, dict[str, Any]]) -> None:
    assert comment_problems(["a"], given, {"a_token"}) == []
    assert without_comments(given, {"a_token"}) == given


def test_the_place_of_a_comment_is_told_where_it_is_known() -> None:
    places = {("cluster_user", "ann # me"): "/etc/hosts.ini:5"}
    (problem,) = comment_problems(["a"], {"a": {"cluster_user": "ann # me"}}, places=places)
    assert "on a (/etc/hosts.ini:5): " in problem


def test_a_value_is_judged_as_if_its_comment_were_not_there() -> None:
    given = {"a": {"cluster_network": "10.0.0.0/33 # net"}, "b": {"cluster_network": "10.0.0.0/33"}}
    problems = inventory_problems({"nodes": ["a", "b"]}, given, {})
    assert len(problems) == 2
    assert problems[1].startswith("cluster_network is '10.0.0.0/33' on all nodes")


def test_no_variable_that_may_hold_a_secret_or_arguments_is_looked_into() -> None:
    assert not [name for name in CONNECTION if "pass" in name or "args" in name or "token" in name]
