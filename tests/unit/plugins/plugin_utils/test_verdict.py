# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict import Cluster, judge
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict_launch import symptom

SLOTS = {"node1": 2, "node2": 1}
OWNERS = ["node1", "node1", "node2"]
STAGES = ("started", "imported", "joined", "reduced", "trained")


def told(stages=("trained",) * 3, **changes):
    """What three ranks say that came as far as the stages; an empty stage is a rank that never started."""
    said = []
    details = {
        "started": {"locks": []},
        "imported": {},
        "joined": {"world": 3},
        "reduced": {"total": 6.0, "expected": 6.0},
        "trained": {"first": 4.5, "last": 1.5, "zero_stage": 1, "steps": 5, "world": 3},
    }
    for rank, last in enumerate(stages):
        for stage in STAGES[: STAGES.index(last) + 1] if last else ():
            said.append(
                {"stage": stage, "rank": rank, "host": OWNERS[rank], **details[stage], **changes.get(stage, {})}
            )
    return said


def run(**changes):
    return {
        "problem": "",
        "slots": SLOTS,
        "status": 0,
        "timed_out": False,
        "seconds": 11.5,
        "told": told(),
        "tail": [],
        "command": "ds-launch step.py",
        **changes,
    }


def environment(torch="2.13.0", **changes):
    packages = {"torch": torch, "deepspeed": "0.19.8"}
    return {"exists": True, "prefix": "/env", "python": "3.11.2", "packages": packages, "errors": [], **changes}


GOOD_SSH = {"tried": 5, "broken": [], "seconds": 0.5}
GOOD = Cluster(
    nodes=["node1", "node2"],
    head="node1",
    packages=["torch", "deepspeed"],
    environments={"node1": environment(), "node2": environment()},
    ssh={"node1": GOOD_SSH, "node2": GOOD_SSH},
    pdsh={"rc": 0, "stdout": "node2: node2\nnode1: node1\n", "stderr": "", "delta": "0:00:00.41"},
    training=run(),
)


def broken_ssh(kind, reason):
    return {
        "tried": 5,
        "seconds": 1,
        "broken": [{"node": "node2", "name": "node2", "kind": kind, "reason": reason, "seconds": 1}],
    }


HUNG = {"timed_out": True, "status": 124, "seconds": 60.0}
DIED = {"status": 1}

