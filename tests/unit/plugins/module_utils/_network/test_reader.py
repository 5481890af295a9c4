# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node's network as read from a folder that holds sys and proc."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network import reader
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.link import Interface
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reader import Readers, gather

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth1	00000000	0100090A	0003	0	0	200	00000000	0	0	0
eth0	00000000	01004D0A	0003	0	0	100	00000000	0	0	0
eth0	00004D0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0000090A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.77.0.2
        /32 host LOCAL
     |-- 10.9.0.2
        /32 host LOCAL
     |-- 10.77.0.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
     |-- 10.77.0.2
        /32 host LOCAL
"""
IF_INET6 = "fd000000000000000000000000000002 02 40 00 80     eth0\n"
IPV6_ROUTE = (
    f"{'0' * 32} 00 {'0' * 32} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n"
    f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
)


class Node:
    """A simulated node: files below a folder, and what its tools answer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ip: list[dict[str, Any]] = []
        self.names: dict[str, list[str]] = {}
        self.sources: dict[str, str] = {}

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    def link(self, name: str, target: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def interface(self, name: str, index: int, *addresses: str, **files: str) -> None:
        defaults = {"ifindex": index, "iflink": index, "type": 1, "flags": "0x1003", "operstate": "up", "carrier": 1}
        merged = {**defaults, "mtu": 1500, "address": "02:00:00:00:00:01", **files}
        self.write({f"sys/class/net/{name}/{file}": str(text) for file, text in merged.items()})
        infos = [{"local": text.split("/")[0], "prefixlen": int(text.split("/")[1])} for text in addresses]
        self.ip.append({"ifname": name, "addr_info": infos})

    def readers(self, with_ip: bool = True) -> Readers:
        def run(arguments: Sequence[str]) -> str:
            assert list(arguments) == ["-details", "-json", "address", "show"]
            return json.dumps(self.ip) if with_ip else ""

        return Readers(
            root=self.root,
            run=run,
            resolve=lambda name: self.names.get(name, []),
            source=lambda address: self.sources.get(address, ""),
            hostname="node1",
        )

    def named(self, name: str, with_ip: bool = True) -> Interface:
        return next(item for item in reader.read_interfaces(self.readers(with_ip)) if item["name"] == name)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    simulated = Node(tmp_path)
    simulated.interface("lo", 1, "127.0.0.1/8", type="772", operstate="unknown")
    simulated.interface("eth0", 2, "10.77.0.2/24", "fd00::2/64")
    simulated.interface("eth1", 3, "10.9.0.2/24", speed="100000")
    simulated.link("sys/class/net/eth1/device/driver", "/sys/bus/pci/drivers/mlx5_core")
    simulated.write({"proc/net/route": ROUTES, "proc/net/fib_trie": FIB})
    simulated.write({"proc/net/if_inet6": IF_INET6, "proc/net/ipv6_route": IPV6_ROUTE})
    return simulated


def test_addresses_are_the_same_with_and_without_iproute2(node: Node) -> None:
    with_ip, without = (reader.read_interfaces(node.readers(told)) for told in (True, False))
    assert {item["name"]: item["addresses"] for item in with_ip} == {
        item["name"]: item["addresses"] for item in without
    }
    assert without[1]["addresses"] == [
        {"address": "10.77.0.2", "prefix": 24, "network": "10.77.0.0/24", "family": "ipv4"},
        {"address": "fd00::2", "prefix": 64, "network": "fd00::/64", "family": "ipv6"},
    ]


def test_output_of_iproute2_without_json_falls_back_to_procfs(node: Node) -> None:
    readers = node.readers()
    old = Readers(readers.root, lambda arguments: "2: eth0: <UP>", readers.resolve, readers.source, readers.hostname)
    assert [address["address"] for address in reader.read_interfaces(old)[2]["addresses"]] == ["10.9.0.2"]


def test_addresses_that_come_and_go_are_last(node: Node) -> None:
    node.ip[1]["addr_info"] = [
        {"local": "10.77.0.100", "prefixlen": 32, "secondary": True},
        {"local": "10.77.0.9", "prefixlen": 24, "dadfailed": True},
        {"local": "10.77.0.2", "prefixlen": 24},
    ]
    assert [item["address"] for item in node.named("eth0")["addresses"]] == ["10.77.0.2", "10.77.0.100"]


def test_speed_and_driver_are_read_where_there_are_any(node: Node) -> None:
    node.write({"sys/class/net/eth0/speed": "-1"})
    assert (node.named("eth0")["speed"], node.named("eth0")["driver"]) == (None, "")
    assert (node.named("eth1")["speed"], node.named("eth1")["driver"]) == (100000, "mlx5_core")


KINDS: list[tuple[str, str, dict[str, str], str]] = [
    ("bond0", "bond", {"bonding/mode": "802.3ad 4"}, "bond"),
    ("bond0.7", "vlan", {"uevent": "DEVTYPE=vlan\nINTERFACE=bond0.7", "iflink": "3", "lower_bond0/x": ""}, "vlan"),
    ("br0", "bridge", {"bridge/bridge_id": "8000"}, "bridge"),
    ("docker0", "bridge", {"bridge/bridge_id": "8000"}, "container_bridge"),
    ("eth7", "veth", {"iflink": "41"}, "veth"),
    ("vxlan0", "vxlan", {"uevent": "DEVTYPE=vxlan"}, "overlay"),
    ("mesh0", "wireguard", {"type": "65534", "uevent": "DEVTYPE=wireguard"}, "tunnel"),
    ("vpn0", "tun", {"tun_flags": "0x1002"}, "tunnel"),
    ("ib0", "", {"type": "32", "device/vendor": "0x15b3"}, "infiniband"),
    ("eno1", "", {"device/vendor": "0x8086"}, "physical"),
    ("dummy0", "dummy", {}, "virtual"),
    ("macvlan0", "macvlan", {"iflink": "2", "lower_eth0/x": ""}, "virtual"),
]


@pytest.mark.parametrize(("name", "told", "files", "kind"), KINDS, ids=[row[0] for row in KINDS])
def test_the_kind_is_known_with_and_without_iproute2(
    node: Node, name: str, told: str, files: dict[str, str], kind: str
) -> None:
    node.interface(name, 9)
    node.ip[-1]["linkinfo"] = {"info_kind": told} if told else {}
    node.write({f"sys/class/net/{name}/{file}": text for file, text in files.items()})
    assert [node.named(name, with_ip)["kind"] for with_ip in (True, False)] == [kind, kind]


def test_members_of_a_bond_name_their_master(node: Node) -> None:
    node.interface("bond0", 8)
    node.write({"sys/class/net/bond0/bonding/mode": "802.3ad 4"})
    node.link("sys/class/net/eth1/master", "../bond0")
    assert node.named("eth1")["master"] == "bond0"
    assert node.named("eth1")["refused"] == "is a member of bond0"


DOWN: list[tuple[dict[str, str], str]] = [
    ({"flags": "0x1002", "operstate": "down", "carrier": ""}, "is down"),
    ({"operstate": "down", "carrier": "0"}, "is down"),
    ({"operstate": "dormant", "carrier": "0"}, "has no carrier"),
]


@pytest.mark.parametrize(("files", "words"), DOWN)
def test_what_is_down_is_refused(node: Node, files: dict[str, str], words: str) -> None:
    node.write({f"sys/class/net/eth1/{name}": text for name, text in files.items()})
    assert node.named("eth1")["refused"] == words


def test_default_routes_come_by_metric_and_family(node: Node) -> None:
    assert reader.read_default_interfaces(node.root) == ["eth0", "eth1"]


def test_names_are_resolved_on_the_node(node: Node) -> None:
    node.names = {"node1.example.org": ["127.0.1.1", "10.9.0.2"], "node1": ["127.0.1.1"]}
    network = gather(node.readers(), own="node1.example.org")
    assert network["link"] is not None
    assert network["link"]["interface"] == "eth1"
    assert network["hostname_resolves_to"] == ["127.0.1.1"]


def test_the_route_to_a_peer_is_asked_for_its_address(node: Node) -> None:
    node.names, node.sources = {"node2": ["10.9.0.3"]}, {"10.9.0.3": "10.9.0.2"}
    network = gather(node.readers(), own="localhost", peer="node2")
    assert network["link"] is not None
    assert (network["link"]["interface"], network["link"]["reason"]) == (
        "eth1",
        "eth1 carries 10.9.0.2: the route to node2",
    )


def test_a_network_of_the_node_is_no_problem_and_another_one_is(node: Node) -> None:
    assert gather(node.readers(), network="10.9.0.0/24")["problem"] is None
    assert "10.8.0.0/24 is on no interface" in (gather(node.readers(), network="10.8.0.0/24")["problem"] or "")


def test_rdma_devices_list_their_ports_and_interfaces(node: Node) -> None:
    device = "sys/class/infiniband/mlx5_0"
    node.write({f"{device}/ports/1/{file}": text for file, text in {
        "state": "4: ACTIVE", "link_layer": "InfiniBand", "rate": "200 Gb/sec (4X HDR)"}.items()})  # fmt: skip
    node.write({f"{device}/ports/2/state": "1: DOWN", f"{device}/ports/2/link_layer": "Ethernet"})
    node.write({f"{device}/device/net/ib0/ifindex": "4", f"{device}/ports/2/gid_attrs/ndevs/0": "bond0"})
    node.link(f"{device}/device/driver", "/sys/bus/pci/drivers/mlx5_core")
    assert reader.read_rdma(node.root) == [
        {
            "name": "mlx5_0",
            "driver": "mlx5_core",
            "active": True,
            "netdevs": ["bond0", "ib0"],
            "ports": [
                {"port": 1, "state": "active", "active": True, "link_layer": "InfiniBand", "rate": 200.0},
                {"port": 2, "state": "down", "active": False, "link_layer": "Ethernet", "rate": None},
            ],
        }
    ]


def test_a_node_without_rdma_has_an_empty_list(node: Node) -> None:
    assert reader.read_rdma(node.root) == []


LIMITS: list[tuple[str, str, int | None, bool]] = [
    ("8388608", "000001ffffffffff", 8388608, True),
    ("unlimited", "000001ffffffffff", None, True),
    ("65536", "00000000a80425fb", 65536, False),
]


@pytest.mark.parametrize(("hard", "bounds", "limit", "raisable"), LIMITS)
def test_a_limit_is_raisable_only_where_the_kernel_lets_a_login_raise_it(
    node: Node, hard: str, bounds: str, limit: int | None, raisable: bool
) -> None:
    node.write({"proc/self/limits": f"Limit  Soft  Hard  Units\nMax locked memory         65536    {hard}    bytes"})
    node.write({"proc/self/status": f"Name:\tpython3\nCapBnd:\t{bounds}"})
    assert reader.read_locked_memory(node.root) == {"hard": limit, "raisable": raisable}


def test_an_empty_folder_is_a_node_without_interfaces(tmp_path: Path) -> None:
    network = gather(Node(tmp_path).readers(with_ip=False))
    assert network["interfaces"] == []
    assert "only the loopback" in (network["problem"] or "")


def test_a_name_that_nothing_knows_has_no_address() -> None:
    assert reader.resolve("no such name .invalid") == []


def test_the_source_of_the_loopback_is_the_loopback() -> None:
    assert reader.source("127.0.0.1") == "127.0.0.1"
