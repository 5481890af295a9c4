# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory can have wrong with it before any node is asked: from plain values to sentences.

Every sentence names the host or the variable, says what is wrong, and what to do.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import KNOBS
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import (
    Options,
    complaint,
    shown,
)

Groups = Mapping[str, Sequence[str]]
Given = Mapping[str, Mapping[str, Any]]
Places = Mapping[tuple[str, str], str]

_SLOTS = {"hostfile_slots": "what is measured", "hostfile_cpu_slots": "one for each node"}
# Variables of Ansible that say how to connect. None is a secret, or a text in which a # could be meant.
CONNECTION = (
    "ansible_become", "ansible_become_method", "ansible_become_user", "ansible_connection", "ansible_host",
    "ansible_port", "ansible_private_key_file", "ansible_python_interpreter", "ansible_remote_tmp",
    "ansible_shell_executable", "ansible_shell_type", "ansible_ssh_executable", "ansible_ssh_host", "ansible_ssh_port",
    "ansible_ssh_private_key_file", "ansible_ssh_user", "ansible_timeout", "ansible_user",
)  # fmt: skip
# Words of DeepSpeed's hostfile and command line, and the variables that say the same.
_WORDS_OF_DEEPSPEED = {"slots": "hostfile_slots", "num_gpus": "hostfile_slots", "master_port": "hostfile_master_port"}
_COMMENT = re.compile(r"[ \t]+#.*")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_NAMED_AT_ONCE = 5
_REMEDY = "use a name of letters, digits, dots and dashes, and put the address in ansible_host"


def _as_children(groups: Groups, hosts: Sequence[str]) -> str:
    """How some hosts come into group 'nodes': by the groups that hold only such hosts, which become its children."""
    wanted = set(hosts)
    fitting = [
        name
        for name, members in groups.items()
        if name not in ("all", "ungrouped", "nodes", "head", "depot") and members and wanted >= set(members)
    ]
    whole = [name for name in fitting if set(groups[name]) == wanted]
    if not fitting:
        return ""
    children = whole[:1] or fitting[:_NAMED_AT_ONCE]
    return f", or make it of the groups that there are: the line [nodes:children], and below it {', '.join(children)}"


def membership_problems(groups: Groups, hosts: Sequence[str]) -> list[str]:
    """Hosts that a role is applied to without being nodes of the cluster.

    :param hosts: the hosts of the play.
    """
    if not groups.get("nodes"):
        return group_problems(groups)
    strays = [host for host in hosts if host not in groups["nodes"]]
    if not strays:
        return []
    verb = "is" if len(strays) == 1 else "are"
    remedy = f"list every machine that trains there{_as_children(groups, hosts)}"
    return [f"{named(strays)} {verb} not in group 'nodes'; {remedy}."]


def group_problems(groups: Groups) -> list[str]:
    """What is wrong with the groups: no nodes, several heads, a head that is no node."""
    if "nodes" not in groups:
        near = difflib.get_close_matches("nodes", [name for name in groups if name not in ("all", "ungrouped")], 1)
        hint = f" Group '{near[0]}' may be meant." if near else ""
        children = "" if hint else _as_children(groups, groups.get("all") or [])
        return [f"The inventory has no group 'nodes'; list every machine that trains in it{children}.{hint}"]
    nodes = list(groups["nodes"])
    if not nodes:
        return ["Group 'nodes' is empty; list every machine that trains in it."]
    found = []
    heads = list(groups.get("head") or ())
    if len(heads) > 1:
        found.append(f"Group 'head' has {named(heads)}; deepspeed is typed on one host, so keep one.")
    strays = [head for head in heads if head not in nodes]
    if strays:
        found.append(
            f"{named(strays)} is in group 'head' but not in group 'nodes'; the head trains too, so list it in both."
        )
    return found


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "text"
    return "address"


