# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the network of a node from sysfs, procfs and iproute2.

What reads is handed in, so that a folder and a function can stand for a node.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.link import (
    Address,
    Interface,
    Link,
    Wishes,
    choose_link,
    mark_refused,
    plain_address,
)


class Port(TypedDict):
    """One port of an RDMA device; C(rate) in Gb/s."""

    port: int
    state: str
    active: bool
    link_layer: str
    rate: float | None


class RdmaDevice(TypedDict):
    """One RDMA device, and the interfaces that belong to it; C(active) where NCCL can use a port of it."""

    name: str
    driver: str
    active: bool
    netdevs: list[str]
    ports: list[Port]


class LockedMemory(TypedDict):
    """How much memory a process may lock, as RDMA has to; C(hard) in bytes, None for no limit."""

    hard: int | None
    raisable: bool


class Network(TypedDict):
    """All that the module returns."""

    interfaces: list[Interface]
    rdma: list[RdmaDevice]
    locked_memory: LockedMemory
    hostname_resolves_to: list[str]
    link: Link | None
    problem: str | None


@dataclass(frozen=True)
class Readers:
    """How a node is read.

    :ivar root: the folder that holds sys and proc.
    :ivar run: runs C(ip) with arguments and returns its output, empty where it fails or is not there.
    :ivar resolve: the addresses of a name, empty where it has none.
    :ivar source: the address that packets to an address leave from, empty where there is no route.
    :ivar hostname: the node's own name.
    """

    root: Path
    run: Callable[[Sequence[str]], str]
    resolve: Callable[[str], Sequence[str]]
    source: Callable[[str], str]
    hostname: str


_ARPHRD_INFINIBAND, _ARPHRD_LOOPBACK = "32", "772"
# ipip, ip6tnl, sit, gre, none (tun, WireGuard): what has no Ethernet header is a tunnel here.
_ARPHRD_TUNNELS = ("512", "768", "769", "776", "778", "823", "65534")
_KINDS = {
    "bond": "bond",
    "team": "bond",
    "bridge": "bridge",
    "vlan": "vlan",
    "veth": "veth",
    "vxlan": "overlay",
    "geneve": "overlay",
    "tun": "tunnel",
    "wireguard": "tunnel",
    "ipoib": "infiniband",
}
_CONTAINER_BRIDGES = re.compile(r"docker|br-[0-9a-f]{12}$|virbr|cni|podman|nerdctl|lxcbr|lxdbr")
_IFF_UP = 0x1
_CAP_SYS_RESOURCE = 1 << 24
_RTF_UP, _RTF_GATEWAY, _RTF_REJECT = 0x1, 0x2, 0x200


def gather(readers: Readers, network: str = "", interface: str = "", own: str = "", peer: str = "") -> Network:
    """Describes the node's network and chooses its link.

    :param network: CIDR of the network between nodes, or empty.
    :param interface: the interface that the user named for this node, or empty.
    :param own: the name or address that Ansible connects to, or empty.
    :param peer: the name or address of another node, or empty.
    :raises NetworkError: C(network) is no network.
    """
    interfaces = read_interfaces(readers)
    source = next(filter(None, map(readers.source, _addresses_of(readers, peer))), "")
    wishes = Wishes(
        network=network,
        interface=interface,
        own_name=own,
        own_addresses=_addresses_of(readers, own),
        peer_name=peer,
        peer_source=source,
        default_interfaces=read_default_interfaces(readers.root),
    )
    link, problem = choose_link(interfaces, wishes)
    return Network(
        interfaces=interfaces,
        rdma=read_rdma(readers.root),
        locked_memory=read_locked_memory(readers.root),
        hostname_resolves_to=list(readers.resolve(readers.hostname)),
        link=link,
        problem=problem,
    )


def _addresses_of(readers: Readers, name: str) -> list[str]:
    if not name:
        return []
    literal = plain_address(name)
    return [str(literal)] if literal is not None else list(readers.resolve(name))


def read_interfaces(readers: Readers) -> list[Interface]:
    """Every interface in the order of its index, with C(refused) filled."""
    told = _told_by_ip(readers)
    addresses = (
        {name: _addresses_from_ip(entry) for name, entry in told.items()} if told else _addresses_from_proc(readers)
    )
    folders = [folder for folder in _entries(readers.root / "sys/class/net") if (folder / "ifindex").is_file()]
    interfaces = [
        _interface(folder, told.get(folder.name, {}), addresses.get(folder.name, []))
        for folder in sorted(folders, key=lambda folder: (_number(_text(folder / "ifindex")) or 0, folder.name))
    ]
    mark_refused(interfaces)
    return interfaces


