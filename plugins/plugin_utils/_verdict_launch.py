# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges a launch on all nodes: whether every rank started, what their all-reduce gave, whether they trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch_hostfile import ranks
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict_check import (
    RUN_MESH,
    RUN_SITE,
    Check,
    Cluster,
    Found,
    listed,
)

# What a launch says when it fails, the reason in words, and the fix; the first that matches counts.
_SYMPTOMS = (
    (r"ds-launch: (?P<said>[^\n]+)", "{said}", "Do what the sentence says."),
    (
        r"launcher 'pdsh' not installed",
        "pdsh is not installed on the head",
        "Run the playbook 'site' with the tag pdsh.",
    ),
    (
        r"not enough values to unpack",
        ".deepspeed_env has a line that is not KEY=VALUE",
        "Remove blank lines and comments from ~/.deepspeed_env, or run the playbook 'hostfile'.",
    ),
    (
        r"Host key verification failed",
        "the head does not know the host key of a node",
        f"{RUN_MESH}.",
    ),
    (
        r"Permission denied \(publickey|was not reachable via ssh",
        "a node does not let the head in by ssh",
        f"{RUN_MESH}.",
    ),
    (
        r"(?P<said>[Nn]o such file or directory|can't cd to|can't open file)[^\n]*",
        "a path of the head does not exist on a node ({said})",
        "Use the same cluster_prefix on every node and run the playbook 'site'.",
    ),
    (r"No module named '?(?P<said>[\w.]+)", "the package {said} is missing in an environment", f"{RUN_SITE}."),
    (
        r"c\+\+: (command )?not found|Ninja is required|Error building extension '(?P<said>\w+)'",
        "an op of DeepSpeed cannot be compiled on a node, since a compiler or ninja is missing there",
        "Run the playbook 'site' with the tag deepspeed, which builds the op beforehand.",
    ),
    (
        r"connectFullMesh failed[^\n]*remote=\[127\.",
        "a node's own name leads to 127.0.1.1, so the other nodes cannot reach its ranks",
        "Run the playbook 'site' with the tags ssh_mesh and nccl, which correct /etc/hosts.",
    ),
    (
        r"Unable to find address for: (?P<said>\S+)",
        "GLOO_SOCKET_IFNAME names the interface {said}, which a node does not have",
        "Run the playbook 'site' with the tag nccl, and take the variable out of ~/.deepspeed_env.",
    ),
    (
        r"[Nn]o socket interface found",
        "NCCL_SOCKET_IFNAME names an interface that a node does not have",
        "Run the playbook 'site' with the tag nccl, and take the variable out of ~/.deepspeed_env.",
    ),
    (
        r"Address already in use|EADDRINUSE",
        "the port of the first rank is taken on its node",
        "Set verify_port to a free port, or end the run that holds this one.",
    ),
    (
        r"out of memory",
        "the memory of a GPU is taken",
        "End the other runs on the nodes, or run verify when they are done.",
    ),
    (
        r"Connection (refused|timed out|reset by peer)|No route to host|connectFullMesh failed",
        "ranks on different nodes cannot connect to each other",
        "Open all ports between the nodes, or name the right network in cluster_network.",
    ),
)
_MOST_NODES = 4
_STAGES = ("started", "imported", "joined", "reduced", "trained")
_STAGE_WORDS = {
    "": "did not start",
    "started": "started but did not load torch and DeepSpeed",
    "imported": "loaded DeepSpeed but did not join the others",
    "joined": "joined the others but did not finish the all-reduce",
    "reduced": "finished the all-reduce but not the training",
}


def symptom(tail: Sequence[str]) -> tuple[str, str]:
    """The reason and the fix for what a launcher wrote, or two empty texts."""
    text = "\n".join(tail)
    for pattern, reason, fix in _SYMPTOMS:
        match = re.search(pattern, text)
        if match:
            said = (match.groupdict().get("said") or "").strip().rstrip(".")
            return reason.format(said=said), fix
    return "", ""


def _stages(told: Sequence[Found]) -> dict[int, str]:
    """How far each rank came."""
    reached: dict[int, str] = {}
    for said in told:
        rank, stage = int(said["rank"]), str(said["stage"])
        if stage in _STAGES and _STAGES.index(stage) >= _STAGES.index(reached.get(rank, "started")):
            reached[rank] = stage
    return reached


def _named(owners: Mapping[int, str]) -> str:
    """Ranks by their nodes, as words; of many nodes only the first."""
    words = []
    for node in dict.fromkeys(owners.values()):
        own = sorted(rank for rank, owner in owners.items() if owner == node)
        words.append(f"rank {own[0]} on {node}" if len(own) == 1 else f"ranks {own[0]} to {own[-1]} on {node}")
    more = len(words) - _MOST_NODES
    return listed(words if more <= 0 else [*words[:_MOST_NODES], f"those of {more} more nodes"])


def laggards(run: Found, until: str) -> tuple[list[str], str]:
    """The nodes whose ranks came least far, and a clause that says how far; nothing where all came to a stage."""
    owners = dict(ranks(dict(run["slots"])))
    reached = _stages(run["told"])
    depth = {rank: _STAGES.index(reached[rank]) if rank in reached else -1 for rank in owners}
    least = min(depth.values())
    if least >= _STAGES.index(until):
        return [], ""
    behind = {rank: node for rank, node in owners.items() if depth[rank] == least}
    return list(
        dict.fromkeys(behind.values())
    ), f"{_named(behind)} {_STAGE_WORDS[_STAGES[least] if least >= 0 else '']}"


