# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.report import Planned, changes, report, table

PLAN: dict[str, Any] = {
    "stack": "torch-2.13-cu126",
    "accelerator": "cuda",
    "python": "3.11",
    "torch": {"version": "2.13.0", "build": "cu126"},
    "cuda": {"version": "12.6"},
    "deepspeed": "0.19.8",
}


def entry(gpus: str, action: str, now: str | None, then: str | None, **more: Any) -> dict[str, Any]:
    driver = {"now": now, "then": then, "branch": "580", "version": "", "flavour": None, "action": action, **more}
    return {"gpus": gpus, "driver": driver}


NODES = {
    "node1": entry(
        "8 x NVIDIA A100-SXM4-80GB", "keep", "580.95.05", "580.95.05", reason="driver 580.95.05 is new enough"
    ),
    "node2": entry("2 x Tesla V100S-PCIE-32GB", "upgrade", "450.80.02", "580", flavour="proprietary"),
    "n3": entry("", "none", None, None),
    "n4": entry("1 x Tesla T4", "install", None, "580", flavour="open", version="580.95.05", reason="it has none"),
}
BRINGS = {
    "node1": {"interface": "ib0", "address": "10.0.0.1", "slots": 8},
    "n3": {"interface": "", "address": "", "slots": 0},
}


def test_a_table_has_a_line_for_each_node_in_columns() -> None:
    assert table(Planned(PLAN, NODES, BRINGS)) == [
        "node   GPU                        driver            CUDA  torch         interface  address   slots",
        "node1  8 x NVIDIA A100-SXM4-80GB  580.95.05         12.6  2.13.0+cu126  ib0        10.0.0.1  8",
        "node2  2 x Tesla V100S-PCIE-32GB  450.80.02 -> 580  12.6  2.13.0+cu126  -          -         -",
        "n3     -                          -                 12.6  2.13.0+cu126  -          -         0",
        "n4     1 x Tesla T4               none -> 580       12.6  2.13.0+cu126  -          -         -",
    ]


DRIVERS = [
    (
        entry("x", "keep", "580.95.05", "580.95.05", reason="driver 580.95.05 is new enough"),
        "driver 580.95.05 is new enough; it stays.",
    ),
    (
        entry("x", "upgrade", "450.80.02", "580", flavour="proprietary", reason="driver 450.80.02 cannot stay"),
        "driver 450.80.02 cannot stay; a driver of branch 580 with proprietary kernel modules takes its place.",
    ),
    (
        entry("x", "install", None, "580", reason="there is no driver"),
        "there is no driver; a driver of branch 580 is installed.",
    ),
    (
        entry("x", "install", None, "580", version="580.95.05", flavour="open", reason="there is no driver"),
        "there is no driver; driver 580.95.05 with open kernel modules is installed.",
    ),
    (
        entry("x", "reload", "580.65.06", "580.95.05", reason="the libraries are 580.95.05"),
        "the libraries are 580.95.05; driver 580.95.05 is loaded.",
    ),
]


@pytest.mark.parametrize(("node", "said"), DRIVERS)
def test_what_becomes_of_a_driver_is_a_sentence(node: dict[str, Any], said: str) -> None:
    assert changes(Planned(PLAN, {"a": node})) == [f"a: {said}"]


def test_a_node_without_gpus_has_no_driver_to_tell_of() -> None:
    assert changes(Planned(PLAN, {"a": NODES["n3"]})) == []


def environment(python: str = "3.11.9", **packages: str) -> dict[str, Any]:
    return {"exists": True, "prefix": "/opt/x/envs/train", "python": python, "packages": packages}


