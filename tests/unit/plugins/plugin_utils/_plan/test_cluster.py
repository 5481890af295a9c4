# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.cluster import Cluster, decide

NEWER = {"torch": {"version": "2.13.0", "build": "cu130"}, "cuda": {"version": "13.0"}, "driver": None}
OLDER = {"torch": {"version": "2.13.0", "build": "cu126"}, "cuda": {"version": "12.6"}, "driver": None}


def resolve(wished: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A resolver in two rules: Volta needs the older CUDA, and no node runs torch 0.1."""
    volta = [name for name, node in nodes.items() if any(gpu["compute_capability"] == "7.0" for gpu in node["gpus"])]
    if wished.get("torch") == "0.1":
        conflicts = [
            {"hosts": [name], "subject": "torch", "reason": f"torch 0.1 does not run on {name}."} for name in nodes
        ]
        return {"plan": None, "conflicts": conflicts, "nearest": {"text": "torch 2.13.0 would run."}, "warnings": []}
    entries = {name: {"driver": {"action": "keep"}, "gpus": "some"} for name in nodes}
    plan = {"stack": "x", "accelerator": "cuda", "python": "3.11", **(OLDER if volta else NEWER), "nodes": entries}
    return {"plan": plan, "conflicts": [], "nearest": None, "warnings": ["It is a rehearsal."]}


def node(name: str, capability: str = "8.0", count: int = 2) -> Node:
    gpu = {"vendor": "nvidia", "name": f"GPU of {capability}", "compute_capability": capability}
    link = {"interface": "eth0", "address": f"10.0.0.{len(name)}"}
    return Node(name, {"fromzero_gpus": {"gpus": [gpu] * count}, "fromzero_network": {"link": link}})


def cluster(members: str, nodes: list[Node], before: dict[str, Any] | None = None, **more: Any) -> Cluster:
    names = members.split()
    here = [node.name for node in nodes]
    given = {"outside": [name for name in names if name not in here], "values": {}, **more}
    return Cluster(members=names, nodes=nodes, before=before or {}, **given)


def test_a_plan_is_one_for_all_with_a_part_for_each() -> None:
    found = decide(cluster("a b", [node("a"), node("b", "7.0")]), resolve)
    assert found["problems"] == []
    assert found["plan"] == {"stack": "x", "accelerator": "cuda", "python": "3.11", **OLDER, "builder": "a"}
    assert found["nodes"] == {name: {"driver": {"action": "keep"}, "gpus": "some"} for name in ("a", "b")}
    assert found["brings"]["a"] == {"interface": "eth0", "address": "10.0.0.1", "slots": 2}
    assert found["remarks"] == ["It is a rehearsal."]


def test_the_nodes_that_hold_the_others_back_are_named() -> None:
    nodes = [node("a"), node("b", "7.0"), node("c"), node("d", "7.0")]
    assert decide(cluster("a b c d", nodes), resolve)["why"] == [
        "b and d (some) decide: without them torch 2.13.0+cu126 becomes 2.13.0+cu130, CUDA 12.6 becomes 13.0."
    ]
    assert decide(cluster("a b", nodes[:2]), resolve)["why"] == [
        "b (some) decides: without it torch 2.13.0+cu126 becomes 2.13.0+cu130, CUDA 12.6 becomes 13.0."
    ]


def test_what_was_wished_for_is_a_reason() -> None:
    wished = {"a": {"torch_version": "2.13.0", "hostfile_precision": "bf16"}}
    assert decide(cluster("a", [node("a")], values=wished), resolve)["why"] == ["Wished for: torch 2.13.0, bf16."]


def test_a_curated_stack_says_what_it_is_for() -> None:
    def curated(wished: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        found = resolve(wished, nodes)
        return {**found, "plan": {**found["plan"], "stack": "torch-2.13-cu126"}}

    [why] = decide(cluster("a", [node("a")]), curated)["why"]
    assert why.startswith("torch-2.13-cu126: ")
    assert "Volta" in why


def test_all_that_stands_against_a_plan_is_told_together() -> None:
    wished = {"a": {"torch_version": "0.1", "conda_python_version": "3.10"}, "b": {"conda_python_version": "3.11"}}
    found = decide(cluster("a b", [node("a"), node("b")], values=wished), resolve)
    assert [problem.split(" ")[0] for problem in found["problems"]] == ["conda_python_version", "torch", "torch"]
    assert found["nearest"] == "torch 2.13.0 would run."
    assert "plan" not in found


def test_nodes_outside_a_limited_run_count_as_they_were() -> None:
    before = decide(cluster("a b", [node("a"), node("b", "7.0", 4)]), resolve)["record"]
    found = decide(cluster("a b", [node("a")], before), resolve)
    assert found["plan"]["torch"]["build"] == "cu126"
    assert list(found["nodes"]) == ["a"]
    assert found["record"] == before
    assert found["remarks"] == ["It is a rehearsal."]


def test_a_node_that_is_down_counts_as_it_was() -> None:
    before = decide(cluster("a b", [node("a"), node("b", "7.0")]), resolve)["record"]
    found = decide(cluster("a b", [node("a")], before, outside=[]), resolve)
    assert found["plan"]["torch"]["build"] == "cu126"
    assert found["record"] == before


def test_a_node_that_left_the_inventory_counts_no_more() -> None:
    before = decide(cluster("a b", [node("a"), node("b", "7.0")]), resolve)["record"]
    found = decide(cluster("a", [node("a")], before), resolve)
    assert found["plan"]["torch"]["build"] == "cu130"
    assert list(found["record"]["nodes"]) == ["a"]


def test_a_node_that_no_run_has_seen_is_named() -> None:
    found = decide(cluster("a b c", [node("a")]), resolve)
    assert found["remarks"][1:] == ["The plan is made without b and c, which no run has looked at yet."]
    assert list(found["record"]["nodes"]) == ["a"]


def test_a_limited_run_that_would_change_the_plan_of_the_others_says_so_and_leaves_it_written() -> None:
    before = decide(cluster("a b", [node("a"), node("b")]), resolve)["record"]
    found = decide(cluster("a b c", [node("c", "7.0")], before), resolve)
    assert found["remarks"][1:] == [
        "This run comes to another plan than the one for a and b: torch 2.13.0+cu130 becomes 2.13.0+cu126, CUDA 13.0 "
        "becomes 12.6. Run without --limit, so that all nodes get it."
    ]
    assert found["plan"]["torch"]["build"] == "cu126"
    assert found["record"]["torch"]["build"] == "cu130"
    assert list(found["record"]["nodes"]) == ["a", "b", "c"]
    # The same run without --limit.
    whole = decide(cluster("a b c", [node("a"), node("b"), node("c", "7.0")], found["record"]), resolve)
    assert whole["record"]["torch"]["build"] == "cu126"
    assert whole["remarks"][1:] == []


def test_no_gpu_on_any_node_is_told_once_and_a_node_outside_the_run_may_have_them() -> None:
    def none(wished: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        if any(asked["gpus"] for asked in nodes.values()):
            return resolve(wished, nodes)
        conflict = {"hosts": [], "subject": "accelerator", "reason": "No GPU was found on any node."}
        return {"plan": None, "conflicts": [conflict], "nearest": None, "warnings": []}

    [problem] = decide(cluster("a b", [node("a", count=0)]), none)["problems"]
    assert problem.startswith("No NVIDIA or AMD GPU to compute on was found on a;")
    before = decide(cluster("a b", [node("a", count=0), node("b")]), none)["record"]
    assert decide(cluster("a b", [node("a", count=0)], before), none)["problems"] == []


def test_a_cuda_wish_without_gpus_is_told_unless_slots_are_given() -> None:
    values: dict[str, Any] = {"cluster_accelerator": "cuda"}
    bare = Node("a", {}, values)
    found = decide(cluster("a", [bare], values={"a": values}), resolve)
    assert found["problems"][0].startswith("cluster_accelerator is 'cuda' but no NVIDIA GPU was found on a;")
    slots = Node("a", {}, {**values, "hostfile_slots": 2})
    assert decide(cluster("a", [slots], values={"a": values}), resolve)["problems"] == []
