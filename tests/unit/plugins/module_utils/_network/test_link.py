# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which interface a node offers to the others, in tables of nodes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.link import (
    Address,
    Interface,
    NetworkError,
    Wishes,
    choose_link,
    mark_refused,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reader import _address


def nic(name: str, *addresses: str, kind: str = "physical", **fields: Any) -> Interface:
    held: list[Address] = [_address(text.split("/")[0], int(text.split("/")[1])) for text in addresses]
    described = Interface(
        name=name,
        kind=kind,
        up=True,
        carrier=True,
        state="up",
        mtu=1500,
        speed=None,
        mac="",
        driver="",
        master="",
        addresses=held,
        refused=None,
    )
    described.update(fields)  # type: ignore[typeddict-item]
    return described


LO = nic("lo", "127.0.0.1/8", "::1/128", kind="loopback", state="unknown")
ETH0 = nic("eth0", "10.77.0.2/24")
IN_CONTAINER = nic("eth0", "10.77.0.2/24", kind="veth")
IB0 = nic("ib0", "10.9.0.2/24", kind="infiniband", speed=200000)
DOCKER0 = nic("docker0", "172.17.0.1/16", kind="container_bridge")
SLAVES = [nic(name, master="bond0") for name in ("eno1", "eno2")]
BOND = [*SLAVES, nic("bond0", "10.77.0.2/24", kind="bond")]
VLAN = [*SLAVES, nic("bond0", kind="bond"), nic("bond0.100", "10.77.0.2/24", kind="vlan")]
BRIDGED = [nic("eno1", master="br0"), nic("br0", "10.77.0.2/24", kind="bridge")]
IN_VRF = [nic("eno1", "10.77.0.2/24", master="blue"), nic("blue", kind="virtual")]

NET = {"network": "10.77.0.0/24"}
ROUTED = {"default_interfaces": ["eth0"]}
CHOSEN: list[tuple[str, list[Interface], dict[str, Any], str, str]] = [
    ("the network decides over the default route", [LO, ETH0, IB0], {"network": "10.9.0.0/24", **ROUTED}, "ib0", ""),
    ("a network is matched by its addresses", [ETH0, IB0], {"network": "10.0.0.0/12"}, "ib0", "10.9.0.2"),
    ("inside a container eth0 is a veth", [LO, IN_CONTAINER], NET, "eth0", "in cluster_network 10.77.0.0/24"),
    ("own address decides next", [ETH0, IB0], {"own_addresses": ["10.9.0.2"], **ROUTED}, "ib0", "10.9.0.2"),
    ("a loopback address is passed over", [LO, ETH0], {"own_addresses": ["127.0.1.1"], **ROUTED}, "eth0", "127.0.1.1"),
    ("IPv6 loopback is passed over", [LO, ETH0], {"own_addresses": ["::1"], **ROUTED}, "eth0", "::1"),
    ("an address behind NAT is passed over", [ETH0], {"own_addresses": ["203.0.113.9"], **ROUTED}, "eth0", "default"),
    ("the route to a peer decides next", [ETH0, IB0], {"peer_source": "10.9.0.2", **ROUTED}, "ib0", "the route to"),
    ("the default route comes last", [DOCKER0, IB0, ETH0], ROUTED, "eth0", "has the default route"),
    ("no route, one interface", [LO, DOCKER0, IB0], {}, "ib0", "only usable"),
    ("a bond stands for its members", BOND, NET, "bond0", "in cluster_network"),
    ("a VLAN on a bond holds the address", VLAN, NET, "bond0.100", "in cluster_network"),
    ("a bridge stands for its members", BRIDGED, NET, "br0", "in cluster_network"),
    ("a VRF leaves its members their addresses", IN_VRF, NET, "eno1", "in cluster_network"),
    ("a named interface overrules all", [ETH0, IB0], {"interface": "ib0", **NET}, "ib0", "cluster_interface names ib0"),
    ("a named tunnel is what the user wants", [ETH0, nic("wg0", "10.8.0.2/24")], {"interface": "wg0"}, "wg0", ""),
    ("a named member leads to its bond", BOND, {"interface": "eno1"}, "bond0", "eno1, a member of bond0"),
    ("IPv6 network", [ETH0, nic("eth1", "fe80::1/64", "fd00::2/64")], {"network": "fd00::/64"}, "eth1", "fd00"),
    ("IPv6 only", [LO, nic("eth0", "fe80::1/64", "2001:db8::2/64")], ROUTED, "eth0", "default route"),
    ("brackets around IPv6", [ETH0, nic("eth1", "fd00::2/64")], {"own_addresses": ["[fd00::2]"]}, "eth1", "fd00"),
    ("a down candidate leaves the other", [nic("eth0", "10.77.0.3/24", up=False), nic("eth1", "10.77.0.2/24")],
     NET, "eth1", "10.77.0.2"),
    ("own address decides among several", [nic("eth0", "10.77.0.3/24", speed=9), ETH0 | {"name": "eth1"}],
     {**NET, "own_addresses": ["10.77.0.2"]}, "eth1", "eth0 too, but eth1 is the address that Ansible connects to"),
    ("the fastest of several", [nic("eth0", "10.77.0.3/24", speed=1000), nic("eth1", "10.77.0.4/24", speed=25000)],
     NET, "eth1", "eth0 too, but eth1 comes first by speed, name"),
    ("eth2 comes before eth10", [nic("eth10", "10.77.0.3/24"), nic("eth2", "10.77.0.4/24")], NET, "eth2", "eth10"),
    ("a VPN that Ansible uses is passed over", [nic("wg0", "10.8.0.2/32"), ETH0],
     {"own_name": "node2", "own_addresses": ["10.8.0.2"], **ROUTED}, "eth0", "leads to wg0, which is a tunnel"),
]  # fmt: skip