def _interface(folder: Path, told: dict[str, Any], addresses: list[Address]) -> Interface:
    state = _text(folder / "operstate")
    speed = _number(_text(folder / "speed"))
    return Interface(
        name=folder.name,
        kind=_kind(folder, told),
        up=bool(int(_text(folder / "flags") or "0", 16) & _IFF_UP),
        carrier=_text(folder / "carrier") == "1",
        state=state,
        mtu=_number(_text(folder / "mtu")) or 0,
        # Drivers that know no speed, virtio among them, report -1.
        speed=speed if speed and speed > 0 else None,
        mac=_text(folder / "address"),
        driver=_link_name(folder / "device/driver"),
        master=_link_name(folder / "master"),
        addresses=addresses,
        refused=None,
    )


def _kind(folder: Path, told: dict[str, Any]) -> str:
    """One word for what an interface is; what iproute2 calls it, else what sysfs shows."""
    hardware = _text(folder / "type")
    if hardware == _ARPHRD_LOOPBACK:
        return "loopback"
    if hardware == _ARPHRD_INFINIBAND:
        return "infiniband"
    if hardware in _ARPHRD_TUNNELS or (folder / "tun_flags").exists():
        return "tunnel"
    called = str((told.get("linkinfo") or {}).get("info_kind") or "") or _called_by_sysfs(folder)
    kind = _KINDS.get(called)
    if kind == "bridge" and _CONTAINER_BRIDGES.match(folder.name):
        return "container_bridge"
    if kind:
        return kind
    return "physical" if (folder / "device").exists() else "virtual"


def _called_by_sysfs(folder: Path) -> str:
    for name, marker in (("bond", "bonding"), ("bridge", "bridge")):
        if (folder / marker).is_dir():
            return name
    devtype = re.search(r"^DEVTYPE=(\S+)$", _text(folder / "uevent"), re.MULTILINE)
    if devtype:
        return devtype[1]
    # A veth names its peer, which is no lower device of it.
    alone = _text(folder / "iflink") in ("", _text(folder / "ifindex"))
    stacked = any(entry.name.startswith("lower_") for entry in _entries(folder))
    return "" if alone or stacked or (folder / "device").exists() else "veth"


def _told_by_ip(readers: Readers) -> dict[str, dict[str, Any]]:
    """What C(ip -json) says, by name; empty where iproute2 is missing or too old to speak JSON."""
    try:
        entries = json.loads(readers.run(["-details", "-json", "address", "show"]) or "[]")
    except ValueError:
        return {}
    return {entry["ifname"]: entry for entry in entries if isinstance(entry, dict) and entry.get("ifname")}


def _addresses_from_ip(entry: dict[str, Any]) -> list[Address]:
    """The addresses of one entry of C(ip -json); those that come and go, or never came up, are last or left out."""
    found = []
    for item in entry.get("addr_info") or []:
        if "local" not in item or item.get("dadfailed") or item.get("tentative"):
            continue
        passing = bool(item.get("temporary") or item.get("deprecated") or item.get("secondary"))
        found.append((passing, _address(item["local"], int(item["prefixlen"]))))
    return [address for _passing, address in sorted(found, key=lambda pair: pair[0])]


def _addresses_from_proc(readers: Readers) -> dict[str, list[Address]]:
    """The addresses by interface from procfs alone.

    C(/proc/net/fib_trie) holds the node's own IPv4 addresses but not their interfaces; the connected routes tell
    those. An address with no network of its own (a /32) therefore stays unknown without iproute2.
    """
    proc = readers.root / "proc/net"
    found: dict[str, list[Address]] = {}
    routes = sorted(_connected_routes(_text(proc / "route")), key=lambda item: item[1].prefixlen, reverse=True)
    locals_ = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", _text(proc / "fib_trie"))
    for text in dict.fromkeys(locals_):
        value = ipaddress.IPv4Address(text)
        for name, network in [*routes, ("lo", ipaddress.IPv4Network("127.0.0.0/8"))]:
            if value in network:
                found.setdefault(name, []).append(_address(text, network.prefixlen))
                break
    for line in _text(proc / "if_inet6").splitlines():
        digits, _index, prefix, _scope, _flags, name = line.split()
        found.setdefault(name, []).append(_address(str(ipaddress.IPv6Address(int(digits, 16))), int(prefix, 16)))
    return found


