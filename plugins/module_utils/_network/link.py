# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which address of a node other nodes should use: pure functions over what L(_network_gather) has read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict, Union

IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class NetworkError(ValueError):
    """The network of the node cannot be described; the text is a sentence for the user."""


class Address(TypedDict):
    """One address of an interface; C(network) is its network in CIDR form."""

    address: str
    prefix: int
    network: str
    family: str


class Interface(TypedDict):
    """One interface; C(speed) in Mb/s, C(refused) says why it never carries traffic between nodes."""

    name: str
    kind: str
    up: bool
    carrier: bool
    state: str
    mtu: int
    speed: int | None
    mac: str
    driver: str
    master: str
    addresses: list[Address]
    refused: str | None


class Link(TypedDict):
    """The address of this node between the nodes, and why it is this one."""

    interface: str
    address: str
    prefix: int
    network: str
    mtu: int
    speed: int | None
    reason: str


@dataclass(frozen=True)
class Wishes:
    """What the user and the inventory say about a node.

    :ivar network: CIDR of the network between nodes, or empty.
    :ivar interface: the interface that the user named for this node, or empty.
    :ivar own_name: the name or address that Ansible connects to, for the sentences.
    :ivar own_addresses: what own_name stands for on this node.
    :ivar peer_name: another node, for the sentences.
    :ivar peer_source: the address that this node would send from to reach it, or empty.
    :ivar default_interfaces: the interfaces with a default route, the preferred one first.
    """

    network: str = ""
    interface: str = ""
    own_name: str = ""
    own_addresses: Sequence[str] = ()
    peer_name: str = ""
    peer_source: str = ""
    default_interfaces: Sequence[str] = ()


# Names, not drivers: inside a container eth0 is a veth and the right choice, on the host vethXXXX never is.
_REFUSED_NAMES = (
    (r"docker|br-[0-9a-f]{12}$|podman|cni|nerdctl|lxc|lxdbr|virbr|vnet\d", "belongs to containers or virtual machines"),
    (r"br-", "is named like a bridge of containers"),
    (r"veth|cali|cilium|flannel|weave|kube|nodelocaldns|ovn-|genev_sys|vxlan", "belongs to an overlay of containers"),
    (r"tun|tap|wg|tailscale|zt|ppp|gre\d|sit\d|ip6tnl|ipip", "is a tunnel"),
)
_REFUSED_KINDS = {
    "loopback": "is the loopback",
    "container_bridge": "belongs to containers or virtual machines",
    "overlay": "belongs to an overlay of containers",
    "tunnel": "is a tunnel",
}
_SWITCHES = ("bond", "bridge", "container_bridge")


def plain_address(text: str) -> IPAddress | None:
    """The address that a text is, without brackets and zone; None where it is not one."""
    try:
        return ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None


def parse_network(text: str) -> IPNetwork | None:
    """The network of a CIDR; None for an empty text.

    :raises NetworkError: the text is no network.
    """
    if not text:
        return None
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise NetworkError(
            f"cluster_network is {text!r}: it must be a network in CIDR form such as 10.0.0.0/24 ({error})."
        ) from error


def refusal(interface: Interface, kind_of_master: str = "") -> str | None:
    """Why an interface never carries traffic between nodes; None where it may.

    :param kind_of_master: the kind of the interface that this one is a member of, or empty.
    """
    return _refusal_by_role(interface, kind_of_master) or _refusal_by_state(interface)


def _refusal_by_role(interface: Interface, kind_of_master: str) -> str | None:
    if kind_of_master in _SWITCHES:
        return f"is a member of {interface['master']}"
    if interface["kind"] in _REFUSED_KINDS:
        return _REFUSED_KINDS[interface["kind"]]
    return next((why for names, why in _REFUSED_NAMES if re.match(names, interface["name"])), None)


def _refusal_by_state(interface: Interface) -> str | None:
    if not interface["up"] or interface["state"] in ("down", "lowerlayerdown", "notpresent"):
        return "is down"
    return None if interface["carrier"] else "has no carrier"


def mark_refused(interfaces: Sequence[Interface]) -> None:
    """Fills C(refused) of every interface."""
    kinds = {interface["name"]: interface["kind"] for interface in interfaces}
    for interface in interfaces:
        interface["refused"] = refusal(interface, kinds.get(interface["master"], ""))


def usable_addresses(interface: Interface) -> list[Address]:
    """The addresses that other nodes can use, IPv4 first: neither loopback nor bound to one cable."""
    usable = []
    for address in interface["addresses"]:
        value = ipaddress.ip_address(address["address"])
        if not (value.is_loopback or (value.version == 6 and value.is_link_local)):
            usable.append(address)
    return sorted(usable, key=lambda address: address["family"])


def choose_link(interfaces: Sequence[Interface], wishes: Wishes) -> tuple[Link | None, str | None]:
    """The link of a node and None, or None and a sentence that says what is wrong and what to do.

    The first of these that applies decides: the interface that the user named; the network between nodes; the
    address that Ansible connects to; the route to another node; the default route; the only interface there is.

    :raises NetworkError: C(wishes.network) is no network.
    """
    network = parse_network(wishes.network)
    if wishes.interface:
        return _named(interfaces, wishes.interface, network)
    if network is not None:
        return _in_network(interfaces, network, wishes)
    notes: list[str] = []
    own = f"{wishes.own_name}, the address that Ansible connects to"
    link = (
        _carrying(interfaces, wishes.own_addresses, own, notes)
        or _carrying(interfaces, [wishes.peer_source], f"the route to {wishes.peer_name}", notes)
        or _with_default_route(interfaces, wishes.default_interfaces)
        or _only(interfaces)
    )
    if link is None:
        return None, (
            f"No interface of this node can carry traffic between nodes ({_inventory_of(interfaces)}); "
            "give one an address, or name one with cluster_interface in the host's variables."
        )
    link["reason"] = "; ".join([link["reason"], *notes])
    return link, None