# name, what differs from a good cluster, layer, node, words of the reason, words of the fix
FAULTS = [
    ("a node was lost", {"lost": ["node3"]}, "nodes", "node3", "failed or could not be reached", "Repair it"),
    (
        "a node was lost for a known reason",
        {"lost": ["node3"], "set_aside": {"node3": "its disk is full"}},
        "nodes",
        "node3",
        "its disk is full",
        "",
    ),
    (
        "no environment",
        {"environments": {"node1": environment(), "node2": {"exists": False, "prefix": "/env"}}},
        "environment",
        "node2",
        "no Python environment at /env",
        "playbook 'site'",
    ),
    (
        "a package is missing",
        {"environments": {"node1": environment(), "node2": environment(packages={"torch": "2.13.0"})}},
        "environment",
        "node2",
        "deepspeed is not installed in /env",
        "playbook 'site'",
    ),
    (
        "an import fails",
        {"environments": {"node1": environment(), "node2": environment(errors=["torch does not import: libcudart"])}},
        "environment",
        "node2",
        "libcudart",
        "playbook 'site'",
    ),
    (
        "versions differ",
        {"environments": {"node1": environment(), "node2": environment(torch="2.9.1")}},
        "environment",
        "node2",
        "torch is 2.9.1 here and 2.13.0 on node1",
        "same on every node",
    ),
    (
        "an environment could not be looked at",
        {"environments": {"node1": environment(), "node2": {"failed": True, "msg": "no python"}}},
        "environment",
        "node2",
        "no python",
        "",
    ),
    (
        "a host key is unknown",
        {"ssh": {"node1": broken_ssh("host_key", "its host key is not in known_hosts"), "node2": GOOD_SSH}},
        "ssh",
        "node1",
        "ssh from node1 to node2 failed: its host key",
        "ssh_mesh",
    ),
    (
        "a key is refused",
        {"ssh": {"node1": GOOD_SSH, "node2": broken_ssh("refused_key", "it does not accept")}},
        "ssh",
        "node2",
        "does not accept",
        "log of sshd",
    ),
    ("ssh was not tried", {"ssh": {"node1": GOOD_SSH, "node2": {"msg": "boom"}}}, "ssh", "node2", "boom", "by hand"),
    (
        "pdsh is missing",
        {"pdsh": {"rc": 2, "msg": "Error executing command.", "stdout": "", "stderr": ""}},
        "pdsh",
        "node1",
        "not installed",
        "tag pdsh",
    ),
    (
        "pdsh asks rsh",
        {"pdsh": {"rc": 1, "stdout": "", "stderr": "node1: connect: Connection refused"}},
        "pdsh",
        "node1",
        "does not use ssh",
        "tag pdsh",
    ),
    (
        "pdsh does not reach a node",
        {"pdsh": {"rc": 255, "stdout": "node1: node1\n", "stderr": "pdsh@node1: node2: ssh exited with exit code 255"}},
        "pdsh",
        "node1",
        "did not reach node2",
        "ssh_mesh",
    ),
    (
        "pdsh without an error but with a silent node",
        {"pdsh": {"rc": 0, "stdout": "node1: node1\n", "stderr": ""}},
        "pdsh",
        "node1",
        "did not reach node2",
        "ssh_mesh",
    ),
    (
        "no hostfile",
        {"training": run(problem="/job/hostfile cannot be used: No such file.")},
        "launch",
        "node1",
        "/job/hostfile cannot be used",
        "playbook 'hostfile'",
    ),
    (
        "a node of the run is not in the hostfile",
        {"nodes": ["node1", "node2", "node3"], "pdsh": {}},
        "launch",
        "node3",
        "not in the hostfile",
        "hostfile_slots",
    ),
    (
        "one node never starts and the rest wait",
        {"training": run(told=told(("imported", "imported", "")), **HUNG)},
        "launch",
        "node2",
        "after 60 s the run was stopped; rank 2 on node2 did not start",
        "Look at node2 first",
    ),
    (
        "one node does not join",
        {"training": run(told=told(("joined", "joined", "imported")), **HUNG)},
        "launch",
        "node2",
        "rank 2 on node2 loaded DeepSpeed but did not join",
        "ports",
    ),
    (
        "a stale lock of a killed build",
        {"training": run(told=told(("imported",) * 3, started={"locks": ["/home/t/.cache/lock"]}), **HUNG)},
        "launch",
        "node1",
        "lock /home/t/.cache/lock",
        "Remove that file",
    ),
    (
        "no compiler",
        {"training": run(told=told(("imported",) * 3), tail=["node2: /bin/sh: 1: c++: not found"], **DIED)},
        "launch",
        "node1",
        "cannot be compiled",
        "tag deepspeed",
    ),
    (
        "the launcher says why",
        {"training": run(told=[], tail=["ds-launch: pdsh is not installed; run the playbook 'site'."], status=2)},
        "launch",
        "node1",
        "pdsh is not installed; run the playbook 'site'",
        "Do what the sentence says",
    ),
    (
        "nobody knows why",
        {"training": run(told=[], tail=["odd", "ValueError: what"], status=1)},
        "launch",
        "node1",
        "status 1 (ValueError: what)",
        "ds-launch step.py",
    ),
    (
        "two names of one machine",
        {"training": run(told=told(joined={"world": 3, "host": "node1"}))},
        "launch",
        "node1",
        "the ranks that joined are on node1 only",
        "ansible_host",
    ),
    (
        "a wrong sum",
        {"training": run(told=told(reduced={"total": 5.0}))},
        "all_reduce",
        "node1",
        "got 5 from the all-reduce instead of 6",
        "kernel's log",
    ),
    (
        "the all-reduce hangs",
        {"training": run(told=told(("joined", "joined", "joined")), **HUNG)},
        "all_reduce",
        "node1",
        "did not finish the all-reduce",
        "ports",
    ),
    (
        "the loss rises",
        {"training": run(told=told(trained={"first": 1.0, "last": 2.0}))},
        "training",
        "node1",
        "loss went from 1 to 2",
        "arithmetic",
    ),
    (
        "the loss is no number",
        {"training": run(told=told(trained={"first": 1.0, "last": float("nan")}))},
        "training",
        "node1",
        "loss went from 1 to nan",
        "arithmetic",
    ),
    (
        "a rank dies in training",
        {"training": run(told=told(("trained", "trained", "reduced")), tail=["CUDA out of memory"], **DIED)},
        "training",
        "node2",
        "memory of a GPU is taken",
        "other runs",
    ),
    (
        "a bad end after good training",
        {"training": run(status=250)},
        "training",
        "node1",
        "ended with status 250",
        "ds-launch step.py",
    ),
    ("nothing was launched", {"training": {}}, "launch", "node1", "nothing was launched", "without --check"),
]