def name_problem(name: str) -> str | None:
    """Why a host name cannot be the name of a node, null where it can.

    It becomes a word of the hostfile, of a pdsh host list (where commas and brackets have a meaning), of ssh's command
    line and of /etc/hosts.
    """
    if ":" in name and _address(name) == "address":
        return f"is an IPv6 address, which neither the hostfile nor pdsh can carry; {_REMEDY}"
    if len(name) > 253 or any(len(label) > 63 for label in name.split(".")):
        return "is longer than a host name may be (63 characters between dots); give the node a shorter name"
    if not _NAME.fullmatch(name):
        bad = sorted({char for char in name if not re.match(r"[A-Za-z0-9_.-]", char)})
        why = f"contains {' '.join(map(repr, bad))}" if bad else "begins or ends with a dot, dash or underscore"
        return f"{why}, which ssh, pdsh or the hostfile cannot carry; {_REMEDY}"
    if ".." in name:
        return f"has two dots in a row; {_REMEDY}"
    # inet_aton, and so ssh, reads these as addresses: 12 is 0.0.0.12.
    if re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)(\.(0[xX][0-9a-fA-F]+|\d+)){0,3}", name) and _address(name) == "text":
        return "is only a number, which ssh reads as an address; give the node a name that begins with a letter"
    return None


def name_problems(nodes: Sequence[str]) -> list[str]:
    """What is wrong with the names of the nodes, one by one and with each other."""
    found = []
    for node in nodes:
        why = name_problem(node)
        if why:
            found.append(f"Host name {node!r} {why}.")
    alike: dict[str, list[str]] = {}
    for node in nodes:
        alike.setdefault(node.lower(), []).append(node)
    found += [
        f"{named(hosts)} differ only in upper and lower case, which ssh does not tell apart; rename one."
        for hosts in alike.values()
        if len(hosts) > 1
    ]
    if len(nodes) > 1:
        found += [
            f"Host name {node!r} means each node itself when another node uses it; give the node a name of its own."
            for node in nodes
            if node.lower() == "localhost" or re.fullmatch(r"127(\.\d+){3}", node)
        ]
    return found


def address_problems(nodes: Sequence[str], given: Given) -> list[str]:
    """Nodes that are one machine, since Ansible reaches them by one address and port."""
    owners: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        values = given.get(node, {})
        host = values.get("ansible_host") or values.get("ansible_ssh_host") or node
        port = values.get("ansible_port") or values.get("ansible_ssh_port") or 22
        owners.setdefault((str(host).lower(), str(port)), []).append(node)
    return [
        f"{named(hosts)} have one address, {host}{'' if port == '22' else f' port {port}'}; "
        "give each its own ansible_host, or remove all but one."
        for (host, port), hosts in owners.items()
        if len(hosts) > 1
    ]


def _host_problem(host: str) -> str | None:
    if not host.strip():
        return "must be the node's address; leave it out where its name will do"
    if "@" in host:
        return "names an account too; put that into ansible_user"
    if re.fullmatch(r"[^:]+:\d+", host):
        return "names a port too; put that into ansible_port"
    return "contains a blank, which no address does; give only the address" if re.search(r"\s", host) else None


def connection_problems(nodes: Sequence[str], given: Given) -> list[str]:
    """Addresses and ports that ssh cannot connect to, whatever the node is."""
    found = []
    for value, hosts in _by_value(nodes, given, "ansible_host"):
        why = _host_problem(str(value or ""))
        if why:
            found.append(f"ansible_host is {shown(value)} on {named(hosts, nodes)}: it {why}.")
    for value, hosts in _by_value(nodes, given, "ansible_port"):
        if value not in (None, "") and not (re.fullmatch(r"[0-9]{1,5}", str(value)) and 0 < int(value) < 65536):
            found.append(
                f"ansible_port is {shown(value)} on {named(hosts, nodes)}: it must be a number from 1 to 65535."
            )
    return found


