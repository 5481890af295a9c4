# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.nodes import brings, builder, reported, request

V100 = {
    "vendor": "nvidia",
    "name": "Tesla V100S-PCIE-32GB",
    "architecture": "Volta",
    "compute_capability": "7.0",
    "gfx": None,
    "pci_id": "10de:1df6",
}
A100 = {**V100, "name": "NVIDIA A100-SXM4-80GB", "architecture": "Ampere", "compute_capability": "8.0"}
DRIVER = {
    "loaded": "450.80.02",
    "library": "450.80.02",
    "agrees": True,
    "flavour": "proprietary",
    "cuda": "11.0",
    "packages": [{"name": "nvidia-driver-450", "version": "450.80.02-1", "held": False, "broken": False}],
    "built": {"version": "450.80.02", "kernels": ["6.1.0-28-amd64"]},
    "runfile": None,
    "origin": "packages",
    "users": [{"pid": 1234, "command": "python"}],
}


def node(gpus: list[dict[str, Any]], **values: Any) -> Node:
    seen = [{"index": index, "uuid": f"GPU-{index}", "memory_mib": 32510, **gpu} for index, gpu in enumerate(gpus)]
    facts = {
        "architecture": "x86_64",
        "distribution": "Debian",
        "distribution_version": "12.12",
        "fromzero_gpus": {"gpus": seen, "driver": DRIVER if gpus else {}},
        "fromzero_node": {"glibc": "2.36"},
        "fromzero_network": {"link": {"interface": "eth1", "address": "10.0.0.7"}},
    }
    return Node("a", facts, values)


def test_the_resolver_gets_what_a_node_reports() -> None:
    asked = request(reported(node([A100, V100, V100])), {})
    assert [gpu["name"] for gpu in asked["gpus"]] == [A100["name"], V100["name"], V100["name"]]
    assert [gpu["index"] for gpu in asked["gpus"]] == [0, 1, 2]
    assert asked["gpus"][2] == {**V100, "index": 2}
    assert {name: asked[name] for name in ("machine", "glibc", "distribution", "distribution_version")} == {
        "machine": "x86_64",
        "glibc": "2.36",
        "distribution": "Debian",
        "distribution_version": "12.12",
    }
    assert asked["driver"] == {
        "loaded": "450.80.02",
        "library": "450.80.02",
        "flavour": "proprietary",
        "built": {"version": "450.80.02"},
    }


def test_what_is_written_down_is_short_and_says_nothing_of_the_moment() -> None:
    found = reported(node([V100] * 8))
    assert found["gpus"] == [{**{key: value for key, value in V100.items() if value}, "count": 8}]
    assert "users" not in found["driver"]


def test_graphics_that_compute_nothing_are_left_out() -> None:
    inside = {"vendor": "amd", "name": None, "gfx": None}
    mi210 = {"vendor": "amd", "name": "AMD Instinct MI210", "gfx": "gfx90a"}
    assert [gpu["name"] for gpu in reported(node([inside, A100]))["gpus"]] == [A100["name"]]
    assert [gpu["name"] for gpu in reported(node([inside, mi210]))["gpus"]] == [mi210["name"]]
    assert "gpus" not in reported(node([inside]))


def test_packages_count_where_nothing_else_tells_the_version() -> None:
    facts = {
        "gpus": [V100],
        "driver": {**DRIVER, "loaded": None, "library": None, "flavour": None, "built": {"version": None}},
    }
    assert request(reported(Node("a", {"fromzero_gpus": facts})), {})["driver"] == {
        "built": {"version": None},
        "packages": [{"name": "nvidia-driver-450", "version": "450.80.02-1"}],
    }


def test_a_node_that_reported_nothing_asks_for_nothing() -> None:
    asked = request(reported(Node("a", {})), {})
    assert (asked["gpus"], asked["driver"]) == ([], {})
    assert {asked["glibc"], asked["machine"]} == {None}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, (True, "", "", "auto")),
        ({"nvidia_driver_manage": "false"}, (False, "", "", "auto")),
        # Without root nothing of the system can be changed.
        ({"cluster_become": False}, (False, "", "", "auto")),
        (
            {"nvidia_driver_branch": "570", "nvidia_driver_version": "570.86.10", "nvidia_driver_flavour": "open"},
            (True, "570", "570.86.10", "open"),
        ),
        ({"nvidia_driver_branch": 570}, (True, "570", "", "auto")),
    ],
)
def test_each_node_has_its_own_wishes_for_the_driver(values: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    asked = request({}, values)
    assert tuple(asked[f"driver_{name}"] for name in ("manage", "branch", "version", "flavour")) == wanted


@pytest.mark.parametrize(
    ("gpus", "values", "accelerator", "slots"),
    [
        ([V100, V100], {}, "cuda", 2),
        ([V100, V100], {"hostfile_slots": "1"}, "cuda", 1),
        ([V100, V100], {"hostfile_slots": 0}, "cuda", 0),
        ([], {}, "cuda", 0),
        ([], {}, "cpu", 1),
        ([V100], {"hostfile_cpu_slots": 4}, "cpu", 4),
        ([], {"hostfile_slots": 3, "hostfile_cpu_slots": 4}, "cpu", 3),
    ],
)
def test_slots_are_counted_as_for_the_hostfile(
    gpus: list[dict[str, Any]], values: dict[str, Any], accelerator: str, slots: int
) -> None:
    assert brings(node(gpus, **values), accelerator) == {"interface": "eth1", "address": "10.0.0.7", "slots": slots}


def test_a_node_without_a_link_has_no_address() -> None:
    assert brings(Node("a", {}), "cpu") == {"interface": "", "address": "", "slots": 1}


X86 = {"machine": "x86_64", "glibc": "2.36", "processor": 3}
BUILDERS = [
    ({}, None),
    ({"a": X86}, "a"),
    ({"a": X86, "b": X86}, "a"),
    ({"a": X86, "b": {**X86, "glibc": "2.9"}}, "b"),
    ({"a": X86, "b": {**X86, "processor": 2}}, "b"),
    ({"a": {**X86, "processor": 4}, "b": {**X86, "glibc": "2.39", "processor": 2}}, "a"),
    # What two of three nodes can use.
    ({"a": {"machine": "aarch64", "glibc": "2.17"}, "b": X86, "c": X86}, "b"),
    ({"a": {"machine": "x86_64"}}, "a"),
]


@pytest.mark.parametrize(("found", "name"), BUILDERS)
def test_builder_is_the_node_whose_wheels_run_on_the_others(found: dict[str, dict[str, Any]], name: str | None) -> None:
    assert builder(found) == name