ENVIRONMENTS = [
    (
        {"exists": False, "prefix": "/opt/x/envs/train", "python": "", "packages": {}},
        [
            "/opt/x/envs/train is made, with Python 3.11.",
            "torch 2.13.0+cu126 is installed.",
            "deepspeed 0.19.8 is installed.",
        ],
    ),
    (
        environment(torch="2.13.0+cu126", deepspeed="0.19.8"),
        ["/opt/x/envs/train stays, with Python 3.11.9.", "torch 2.13.0+cu126 stays.", "deepspeed 0.19.8 stays."],
    ),
    (
        environment("3.10.14", torch="2.13.0+cu130", deepspeed="0.14.5"),
        [
            "/opt/x/envs/train gets Python 3.11 in place of 3.10.14.",
            "torch 2.13.0+cu130 is replaced by 2.13.0+cu126.",
            "deepspeed 0.14.5 is replaced by 0.19.8.",
        ],
    ),
    # A wheel without a tag counts as the build that is wanted, and a tag of one's own is no other version.
    (
        environment("3.11", torch="2.13.0", deepspeed="0.19.8+site"),
        ["stays", "torch 2.13.0 stays.", "0.19.8+site stays."],
    ),
    # 3.1 is not 3.11.
    (environment("3.1.5", torch="unknown"), ["in place of 3.1.5", "torch unknown is replaced by", "is installed"]),
]


@pytest.mark.parametrize(("found", "said"), ENVIRONMENTS)
def test_what_becomes_of_an_environment_is_told(found: dict[str, Any], said: list[str]) -> None:
    told = changes(Planned(PLAN, {"a": NODES["n3"]}, environments={"a": found}))
    assert len(told) == len(said)
    assert all(part in sentence for part, sentence in zip(said, told)), told


def test_what_becomes_of_toolkits_is_told() -> None:
    there = [{"version": "12.6", "state": "present", "path": "/usr/local/cuda-12.6"}]
    toolkits = {"a": there, "b": [{"version": "12.6", "state": "missing", "path": "/usr/local/cuda-12.6"}]}
    assert changes(Planned(PLAN, {"a": NODES["n3"], "b": NODES["n3"]}, toolkits=toolkits)) == [
        "a: the CUDA toolkit 12.6 stays, in /usr/local/cuda-12.6.",
        "b: the CUDA toolkit 12.6 is installed.",
    ]


def test_nodes_with_one_fate_share_a_sentence() -> None:
    nodes = {"a": NODES["node1"], "b": NODES["node1"], "c": NODES["node2"]}
    told = changes(Planned(PLAN, nodes, environments={name: environment() for name in nodes}))
    assert told[0] == "a and b: driver 580.95.05 is new enough; it stays."
    assert told[2] == "all nodes: /opt/x/envs/train stays, with Python 3.11.9."


def test_a_report_has_table_stack_reasons_changes_and_warnings() -> None:
    text = report(Planned(PLAN, NODES, BRINGS, why=["c decides."], remarks=["d is old."]))
    table_lines, stack, why, changed, warned = text.split("\n\n")
    assert table_lines.count("\n") == len(NODES)
    assert (
        stack
        == "Stack torch-2.13-cu126: accelerator cuda, Python 3.11, torch 2.13.0+cu126, CUDA 12.6, DeepSpeed 0.19.8"
    )
    assert why == "Why this one:\n  c decides."
    assert changed.startswith("To come:\n  node1: driver")
    assert warned == "Warnings:\n  d is old."
    assert "Warnings" not in report(Planned(PLAN, NODES))


APEX = [
    ({}, "apex 25.09 is installed, built once, on node1 for 7.0, 8.0."),
    ({"apex": {"asked": ["git+https://host/apex", "25.05"]}}, "apex 25.09 is installed, built once, on node1"),
    ({"apex": {"asked": ["git+https://host/apex", "25.09"]}}, "apex 25.09 stays."),
]


@pytest.mark.parametrize(("records", "words"), APEX)
def test_build_of_apex_is_told_with_its_place(records: dict[str, Any], words: str) -> None:
    plan = {**PLAN, "apex": {"ref": "25.09"}, "architectures": ["7.0", "8.0"], "builder": "node1"}
    there = {"exists": True, "prefix": "/env", "python": "3.11.2", "packages": {}, "records": records}
    found = changes(Planned(plan, {"node1": NODES["node1"]}, environments={"node1": there}))
    assert words in "\n".join(found)
