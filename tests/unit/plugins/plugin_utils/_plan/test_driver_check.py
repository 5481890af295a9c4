# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.driver_check import refusals

INSTALL = {"action": "install", "branch": "580", "version": "", "flavour": "open"}
LEAST = "580.65.06"


def node(runfile: str | None = None, secure_boot: bool = False, **facts: Any) -> Node:
    gpu = {"index": 0, "vendor": "nvidia", "name": "NVIDIA H100 80GB HBM3", "architecture": "Hopper"}
    driver = {"loaded": None, "library": None, "packages": [], "runfile": runfile, "built": {"version": None}}
    report = {"gpus": [gpu], "driver": driver, "secure_boot": secure_boot, "kernel": {"headers": True}, "nvswitch": 0}
    system = {"distribution": "Debian", "os_family": "Debian", "distribution_version": "12", "kernel": "6.1.0-28-amd64"}
    return Node("node1", {**system, "fromzero_gpus": report, **facts})


def test_a_bare_node_is_refused_nothing() -> None:
    assert refusals(node(), INSTALL, LEAST, {}) == []


@pytest.mark.parametrize(
    ("said", "values", "words"),
    [
        ({"runfile": "535.54.03"}, {}, "nvidia_driver_remove_runfile"),
        ({"secure_boot": True}, {}, "Secure Boot is on at node1"),
        ({}, {"nvidia_driver_branch": "5x"}, "nvidia_driver_branch is '5x' for node1"),
        ({}, {"nvidia_driver_source": "runfile"}, "nvidia_driver_runfile_checksum"),
        ({}, {"nvidia_driver_source": "distribution"}, "node1 cannot get 580"),
    ],
)
def test_what_the_role_would_refuse_is_known_with_the_plan(
    said: dict[str, Any], values: dict[str, Any], words: str
) -> None:
    assert words in " ".join(refusals(node(**said), INSTALL, LEAST, values))


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ({"runfile": "535.54.03"}, {"nvidia_driver_remove_runfile": "yes"}),
        ({"secure_boot": True}, {"nvidia_driver_own_key": True}),
        ({"runfile": "535.54.03"}, {"cluster_become": False}),
    ],
)
def test_what_is_allowed_or_not_tried_is_no_refusal(said: dict[str, Any], values: dict[str, Any]) -> None:
    assert refusals(node(**said), INSTALL, LEAST, values) == []


def test_a_node_whose_driver_nobody_changes_is_not_asked_about() -> None:
    planned = {"action": "none", "branch": None, "version": "", "flavour": None}
    assert refusals(node(runfile="535.54.03"), planned, LEAST, {}) == []


def test_facts_that_are_missing_are_named() -> None:
    bare = Node("node1", {"fromzero_gpus": {"gpus": []}})
    assert "facts distribution" in refusals(bare, INSTALL, LEAST, {})[0]