def _connected_routes(table: str) -> Iterable[tuple[str, ipaddress.IPv4Network]]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & _RTF_UP and not int(fields[3], 16) & _RTF_GATEWAY and fields[1] != "00000000":
            yield fields[0], ipaddress.IPv4Network(f"{_kernel_ipv4(fields[1])}/{_kernel_ipv4(fields[7])}")


def _kernel_ipv4(digits: str) -> str:
    """The address that the kernel prints as one hexadecimal word in the machine's byte order."""
    return socket.inet_ntoa(struct.pack("=I", int(digits, 16)))


def _address(text: str, prefix: int) -> Address:
    network = ipaddress.ip_interface(f"{text}/{prefix}").network
    return Address(address=text, prefix=prefix, network=str(network), family="ipv4" if network.version == 4 else "ipv6")


def read_default_interfaces(root: Path) -> list[str]:
    """The interfaces with a default route, IPv4 before IPv6, each in the order of the metric."""
    found = []
    for line in _text(root / "proc/net/route").splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and fields[7] == "00000000" and int(fields[3], 16) & _RTF_UP:
            found.append((4, int(fields[6]), fields[0]))
    for line in _text(root / "proc/net/ipv6_route").splitlines():
        fields = line.split()
        flags = int(fields[8], 16)
        if int(fields[0], 16) == 0 and fields[1] == "00" and flags & _RTF_UP and not flags & _RTF_REJECT:
            found.append((6, int(fields[5], 16), fields[9]))
    return list(dict.fromkeys(name for _family, _metric, name in sorted(found)))


def read_rdma(root: Path) -> list[RdmaDevice]:
    """Every RDMA device, by name."""
    devices = []
    for folder in _entries(root / "sys/class/infiniband"):
        ports = [_port(port) for port in _entries(folder / "ports")]
        devices.append(
            RdmaDevice(
                name=folder.name,
                driver=_link_name(folder / "device/driver"),
                active=any(port["active"] for port in ports),
                netdevs=_netdevs(folder),
                ports=ports,
            )
        )
    return devices


def read_locked_memory(root: Path) -> LockedMemory:
    """The limit of the process that asks, and whether a login may raise it at all.

    Where CAP_SYS_RESOURCE is not to be had, as in most containers, pam_limits fails to raise a limit, and sshd then
    ends the session: a line in limits.d would lock everyone out.
    """
    hard = re.search(r"^Max locked memory\s+\S+\s+(\S+)", _text(root / "proc/self/limits"), re.MULTILINE)
    bounds = re.search(r"^CapBnd:\s+(\w+)", _text(root / "proc/self/status"), re.MULTILINE)
    return LockedMemory(
        hard=_number(hard[1]) if hard else None,
        raisable=bool(bounds and int(bounds[1], 16) & _CAP_SYS_RESOURCE),
    )


def _netdevs(folder: Path) -> list[str]:
    """The interfaces of a device; over a bond or in software only the table of GIDs knows them."""
    names = {entry.name for entry in _entries(folder / "device/net")}
    for port in _entries(folder / "ports"):
        names.update(_text(entry) for entry in _entries(port / "gid_attrs/ndevs"))
    return sorted(filter(None, names))


def _port(folder: Path) -> Port:
    state = _text(folder / "state").rpartition(":")[2].strip().lower()
    rate = re.match(r"[\d.]+", _text(folder / "rate"))
    return Port(
        port=_number(folder.name) or 0,
        state=state,
        active=state == "active",
        link_layer=_text(folder / "link_layer"),
        rate=float(rate[0]) if rate else None,
    )


def resolve(name: str) -> list[str]:
    """The addresses of a name as the node's own resolver tells them."""
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def source(address: str) -> str:
    """The address that packets to another one leave from: what C(ip route get) calls src. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    """A file's text; empty where it is missing, or where the kernel refuses, as for the speed of what is down."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _link_name(path: Path) -> str:
    try:
        return Path(path).readlink().name
    except OSError:
        return ""
