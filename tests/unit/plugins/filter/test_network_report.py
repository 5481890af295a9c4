# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.filter.network_report import network_report

LINK = {"interface": "eth0", "address": "10.0.0.2", "prefix": 24, "reason": "eth0 has the default route"}
PORT = {"port": 1, "state": "active", "active": True, "link_layer": "InfiniBand", "rate": 200.0}
HCA = {"name": "mlx5_0", "driver": "mlx5_core", "active": True, "netdevs": ["ib0"], "ports": [PORT]}
DOWN = {**HCA, "active": False, "netdevs": [], "ports": [{**PORT, "active": False, "state": "down", "rate": None}]}


def network(**fields: Any) -> dict[str, Any]:
    plain = {"link": LINK, "problem": None, "rdma": [], "hostname_resolves_to": ["10.0.0.2"]}
    return {**plain, "locked_memory": {"hard": None, "raisable": True}, **fields}


LINES: list[tuple[dict[str, Any], bool, list[str]]] = [
    (network(), False, ["Between nodes: eth0 10.0.0.2/24 (eth0 has the default route)."]),
    (network(link=None, problem="It is down; bring it up."), False, ["It is down; bring it up."]),
    (network(rdma=[HCA]), False,
     ["Between nodes", "RDMA device mlx5_0 with ib0: port 1 InfiniBand active, 200 Gb/s; NCCL uses it."]),
    (network(rdma=[DOWN], locked_memory={"hard": 65536, "raisable": True}), False,
     ["Between nodes", "RDMA device mlx5_0: port 1 InfiniBand down; NCCL leaves it aside"]),
    (network(rdma=[HCA], locked_memory={"hard": 65536, "raisable": False}), False,
     ["Between nodes", "RDMA device", "Warning: RDMA locks memory, and no more than 64 KiB"]),
    (network(rdma=[HCA], locked_memory={"hard": 65536, "raisable": True}), True, ["Between nodes", "RDMA device"]),
    (network(hostname_resolves_to=["127.0.1.1"]), False,
     ["Between nodes", "Warning: the node's own hostname resolves to 127.0.1.1"]),
    (network(hostname_resolves_to=["::1"]), False, ["Between nodes", "Warning: the node's own hostname"]),
    (network(hostname_resolves_to=["fe80::1%eth0"]), False, ["Between nodes"]),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "lifted", "beginnings"), LINES)
def test_each_thing_to_know_is_one_line(facts: dict[str, Any], lifted: bool, beginnings: list[str]) -> None:
    lines = network_report(facts, lifted)
    assert [line[: len(start)] for line, start in zip(lines, beginnings, strict=True)] == beginnings
