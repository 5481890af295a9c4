# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges the layers under a launch: the nodes, their environments, ssh among them, pdsh from the head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import (
    RUN_MESH,
    RUN_SITE,
    Check,
    Cluster,
    Found,
)

_SSH_FIXES = {
    "host_key": f"{RUN_MESH}; if the host was reinstalled, that replaces its key.",
    "refused_key": f"{RUN_MESH}; if it fails again, look at the log of sshd there.",
    "name": f"{RUN_MESH}, which writes the names of the nodes into /etc/hosts.",
    "closed": "Start sshd there and open its port between the nodes.",
    "busy": f"{RUN_MESH}, which sizes MaxStartups to the number of nodes.",
    "network": "Open the network between the nodes, or name the right one in cluster_network.",
    "config": "Correct ~/.ssh and its config on the node that was asked.",
    "other_host": f"{RUN_MESH}; if that does not help, two nodes have one address or name.",
}
_REPAIR = "Repair it, and run again: what is done is kept."
_REPAIR_ABOVE = "Repair it as the run says above, and run again."
# A node that is reinstalled under a limit has a key that the others do not know.
_SSH_FIX_OUTSIDE = f"{RUN_MESH} and without --limit, so that the other nodes let it in."
_SILENT = ("network", "closed")
_SSH_FIX = "Run the same ssh command by hand on that node to see more."


def check_nodes(cluster: Cluster) -> Iterator[Check]:
    """Whether each node of the run is still there."""
    for node in cluster.nodes:
        yield Check("nodes", "takes part", node, True)
    for node in cluster.lost:
        known = cluster.set_aside.get(node) or {}
        remedy = str(known.get("remedy") or "")
        reason = f"it {known['event']}" if known else "it failed or could not be reached earlier in this run"
        fix = f"{remedy[:1].upper()}{remedy[1:]}, and run again." if remedy else _REPAIR if known else _REPAIR_ABOVE
        yield Check("nodes", "takes part", node, False, reason, fix)


def _problems_of(found: Found, packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with one environment by itself, as pairs of a name and a reason."""
    if found.get("failed") or "exists" not in found:
        yield "environment", str(found.get("msg") or "it could not be looked at")
        return
    if not found["exists"]:
        yield "environment", f"there is no Python environment at {found.get('prefix') or 'cluster_environment'}"
        return
    installed = found.get("packages") or {}
    for package in packages:
        if package not in installed:
            yield package, f"{package} is not installed in {found.get('prefix') or 'the environment'}"
    for error in found.get("errors") or ():
        yield "imports", str(error)


def _versions(found: Found, packages: Sequence[str]) -> dict[str, str]:
    installed = found.get("packages") or {}
    versions = {package: str(installed[package]) for package in packages if package in installed}
    return {"python": str(found["python"]), **versions} if found.get("python") else versions


def check_environments(cluster: Cluster) -> Iterator[Check]:
    """Whether the environment of each node is whole, and whether all of them hold the same versions."""
    versions = {node: _versions(found, cluster.packages) for node, found in cluster.environments.items()}
    nodes = sorted(cluster.nodes, key=lambda node: node != cluster.head)
    agreed = {}
    for name in ("python", *cluster.packages):
        given = [versions[node][name] for node in nodes if name in versions.get(node, {})]
        if given:
            # Among equally common versions that of the head counts.
            agreed[name] = Counter(given).most_common(1)[0][0]
    for node, found in cluster.environments.items():
        wrong = list(_problems_of(found, cluster.packages))
        for name, version in versions[node].items():
            if version != agreed[name]:
                others = [other for other in cluster.nodes if versions.get(other, {}).get(name) == agreed[name]]
                wrong.append((name, f"{name} is {version} here and {agreed[name]} on {listed(others)}"))
        for name, reason in wrong:
            yield Check("environment", name, node, False, reason, f"{RUN_SITE}, which installs the same on every node.")
        if not wrong:
            named = ", ".join(f"{name} {version}" for name, version in versions[node].items())
            yield Check("environment", named or "python", node, True)


def _is_silent(cluster: Cluster, target: Found) -> bool:
    """Whether a node outside the limit does not answer, which is no fault of those inside."""
    return target["node"] in cluster.away and target["kind"] in _SILENT and not target.get("back")


def silent_nodes(cluster: Cluster) -> list[str]:
    """The nodes outside the limit that did not answer a node inside, so that nobody knows whether they let it in."""
    targets = [target for found in cluster.ssh.values() for target in found.get("broken") or ()]
    silent = {str(target["node"]) for target in targets if _is_silent(cluster, target)}
    return [node for node in cluster.away if node in silent]


def check_ssh(cluster: Cluster) -> Iterator[Check]:
    """Whether each node reaches every node by every name, and the nodes outside the limit there and back.

    What works is one check per node, not one per pair.
    """
    for node, found in cluster.ssh.items():
        if "broken" not in found:
            yield Check("ssh", "all names", node, False, str(found.get("msg") or "ssh was not tried"), _SSH_FIX)
            continue
        broken = [target for target in found["broken"] if not _is_silent(cluster, target)]
        for target in broken:
            to = target["name"] if target["name"] == target["node"] else f"{target['node']} as {target['name']}"
            reason = f"ssh from {node} to {to} failed: {target['reason']}"
            outside = target["node"] in cluster.away
            fix = _SSH_FIX_OUTSIDE if outside else _SSH_FIXES.get(str(target["kind"]), _SSH_FIX)
            yield Check("ssh", str(target["name"]), node, False, reason, fix, float(target["seconds"]))
        if not broken:
            yield Check("ssh", f"{found['tried']} names", node, True, seconds=float(found["seconds"]))


def _seconds(duration: str) -> float:
    """The seconds in a duration of the form h:mm:ss.f."""
    hours, minutes, seconds = ("0", "0", *duration.split(":"))[-3:]
    return round(int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0), 2)


def check_pdsh(cluster: Cluster) -> Iterator[Check]:
    """Whether the head reaches all nodes at once with plain pdsh."""
    found = cluster.pdsh
    if not found:
        return
    seconds = _seconds(str(found.get("delta") or "0"))
    said = "\n".join(str(found.get(name) or "") for name in ("stdout", "stderr", "msg"))
    answered = set(re.findall(r"(?m)^(\S+): ", str(found.get("stdout") or "")))
    # pdsh cuts the domain off where all names that have one have the same.
    silent = [node for node in cluster.nodes if not {node, node.partition(".")[0]} & answered]
    fix = "Run the playbook 'site' with the tag pdsh."
    if found.get("rc") == 0 and not silent:
        yield Check("pdsh", "fan-out", cluster.head, True, seconds=seconds)
    elif found.get("rc") == 2 and re.search(r"Error executing command|No such file", str(found.get("msg") or "")):
        yield Check("pdsh", "fan-out", cluster.head, False, "pdsh is not installed on the head", fix, seconds)
    elif re.search(r"connect: Connection refused|rcmd|Unable to .*module", said):
        reason = "pdsh does not use ssh on the head (it asks rsh, or has no ssh module)"
        yield Check("pdsh", "fan-out", cluster.head, False, reason, fix, seconds)
    else:
        whom = listed(silent) if silent else "every node, but with an error"
        lines = [line for line in said.splitlines() if line.strip() and ": " in line]
        reason = f"pdsh did not reach {whom} ({lines[-1].strip() if lines else 'it said nothing'})"
        yield Check("pdsh", "fan-out", cluster.head, False, reason, f"{RUN_MESH}.", seconds)
