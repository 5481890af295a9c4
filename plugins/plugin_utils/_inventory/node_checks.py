# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes can have wrong with them, alone and together: from what they reported to sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.checks import slot_count
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import resolve
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.accelerators import (
    MAKERS,
    VENDORS,
    accelerator_of,
    computing,
)

_NO_PYTHON = re.compile(r"requires a minimum of Python|interpreter .* was not found|python[\d.]*: (command )?not found")


@dataclass(frozen=True)
class Needs:
    """What nodes must have.

    systems: versions by distribution as Ansible names it. disk: GB (10^9 bytes) free before the first installation, by
    accelerator. clock_skew: seconds that clocks may differ.
    """

    systems: Mapping[str, Sequence[str]]
    python: str
    disk: Mapping[str, float]
    clock_skew: float


@dataclass(frozen=True)
class Node:
    """What one node reported, and what the inventory says about it.

    facts: Ansible's facts with fromzero_network, fromzero_gpus and fromzero_node. values: its cluster_* variables and
    hostfile_slots, where given.
    """

    name: str
    facts: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def report(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.facts.get("fromzero_node") or {}
        return found

    @property
    def gpu_report(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.facts.get("fromzero_gpus") or {}
        return found

    @property
    def gpus(self) -> int:
        """How many GPUs the node has that anything computes on."""
        return self.gpus_for("auto")

    def gpus_for(self, accelerator: str) -> int:
        """How many GPUs the node has that an accelerator computes on."""
        return len(computing(self.gpu_report, accelerator))


def accelerator(nodes: Sequence[Node]) -> str:
    """What the inventory says the cluster computes on; for auto, what the GPUs of the nodes compute with, else auto.

    Nodes with GPUs of both vendors are told by the plan, which can serve only one of them.
    """
    wish = next(
        (str(node.values["cluster_accelerator"]) for node in nodes if node.values.get("cluster_accelerator")), "auto"
    )
    gpus = [gpu for node in nodes for gpu in node.gpu_report.get("gpus") or ()]
    return accelerator_of(gpus) or wish if wish == "auto" else wish


def accelerator_problems(nodes: Sequence[Node]) -> list[str]:
    """No GPU where one is needed."""
    settled = accelerator(nodes)
    names = named([node.name for node in nodes], [node.name for node in nodes] if len(nodes) > 1 else ())
    if settled == "auto":
        where = f"on {names}" if len(nodes) == 1 else "on any node"
        return [f"No NVIDIA or AMD GPU to compute on was found {where}; set cluster_accelerator: cpu to train on CPUs."]
    given = any(slot_count(node.values.get("hostfile_slots")) for node in nodes)
    if settled in VENDORS and not given and not any(node.gpus_for(settled) for node in nodes):
        return [
            f"cluster_accelerator is '{settled}' but no {MAKERS[settled]} GPU was found on {names}; set "
            "cluster_accelerator: cpu to train on CPUs, or hostfile_slots where a node has GPUs that cannot be seen."
        ]
    return []


def warnings(nodes: Sequence[Node]) -> list[str]:
    """What a user should know though nothing stops: nodes without a GPU among nodes with, faults of GPUs and drivers.

    Alike sentences come once, with all their nodes. Where the GPUs are not used, their faults are no matter.
    """
    settled = accelerator(nodes)
    if settled not in VENDORS:
        return []
    found = []
    given = {node.name: slot_count(node.values.get("hostfile_slots")) for node in nodes}
    bare = [node.name for node in nodes if not node.gpus_for(settled) and given[node.name] is None]
    if bare and len(bare) < len(nodes):
        found.append(f"{named(bare)}: no {MAKERS[settled]} GPU was found, so the hostfile will give no slot there.")
    said: dict[str, list[str]] = {}
    for node in nodes:
        for sentence in _gpu_findings(node.gpu_report):
            said.setdefault(sentence, []).append(node.name)
    return found + [f"{named(names)}: {sentence}" for sentence, names in said.items()]


def _gpu_findings(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with a node's GPUs; what nvidia-smi said, where nothing tells it better."""
    error = report.get("error")
    return [str(sentence) for sentence in report.get("findings") or ([error] if error else [])]


def _system_problem(node: Node, needs: Needs) -> str | None:
    name, version = str(node.facts.get("distribution", "")), str(node.facts.get("distribution_version", ""))
    if any(version == known or version.startswith(f"{known}.") for known in needs.systems.get(name, ())):
        return None
    known = "; ".join(f"{system} {', '.join(map(str, versions))}" for system, versions in needs.systems.items())
    return (
        f"{node.name} runs {name} {version}, which is not supported; supported are {known}. "
        "Take it out of group 'nodes' or install one of these."
    )


def _python_problem(node: Node, needs: Needs) -> str | None:
    version = str(node.facts.get("python_version", ""))
    if numbers(version) < numbers(needs.python):
        return (
            f"{node.name} has Python {version}, and {needs.python} is the oldest that works; install a newer one and "
            "set ansible_python_interpreter."
        )
    return None


def lost_problems(lost: Mapping[str, str], needs: Needs) -> dict[str, str]:
    """Nodes where no Python can be used, which is a fault of the node's setup and not a passing one.

    :param lost: what gathering facts said, by node, of nodes that it failed on.
    """
    return {
        name: f"{name} has no Python that can be used ({said}); install Python {needs.python} or newer there, or set "
        "ansible_python_interpreter."
        for name, said in lost.items()
        if _NO_PYTHON.search(said)
    }


def _network_problem(node: Node) -> str | None:
    problem = (node.facts.get("fromzero_network") or {}).get("problem")
    return f"{node.name}: {problem}" if problem else None


def _account_problem(node: Node) -> str | None:
    account = node.report.get("account") or {}
    if account and not account["exists"]:
        return (
            f"{node.name} has no account '{account['name']}'; create it, or set cluster_user to an account that all "
            "nodes have."
        )
    login = node.facts.get("user_id")
    if account and login and account["name"] != login and not resolve("cluster_become", node.values):
        return (
            f"{node.name}: cluster_user is '{account['name']}' but Ansible connects as '{login}', and with "
            "cluster_become: false it cannot act for another account; connect as cluster_user or leave it out."
        )
    return None


def _holder_problem(node: Node) -> str | None:
    """A folder of somebody else's, which role conda would hand to the account that trains."""
    disk, account = node.report.get("disk") or {}, node.report.get("account") or {}
    holder = disk.get("held_by")
    if not holder or not account or holder == account["name"] or not resolve("cluster_become", node.values):
        return None
    path, user = disk["path"], account["name"]
    return (
        f"{node.name}: cluster_prefix {path} is there already, holds files, and belongs to {holder}, not to {user}; "
        f"set cluster_prefix to a folder of its own such as {path.rstrip('/')}/fromzero, or hand it over: "
        f"chown -R {user} {path}."
    )


def _disk_problem(node: Node, needs: Needs, settled: str) -> str | None:
    disk = node.report.get("disk")
    if not disk:
        return None
    if not disk["writable"]:
        return (
            f"{node.name}: nothing can be written below {disk['path']}; set cluster_prefix to a folder of the account, "
            "or allow root by cluster_become: true."
        )
    needed = float(needs.disk.get(settled, 0))
    free = disk["free_bytes"] / 1e9
    if node.report.get("installed") or free >= needed:
        return None
    return (
        f"{node.name} has {free:.1f} GB free at {disk['path']} and needs {needed:g} GB; make room, or set "
        "cluster_prefix to a larger disk (preflight_disk_needed is the limit)."
    )


def clock_problems(nodes: Sequence[Node], limit: float) -> dict[str, str]:
    """Nodes whose clock is not that of the others; the reference is the node that most others agree with."""
    offsets = {node.name: float(node.report["clock_offset"]) for node in nodes if "clock_offset" in node.report}
    if not offsets:
        return {}

    def company(name: str) -> tuple[int, float]:
        return sum(abs(offset - offsets[name]) <= limit for offset in offsets.values()), -abs(offsets[name])

    reference = max(offsets, key=company)
    found = {}
    for name, offset in offsets.items():
        skew = offset - offsets[reference]
        if abs(skew) > limit:
            way = "ahead of" if skew > 0 else "behind"
            found[name] = (
                f"{name}'s clock is {abs(skew):.0f} s {way} {reference}'s, more than the {limit:g} s allowed; set it "
                "right, best by a time service such as chrony on all nodes."
            )
    return found


def twin_problems(nodes: Sequence[Node]) -> list[str]:
    """Nodes that are one machine, and nodes that would be reached by one address."""
    machines: dict[str, list[str]] = {}
    links: dict[str, list[str]] = {}
    for node in nodes:
        machine = node.report.get("machine")
        link = (node.facts.get("fromzero_network") or {}).get("link")
        if machine:
            machines.setdefault(str(machine), []).append(node.name)
        if link:
            links.setdefault(str(link["address"]), []).append(node.name)
    same = [names for names in machines.values() if len(names) > 1]
    found = [f"{named(names)} are one machine; keep one of them in group 'nodes'." for names in same]
    found += [
        f"{named(names)} have one address between nodes, {address}; set cluster_network to a network in which each has "
        "its own."
        for address, names in links.items()
        if len(names) > 1 and not any(set(names) <= set(twins) for twins in same)
    ]
    return found


def shared_problems(nodes: Sequence[Node]) -> list[str]:
    """Defaults that come out differently on nodes, although the launcher starts one path as one account everywhere."""
    found = []
    for name in ("cluster_user", "cluster_environment"):
        holders: dict[str, list[str]] = {}
        for node in nodes:
            holders.setdefault(str(resolve(name, {**node.values, "ansible_facts": node.facts})), []).append(node.name)
        if len(holders) > 1:
            each = ", ".join(f"'{value}' on {named(names)}" for value, names in holders.items())
            found.append(f"{name} comes to {each}, and the launcher needs one for all; set it for group 'nodes'.")
    return found


def home_problems(nodes: Sequence[Node], given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Nodes that share a home, in which role nccl has to name one interface for all of them, and theirs differ.

    :param given: the variables of roles that nodes are given.
    """
    homes: dict[str, list[Node]] = {}
    for node in nodes:
        variables = given.get(node.name, {})
        elsewhere = variables.get("nccl_path") and variables.get("nccl_environment_path")
        if node.report.get("home") and not elsewhere and not resolve("cluster_become", node.values):
            homes.setdefault(str(node.report["home"]), []).append(node)
    found = []
    for sharing in homes.values():
        holders: dict[str, list[str]] = {}
        for node in sharing:
            link = (node.facts.get("fromzero_network") or {}).get("link") or {}
            interface = given.get(node.name, {}).get("nccl_interface") or link.get("interface")
            if interface:
                holders.setdefault(str(interface), []).append(node.name)
        if len(holders) > 1:
            each = ", ".join(f"{interface} on {named(names)}" for interface, names in holders.items())
            home = (sharing[0].report.get("account") or {}).get("home")
            found.append(
                f"{named([node.name for node in sharing])} share the home {home}, whose .nccl.conf can name one "
                f"interface only, and it is {each}; set cluster_become: true, so that each node has its own in "
                "/etc/nccl.conf, or give the interfaces one name."
            )
    return found


def broken_nodes(nodes: Sequence[Node], needs: Needs) -> dict[str, list[str]]:
    """What is wrong with single nodes, by node: without those nodes, nothing of it stands against the others."""
    settled = accelerator(nodes)
    clocks = clock_problems(nodes, needs.clock_skew)
    found = {
        node.name: [
            problem
            for problem in (
                _system_problem(node, needs),
                _python_problem(node, needs),
                _network_problem(node),
                _account_problem(node),
                _disk_problem(node, needs, settled),
                _holder_problem(node),
                clocks.get(node.name),
            )
            if problem
        ]
        for node in nodes
    }
    return {name: problems for name, problems in found.items() if problems}


def way_without(broken: Sequence[str], everyone: Sequence[str], head: str, limit: str) -> list[str]:
    """How to go on without the nodes that something is wrong with; nothing where that leaves no node, or no head.

    :param limit: the C(--limit) of this run, empty where there is none.
    """
    if not broken or head in broken or not set(everyone) - set(broken):
        return []
    pattern = ":".join([*([limit] if limit else []), *(f"!{node}" for node in broken)])
    it = "it is" if len(broken) == 1 else "they are"
    return [f"To go on without {named(broken)} until {it} repaired, run with --limit '{pattern}'."]


def node_problems(nodes: Sequence[Node], needs: Needs) -> list[str]:
    """All that is wrong with nodes that reported, each alone, then all together; but for what a plan needs of them."""
    alone = [problem for problems in broken_nodes(nodes, needs).values() for problem in problems]
    return [*alone, *twin_problems(nodes), *shared_problems(nodes)]