def _link(interface: Interface, address: Address, reason: str) -> Link:
    return Link(
        interface=interface["name"],
        address=address["address"],
        prefix=address["prefix"],
        network=address["network"],
        mtu=interface["mtu"],
        speed=interface["speed"],
        reason=reason,
    )


def _named(interfaces: Sequence[Interface], name: str, network: IPNetwork | None) -> tuple[Link | None, str | None]:
    by_name = {interface["name"]: interface for interface in interfaces}
    wanted = by_name.get(name)
    if wanted is None:
        return None, (
            f"cluster_interface is {name}, but this node has no such interface (it has {_inventory_of(interfaces)}); "
            "correct cluster_interface in the host's variables."
        )
    reason = f"cluster_interface names {name}"
    master = by_name.get(wanted["master"])
    if master is not None and master["kind"] in _SWITCHES:
        reason += f", a member of {master['name']}, which carries its addresses"
        wanted = master
    addresses = usable_addresses(wanted)
    fault = _refusal_by_state(wanted) or (None if addresses else "has no address that other nodes can use")
    if fault:
        return None, (
            f"cluster_interface is {name}, but {wanted['name']} {fault} on this node; "
            "bring it up, or name another one in the host's variables."
        )
    inside = [address for address in addresses if network is not None and _within(address, network)]
    return _link(wanted, (inside or addresses)[0], reason), None


def _in_network(interfaces: Sequence[Interface], network: IPNetwork, wishes: Wishes) -> tuple[Link | None, str | None]:
    pairs = [
        (interface, address)
        for interface in interfaces
        for address in usable_addresses(interface)
        if _within(address, network)
    ]
    good = [(interface, address) for interface, address in pairs if not interface["refused"]]
    if not good:
        return None, _network_problem(interfaces, [interface for interface, address in pairs], network)
    own = {str(plain_address(text)) for text in wishes.own_addresses}
    interface, address = min(
        good,
        key=lambda pair: (pair[1]["address"] not in own, -(pair[0]["speed"] or 0), _natural(pair[0]["name"])),
    )
    reason = f"{interface['name']} has {address['address']} in cluster_network {network}"
    others = sorted({item["name"] for item, _address in good} - {interface["name"]}, key=_natural)
    if others:
        rule = "is the address that Ansible connects to" if address["address"] in own else "comes first by speed, name"
        reason += f"; {', '.join(others)} too, but {interface['name']} {rule}"
    return _link(interface, address, reason), None


def _network_problem(interfaces: Sequence[Interface], holders: Sequence[Interface], network: IPNetwork) -> str:
    if holders:
        faults = "; ".join(f"{holder['name']} {holder['refused']}" for holder in holders)
        return (
            f"cluster_network {network} is on no usable interface of this node ({faults}); "
            "bring the interface up, or name one with cluster_interface in the host's variables."
        )
    return (
        f"cluster_network {network} is on no interface of this node (it has {_inventory_of(interfaces)}); "
        "correct cluster_network, give the node an address in it, or leave it out to use the network that the nodes "
        "are reached by."
    )


def _carrying(interfaces: Sequence[Interface], texts: Iterable[str], what: str, notes: list[str]) -> Link | None:
    """The interface that holds one of the addresses; what is passed over on the way goes to the notes."""
    for wanted in map(plain_address, texts):
        if wanted is None:
            continue
        if wanted.is_loopback:
            notes.append(f"{what}, is {wanted} here, which no other node can reach")
            continue
        for interface in interfaces:
            held = [address for address in usable_addresses(interface) if address["address"] == str(wanted)]
            if held and not interface["refused"]:
                return _link(interface, held[0], f"{interface['name']} carries {wanted}: {what}")
            if held:
                notes.append(f"{what}, leads to {interface['name']}, which {interface['refused']}")
    return None


def _with_default_route(interfaces: Sequence[Interface], names: Sequence[str]) -> Link | None:
    by_name = {interface["name"]: interface for interface in interfaces if not interface["refused"]}
    for interface in (by_name[name] for name in names if name in by_name):
        for address in usable_addresses(interface):
            return _link(interface, address, f"{interface['name']} has the default route")
    return None


def _only(interfaces: Sequence[Interface]) -> Link | None:
    found = [interface for interface in interfaces if not interface["refused"] and usable_addresses(interface)]
    if len(found) != 1:
        return None
    return _link(found[0], usable_addresses(found[0])[0], f"{found[0]['name']} is the only usable interface")


def _within(address: Address, network: IPNetwork) -> bool:
    return ipaddress.ip_address(address["address"]) in network


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts eth2 before eth10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _inventory_of(interfaces: Sequence[Interface]) -> str:
    """The interfaces with their addresses, or with what keeps them out, for the sentences."""
    words = []
    for interface in interfaces:
        if interface["kind"] == "loopback":
            continue
        addresses = ", ".join(f"{item['address']}/{item['prefix']}" for item in usable_addresses(interface))
        words.append(f"{interface['name']} {addresses or 'without an address'}")
        if interface["refused"]:
            words[-1] += f" which {interface['refused']}"
    return "; ".join(words) or "only the loopback"
