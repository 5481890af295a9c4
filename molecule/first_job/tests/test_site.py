"""What a user has after the whole site: nodes that know each other, a hostfile, and a proof that they train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SLOTS = 1


@pytest.fixture
def nodes(host: Any) -> list[str]:
    return list(host.ansible.get_variables()["groups"]["nodes"])


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    return Path(request.config.getoption("ansible_inventory")).parent / "artifacts"


@pytest.fixture
def head(host: Any, nodes: list[str]) -> Any:
    if host.ansible.get_variables()["inventory_hostname"] != nodes[0]:
        pytest.skip("launch files lie on the head only")
    return host


def test_hostfile_lists_every_node_once_in_the_order_of_the_inventory(head: Any, nodes: list[str]) -> None:
    assert head.file("/job/hostfile").content_string.splitlines() == [f"{node} slots={SLOTS}" for node in nodes]


def test_hostfile_beside_the_inventory_is_that_of_the_head(head: Any, artifacts: Path) -> None:
    assert (artifacts / "hostfile").read_text(encoding="utf-8") == head.file("/job/hostfile").content_string


def test_every_node_trained_and_the_loss_fell(artifacts: Path, nodes: list[str]) -> None:
    verdict = json.loads((artifacts / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["ok"] is True
    assert {check["layer"] for check in verdict["checks"]} >= {"environment", "ssh", "pdsh", "all_reduce", "training"}
    assert all(check["ok"] for check in verdict["checks"])
    summary = verdict["summary"]
    world = SLOTS * len(nodes)
    assert summary["world_size"] == world
    assert summary["hosts"] == nodes
    assert summary["all_reduce"] == world * (world + 1) / 2
    assert summary["loss_last"] < summary["loss_first"]


def test_no_node_needed_a_compiler(host: Any) -> None:
    assert not host.package("build-essential").is_installed