def _by_value(nodes: Sequence[str], given: Given, name: str) -> list[tuple[Any, list[str]]]:
    """The values that a variable has, each with the nodes that have it; nodes without the variable are left out."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for node in nodes:
        if name in given.get(node, {}):
            value = given[node][name]
            found.setdefault(repr(value), (value, []))[1].append(node)
    return list(found.values())


def commented(given: Given) -> dict[str, set[str]]:
    """The hosts with a value that ends in a comment, each with the names of these variables."""
    found = {
        host: {name for name, value in values.items() if isinstance(value, str) and _COMMENT.search(value)}
        for host, values in given.items()
    }
    return {host: names for host, names in found.items() if names}


def comment_problems(
    nodes: Sequence[str], given: Given, secret: Collection[str] = (), places: Places | None = None
) -> list[str]:
    """Values that hold the comment behind them, as C([nodes:vars]) of an INI inventory has it.

    :param secret: variables that are left alone: a # may be meant there, and their values are never shown.
    :param places: where values of variables stand, such as hosts.ini:5, by variable and value, as far as known.
    """
    names = sorted({name for values in given.values() for name in values} - set(secret))
    everyone = named(nodes, nodes) if nodes else ""
    found = []
    for name in names:
        for value, hosts in _by_value(list(given), given, name):
            if isinstance(value, str) and _COMMENT.search(value):
                place = (places or {}).get((name, value))
                where = f" ({place})" if place else ""
                who = everyone if set(hosts) == set(nodes) else named(hosts)
                found.append(
                    f"{name} is {shown(value)} on {who}{where}: the comment is part of the value, because INI takes "
                    "the rest of the line; put the comment on a line of its own."
                )
    return found


def without_comments(given: Given, secret: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """The values as they were meant, so that what else is wrong with them is found in the same run."""
    return {
        host: {
            name: _COMMENT.sub("", value) if isinstance(value, str) and name not in secret else value
            for name, value in values.items()
        }
        for host, values in given.items()
    }


def knob_problems(nodes: Sequence[str], given: Given, members: Sequence[str] = ()) -> list[str]:
    """Values of C(cluster_*) variables that cannot be used, or that differ between nodes where they must not.

    :param members: all nodes of the inventory, where these are only some of them.
    """
    everyone = members or nodes
    found = []
    for name, knob in KNOBS.items():
        values = [(value, hosts) for value, hosts in _by_value(nodes, given, name) if value is not None]
        bad = [(value, hosts, knob.problem(value)) for value, hosts in values]
        found += [f"{name} is {shown(value)} on {named(hosts, nodes)}: it {why}." for value, hosts, why in bad if why]
        if knob.shared and len(values) > 1 and not any(why for _value, _hosts, why in bad):
            each = ", ".join(f"{shown(value)} on {named(hosts)}" for value, hosts in values)
            found.append(f"{name} is {each}: it must be the same on all nodes; set it once, for group 'nodes'.")
    heads = [(value, hosts) for value, hosts in _by_value(nodes, given, "cluster_head") if isinstance(value, str)]
    for value, _hosts in heads:
        if value not in everyone:
            near = difflib.get_close_matches(value, everyone, 1)
            hint = f" {near[0]} may be meant." if near else ""
            found.append(f"cluster_head is {shown(value)}, which is not in group 'nodes'; name one of the nodes.{hint}")
    return found


def slot_count(value: Any) -> int | None:
    """A given number of slots; null where the value is not a whole number of at least 0."""
    if isinstance(value, bool) or not re.fullmatch(r"\s*\d+\s*", str(value)):
        return None
    return int(str(value))


def slot_problems(nodes: Sequence[str], given: Given) -> list[str]:
    """Slots that are no count, and slots that are zero everywhere; C(hostfile_slots) wins where both are given."""
    found = [
        f"{name} is {shown(value)} on {named(hosts, nodes)}: it must be the number of processes to start there, "
        f"0 or more; leave it out to use {otherwise}."
        for name, otherwise in _SLOTS.items()
        for value, hosts in _by_value(nodes, given, name)
        if slot_count(value) is None
    ]
    zero = [
        node
        for node in nodes
        if slot_count(next((given[node][name] for name in _SLOTS if name in given.get(node, {})), None)) == 0
    ]
    if nodes and len(zero) == len(nodes):
        found.append("Slots are 0 on all nodes, so nothing could be launched; give at least one node a slot.")
    return found


def role_variable_problems(nodes: Sequence[str], given: Given, options: Options) -> list[str]:
    """Values of role variables that do not fit the roles' argument specifications."""
    names = sorted({name for node in nodes for name in given.get(node, {}) if name in options} - {*_SLOTS, *KNOBS})
    found = []
    for name in names:
        secret = bool(options[name].get("no_log"))
        for value, hosts in _by_value(nodes, given, name):
            why = complaint(name, value, options[name])
            if why:
                what = "a value that is not shown" if secret else shown(value)
                found.append(f"{name} is {what} on {named(hosts, nodes)}: it {why}.")
    return found


