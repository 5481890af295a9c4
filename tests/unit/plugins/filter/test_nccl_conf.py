# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.filter.nccl_conf import nccl_conf

ETH0 = {"link": {"interface": "eth0", "address": "10.0.0.2"}, "problem": None}
IPV6 = {"link": {"interface": "ib0", "address": "fd00::2"}, "problem": None}
NONE = {
    "link": None,
    "problem": "cluster_network 10.9.0.0/24 is on no interface of this node (it has eth0); correct it.",
}

RENDERED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (ETH0, {}, "NCCL_SOCKET_IFNAME==eth0\n"),
    (IPV6, {}, "NCCL_SOCKET_IFNAME==ib0\nNCCL_SOCKET_FAMILY=AF_INET6\n"),
    (ETH0, {"NCCL_DEBUG": "WARN", "NCCL_NSOCKS_PERTHREAD": 4},
     "NCCL_SOCKET_IFNAME==eth0\nNCCL_DEBUG=WARN\nNCCL_NSOCKS_PERTHREAD=4\n"),
    (ETH0, {"NCCL_P2P_DISABLE": True, "NCCL_IB_DISABLE": False},
     "NCCL_SOCKET_IFNAME==eth0\nNCCL_P2P_DISABLE=1\nNCCL_IB_DISABLE=0\n"),
    (ETH0, {"NCCL_IB_HCA": ["mlx5_0:1", "mlx5_1"]}, "NCCL_SOCKET_IFNAME==eth0\nNCCL_IB_HCA=mlx5_0:1,mlx5_1\n"),
    (ETH0, {"NCCL_SOCKET_IFNAME": "^docker,lo"}, "NCCL_SOCKET_IFNAME=^docker,lo\n"),
    (NONE, {"NCCL_SOCKET_IFNAME": "=wg0"}, "NCCL_SOCKET_IFNAME==wg0\n"),
]  # fmt: skip

REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (NONE, {}, "cluster_network 10.9.0.0/24 is on no interface of this node"),
    (ETH0, {"LD_PRELOAD": "x"}, "'LD_PRELOAD' is not a variable of NCCL.*nccl_environment"),
    (ETH0, {"nccl_debug": "WARN"}, "'nccl_debug' is not a variable of NCCL"),
    (ETH0, {"NCCL_DEBUG ": "WARN"}, "is not a variable of NCCL"),
    (ETH0, {"NCCL_DEBUG": "WARN\nLD_PRELOAD=x"}, "give one line"),
    (ETH0, {"NCCL_DEBUG": " WARN"}, "has no space at its ends"),
    (ETH0, {"NCCL_DEBUG": ""}, "not empty"),
    (ETH0, {"NCCL_DEBUG": None}, "NCCL_DEBUG is None"),
    (ETH0, {"NCCL_DEBUG": {"a": 1}}, "give a text, a number"),
    (ETH0, {"NCCL_TOPO_FILE": "/" * 1024}, "NCCL reads 1023"),
]


@pytest.mark.parametrize(("network", "settings", "text"), RENDERED)
def test_lines_are_as_nccl_reads_them(network: dict[str, Any], settings: dict[str, Any], text: str) -> None:
    assert nccl_conf(network, settings) == text


@pytest.mark.parametrize(("network", "settings", "words"), REFUSED)
def test_what_nccl_would_misread_is_refused(network: dict[str, Any], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        nccl_conf(network, settings)