def _failure(run: Found, until: str) -> tuple[str, str]:
    """Why a run did not come to a stage, with its fix."""
    nodes, behind = laggards(run, until)
    reason, fix = symptom(run["tail"])
    locks = sorted({lock for said in run["told"] for lock in said.get("locks") or ()})
    if run["timed_out"]:
        waited = f"after {run['seconds']:g} s the run was stopped"
        if locks and not reason:
            reason = f"a killed build left the lock {locks[0]}, for which every later build waits"
            fix = "Remove that file on the node, and run again."
        where = named(nodes) if nodes else "the nodes"
        fix = fix or f"Look at {where} first: what runs there, and whether all ports are open between the nodes."
        return "; ".join(part for part in (waited, behind, reason) if part), fix
    if not reason:
        lines = [line.strip() for line in run["tail"] if "Error" in line] or [line for line in run["tail"] if line]
        reason = f"the launcher ended with status {run['status']}"
        reason += f" ({lines[-1].strip()})" if lines else ""
    fix = fix or f"Run it by hand on the head to see all of it: {run['command']}"
    return "; ".join(part for part in (behind, reason) if part), fix


def _where(nodes: Sequence[str], cluster: Cluster) -> str:
    """The node that a failure is booked on: the one that fell behind, or the head where several did."""
    return nodes[0] if len(nodes) == 1 else cluster.head


def _joining(cluster: Cluster, run: Found, told: Mapping[str, Sequence[Found]]) -> Check:
    name, head, seconds = "starts every rank", cluster.head, float(run["seconds"])
    slots = run["slots"]
    nodes = laggards(run, "joined")[0]
    if nodes:
        return Check("launch", name, _where(nodes, cluster), False, *_failure(run, "joined"), seconds)
    hosts = sorted({str(said["host"]) for said in told["joined"]})
    world = sum(slots.values())
    if {int(said["world"]) for said in told["joined"]} == {world} and len(hosts) >= len(slots):
        return Check("launch", name, head, True, seconds=seconds)
    reason = f"{world} ranks on {len(slots)} nodes were meant, but the ranks that joined are on {listed(hosts)} only"
    fix = "Two names of the hostfile lead to one machine; correct the ansible_host of these nodes."
    return Check("launch", name, head, False, reason, fix, seconds)


def _reducing(cluster: Cluster, run: Found, told: Mapping[str, Sequence[Found]]) -> Check:
    seconds = float(run["seconds"])
    world = sum(run["slots"].values())
    expected = world * (world + 1) / 2
    nodes = laggards(run, "reduced")[0]
    if nodes:
        where = _where(nodes, cluster)
        return Check("all_reduce", "sum over all ranks", where, False, *_failure(run, "reduced"), seconds)
    wrong = next((said for said in told["reduced"] if float(said["total"]) != expected), None)
    if wrong is None:
        return Check("all_reduce", f"sum {expected:g} over {world} ranks", cluster.head, True, seconds=seconds)
    reason = f"rank {wrong['rank']} got {wrong['total']:g} from the all-reduce instead of {expected:g}"
    fix = "The network or a device gives wrong data; look for errors in the kernel's log of that host."
    return Check("all_reduce", "sum over all ranks", str(wrong["host"]), False, reason, fix, seconds)


def _fell(said: Found) -> bool:
    """Whether a loss fell; one that is no number did not."""
    return float(said["last"]) < float(said["first"])


def _training(cluster: Cluster, run: Found, told: Mapping[str, Sequence[Found]]) -> Check:
    name, head, seconds = "falling loss", cluster.head, float(run["seconds"])
    nodes = laggards(run, "trained")[0]
    if nodes:
        return Check("training", name, _where(nodes, cluster), False, *_failure(run, "trained"), seconds)
    rising = next((said for said in told["trained"] if not _fell(said)), None)
    if rising is not None:
        reason = f"the loss went from {rising['first']:.4g} to {rising['last']:.4g} instead of down"
        fix = "The arithmetic of a rank is wrong; compare the versions and the health of the devices."
        return Check("training", name, head, False, reason, fix, seconds)
    if run["status"]:
        reason = f"all ranks trained, but the launcher ended with status {run['status']}"
        return Check("training", "ends cleanly", head, False, reason, f"Run it by hand on the head: {run['command']}")
    return Check("training", f"falling loss with ZeRO-{told['trained'][0]['zero_stage']}", head, True, seconds=seconds)


def check_launch(cluster: Cluster) -> Iterator[Check]:
    """Whether a launch started every rank, whether their all-reduce was right, and whether they trained."""
    run = cluster.training
    if run.get("problem") or run.get("failed"):
        reason = str(run.get("problem") or run.get("msg") or "nothing could be started")
        yield Check("launch", "starts every rank", cluster.head, False, reason, "Run the playbook 'hostfile'.")
    elif run:
        for node in (name for name in cluster.nodes if name not in run["slots"] and name not in cluster.idle):
            reason = "it is not in the hostfile, so no rank runs there"
            fix = "Set hostfile_slots for it, and run the playbook 'hostfile'."
            yield Check("launch", "is in the hostfile", node, False, reason, fix)
        told = {stage: [said for said in run["told"] if said["stage"] == stage] for stage in _STAGES}
        for judge in (_joining, _reducing, _training):
            check = judge(cluster, run, told)
            yield check
            # What comes after a layer that failed was not tried.
            if not check.ok:
                return