def variable_problems(nodes: Sequence[str], given: Given, options: Options, members: Sequence[str] = ()) -> list[str]:
    """All that is wrong with the values that nodes are given.

    :param members: all nodes of the inventory, where these are only some of them.
    """
    return [
        *knob_problems(nodes, given, members),
        *slot_problems(nodes, given),
        *role_variable_problems(nodes, given, options),
    ]


def misspelt(names: Iterable[str], known: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """Warnings about variables that are not ours but look as if they were meant to be.

    :param prefixes: beginnings that only our variables have, such as C(torch_); a looser likeness counts there.
    """
    ours = sorted(known)
    starts = tuple(prefixes)
    found = []
    for name in sorted(set(names) - set(ours)):
        near = difflib.get_close_matches(name, ours, 1, 0.75 if name.startswith(starts) else 0.9)
        if _WORDS_OF_DEEPSPEED.get(name) in ours:
            near = [_WORDS_OF_DEEPSPEED[name]]
        if near:
            found.append(f"Nothing reads the variable {name}; {near[0]} may be meant.")
    return found


def limit_problems(nodes: Sequence[str], hosts: Sequence[str]) -> list[str]:
    """A C(--limit) that leaves no node, which Ansible passes over without a word.

    :param hosts: the hosts that it leaves; C(localhost) is among them only where there is no limit.
    """
    if not nodes or {"localhost", *nodes} & set(hosts):
        return []
    return [f"--limit leaves {named(hosts)}, which is not in group 'nodes'; name at least one node there."]


def depot_problems(groups: Groups, given: Given) -> list[str]:
    """An address of a depot without a host that could be given what it is to serve."""
    if groups.get("depot") or not any(values.get("cluster_depot_url") for values in given.values()):
        return []
    return [
        "cluster_depot_url is set, and there is no group 'depot' with the host that serves there; list that host, so "
        "that wheels can be put there, or leave the address out."
    ]


def secret_names(options: Options) -> set[str]:
    """Variables of roles whose values are never shown."""
    return {name for name, option in options.items() if option.get("no_log")}


def inventory_problems(groups: Groups, given: Given, options: Options, places: Places | None = None) -> list[str]:
    """All that is wrong with an inventory, in the order in which a reader would repair it.

    :param given: the known variables of each host as plain values, without those that cannot be evaluated yet.
    """
    found = group_problems(groups)
    nodes = list(groups.get("nodes") or ())
    secret = secret_names(options)
    comments = comment_problems(nodes, given, secret, places)
    given = without_comments(given, secret)
    return [
        *found,
        *comments,
        *name_problems(nodes),
        *connection_problems(nodes, given),
        *address_problems(nodes, given),
        *variable_problems(nodes, given, options),
        *depot_problems(groups, given),
    ]