# What a launcher wrote, words of the reason
SYMPTOMS = [
    ("RuntimeError: launcher 'pdsh' not installed.", "pdsh is not installed"),
    ("ValueError: not enough values to unpack (expected 2, got 1)", ".deepspeed_env"),
    ("node2: Host key verification failed.", "does not know the host key"),
    ("trainer@node2: Permission denied (publickey).", "does not let the head in"),
    ("node2: sh: 1: cd: can't cd to /data/run", "does not exist on a node"),
    ("node2: ModuleNotFoundError: No module named 'deepspeed'", "the package deepspeed is missing"),
    ("RuntimeError: Ninja is required to load C++ extensions", "cannot be compiled"),
    ("Gloo connectFullMesh failed with x SO_ERROR: Connection refused, remote=[127.0.1.1]:1234", "127.0.1.1"),
    ("RuntimeError: Unable to find address for: nic2", "interface nic2"),
    ("NCCL WARN Bootstrap : no socket interface found", "NCCL_SOCKET_IFNAME"),
    ("RuntimeError: The server socket has failed to bind: EADDRINUSE", "port of the first rank is taken"),
    ("torch.OutOfMemoryError: CUDA out of memory.", "memory of a GPU"),
    ("Gloo connectFullMesh failed with Connection timed out", "cannot connect to each other"),
]


def test_a_good_cluster_is_ok():
    verdict = judge(GOOD)
    assert verdict["ok"], verdict["failures"]
    assert {check["layer"] for check in verdict["checks"]} == {
        "nodes",
        "environment",
        "ssh",
        "pdsh",
        "launch",
        "all_reduce",
        "training",
    }
    assert verdict["summary"]["world_size"] == 3
    assert verdict["summary"]["all_reduce"] == 6.0
    assert "loss 4.5000 -> 1.5000" in verdict["text"]


@pytest.mark.parametrize(
    ("changes", "layer", "node", "reason", "fix"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_each_fault_is_named_with_node_reason_and_fix(changes, layer, node, reason, fix):
    verdict = judge(replace(GOOD, **changes))
    failed = [check for check in verdict["checks"] if not check["ok"]]
    assert not verdict["ok"]
    assert (failed[0]["layer"], failed[0]["node"]) == (layer, node)
    assert reason in failed[0]["reason"]
    assert fix in failed[0]["fix"]
    assert all(check["reason"] and check["fix"] for check in failed)
    assert len(verdict["failures"]) == len(failed)


def test_only_the_faulty_node_is_blamed_for_its_version():
    environments = {"node1": environment(torch="2.9.1"), "node2": environment(), "node3": environment()}
    cluster = replace(GOOD, nodes=["node1", "node2", "node3"], environments=environments, training={}, head="away")
    failed = [
        check["node"] for check in judge(cluster)["checks"] if not check["ok"] and check["layer"] == "environment"
    ]
    assert failed == ["node1"]


def test_of_many_nodes_that_hang_the_first_are_named():
    slots = {f"node{number}": 8 for number in range(100)}
    verdict = judge(replace(GOOD, nodes=list(slots), pdsh={}, training=run(slots=slots, told=[], **HUNG)))
    reason = next(check["reason"] for check in verdict["checks"] if check["layer"] == "launch" and not check["ok"])
    assert "ranks 0 to 7 on node0" in reason
    assert "those of 96 more nodes did not start" in reason


def test_of_two_nodes_the_head_is_right():
    environments = {"node1": environment(torch="2.9.1"), "node2": environment()}
    verdict = judge(replace(GOOD, nodes=["node2", "node1"], environments=environments))
    assert [check["node"] for check in verdict["checks"] if not check["ok"]] == ["node2"]


def test_nodes_outside_the_limit_are_named_and_not_judged():
    verdict = judge(replace(GOOD, away=["node9"]))
    assert verdict["ok"]
    assert any("node9" in line for line in verdict["text"])


def test_a_node_that_hostfile_slots_keeps_out_is_no_failure_but_is_said():
    packages = {**GOOD.environments, "node3": environment()}
    verdict = judge(replace(GOOD, nodes=["node1", "node2", "node3"], idle=["node3"], environments=packages, pdsh={}))
    assert [check for check in verdict["checks"] if not check["ok"] and check["layer"] != "pdsh"] == []
    assert "no rank is meant to run there, since hostfile_slots is 0: node3" in verdict["text"]


@pytest.mark.parametrize("label", ["node9", "node9.example.com"])
def test_pdsh_may_cut_the_domain_off_a_name(label):
    answer = {**GOOD.pdsh, "stdout": f"node1: node1\n{label}: node9\n"}
    verdict = judge(replace(GOOD, nodes=["node1", "node9.example.com"], pdsh=answer))
    assert [check["ok"] for check in verdict["checks"] if check["layer"] == "pdsh"] == [True]


def test_a_head_outside_the_limit_is_no_failure_but_is_said():
    verdict = judge(replace(GOOD, nodes=["node2"], head="node1", away=["node1"], pdsh={}, training={}))
    assert verdict["ok"]
    assert any("no launch was tried" in line for line in verdict["text"])


@pytest.mark.parametrize(("text", "words"), SYMPTOMS)
def test_what_launchers_say_is_understood(text, words):
    assert words in symptom(["before", text, "after"])[0]


def test_a_verdict_is_plain_data():
    assert json.loads(json.dumps(judge(GOOD))) == judge(GOOD)