NO_LINK: list[tuple[str, list[Interface], dict[str, Any], str]] = [
    ("network is elsewhere", [LO, ETH0, DOCKER0], {"network": "10.9.0.0/24"},
     "cluster_network 10.9.0.0/24 is on no interface of this node (it has eth0 10.77.0.2/24; docker0"),
    ("network is on a tunnel", [nic("wg0", "10.9.0.2/24")], {"network": "10.9.0.0/24"}, "wg0 is a tunnel"),
    ("network is down", [nic("eth1", "10.9.0.2/24", up=False)], {"network": "10.9.0.0/24"}, "eth1 is down"),
    ("no cable", [nic("eth1", "10.9.0.2/24", carrier=False)], {"network": "10.9.0.0/24"}, "eth1 has no carrier"),
    ("named interface is missing", [LO, ETH0], {"interface": "ib0"}, "cluster_interface is ib0, but this node has no"),
    ("named interface is down", [ETH0 | {"up": False}], {"interface": "eth0"}, "eth0 is down on this node"),
    ("named interface is bare", [nic("eth0", "fe80::1/64")], {"interface": "eth0"}, "has no address"),
    ("the loopback by name", [LO], {"interface": "lo"}, "lo has no address that other nodes can use"),
    ("nothing but containers", [LO, DOCKER0], {"default_interfaces": ["docker0"]}, "No interface of this node can"),
    ("nothing but the loopback", [LO], {}, "only the loopback"),
]  # fmt: skip

REFUSED = [
    *("docker0", "br-0123456789ab", "br-mgmt", "veth1a2b", "virbr0", "cni0", "flannel.1", "cali0a1b", "cilium_host"),
    *("podman0", "lxcbr0", "lxc0a1b", "tun0", "tap0", "wg0", "tailscale0", "ztabcdef", "docker_gwbridge", "vnet0"),
]
ACCEPTED = [
    "eth0",
    "eno1np0",
    "enp3s0f1",
    "ens5",
    "ib0",
    "ibs1",
    "bond0",
    "bond0.100",
    "br0",
    "team0",
    "vlan7",
    "wlan0",
]


@pytest.mark.parametrize(
    ("interfaces", "wishes", "name", "why"), [row[1:] for row in CHOSEN], ids=[r[0] for r in CHOSEN]
)
def test_the_link_is(interfaces: list[Interface], wishes: dict[str, Any], name: str, why: str) -> None:
    mark_refused(interfaces)
    link, problem = choose_link(interfaces, Wishes(**wishes))
    assert link is not None, problem
    assert problem is None
    assert link["interface"] == name
    assert why in link["reason"]


@pytest.mark.parametrize(("interfaces", "wishes", "words"), [row[1:] for row in NO_LINK], ids=[r[0] for r in NO_LINK])
def test_a_node_without_a_link_says_why_and_what_to_do(
    interfaces: list[Interface], wishes: dict[str, Any], words: str
) -> None:
    mark_refused(interfaces)
    link, problem = choose_link(interfaces, Wishes(**wishes))
    assert link is None
    assert problem is not None
    assert words in problem
    assert re.search(r"; (correct|bring|give) .*\.$", problem)


@pytest.mark.parametrize("name", REFUSED)
def test_interfaces_of_containers_and_tunnels_are_never_chosen(name: str) -> None:
    interfaces = [nic(name, "10.77.0.2/24")]
    mark_refused(interfaces)
    link, _problem = choose_link(interfaces, Wishes(own_addresses=["10.77.0.2"], default_interfaces=[name]))
    assert link is None


@pytest.mark.parametrize("name", ACCEPTED)
def test_interfaces_of_the_machine_can_be_chosen(name: str) -> None:
    interfaces = [nic(name, "10.77.0.2/24")]
    mark_refused(interfaces)
    link, _problem = choose_link(interfaces, Wishes(own_addresses=["10.77.0.2"]))
    assert link is not None


def test_the_link_carries_what_the_launch_files_need() -> None:
    jumbo = nic("eth0", "10.77.0.2/23", mtu=9000, speed=100000)
    link, _problem = choose_link([jumbo], Wishes(network="10.77.0.0/23"))
    assert link == {
        "interface": "eth0",
        "address": "10.77.0.2",
        "prefix": 23,
        "network": "10.77.0.0/23",
        "mtu": 9000,
        "speed": 100000,
        "reason": "eth0 has 10.77.0.2 in cluster_network 10.77.0.0/23",
    }


@pytest.mark.parametrize("network", ["10.0.0.1/24", "10.0.0.0/33", "eth0", "10.0.0"])
def test_a_bad_network_is_named(network: str) -> None:
    with pytest.raises(NetworkError, match=r"cluster_network is '.*must be a network in CIDR form"):
        choose_link([ETH0], Wishes(network=network))
