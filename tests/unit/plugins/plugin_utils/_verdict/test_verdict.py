# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.verdict import Cluster, judge

SLOTS = {"node1": 2, "node2": 1}
OWNERS = ["node1", "node1", "node2"]
STAGES = ("started", "imported", "joined", "reduced", "prepared", "trained")
ON_CPU = {
    "accelerator": "cpu",
    "device": "",
    "devices": 0,
    "torch": "2.13.0+cpu",
    "cuda": None,
    "hip": None,
    "forced": "cpu",
}
ON_GPU = {**ON_CPU, "accelerator": "cuda", "device": "H100", "torch": "2.13.0+cu130", "cuda": "13.0", "forced": ""}
WITHOUT_GPU = {
    **ON_GPU,
    "accelerator": "cpu",
    "device": "",
    "visible": "0,1",
    "why": "",
    "driver": "",
    "device_files": 0,
}


def reports(stages=("trained",) * 3, **changes):
    """What three ranks report that came as far as the stages; an empty stage is a rank that never started."""
    found = []
    details = {
        "started": {"locks": []},
        "imported": ON_CPU,
        "joined": {"world": 3, "backend": "gloo"},
        "reduced": {"total": 6.0, "expected": 6.0},
        "prepared": {"optimizer": "AdamW", "precision": "fp32", "zero_stage": 2, "notes": []},
        "trained": {"first": 4.5, "last": 1.5, "steps": 5},
    }
    for rank, last in enumerate(stages):
        for stage in STAGES[: STAGES.index(last) + 1] if last else ():
            found.append(
                {"stage": stage, "rank": rank, "host": OWNERS[rank], **details[stage], **changes.get(stage, {})}
            )
    return found


def op(rank, how, name="fused_adam", **details):
    return {"stage": "op", "rank": rank, "host": OWNERS[rank], "op": name, "how": how, **details}


def failed(rank, error):
    return {"stage": "failed", "rank": rank, "host": OWNERS[rank], "error": error}


def on_gpus(**changes):
    """Reports of ranks on GPUs, two on node1 and one on node2, where node2 may differ."""
    found = reports(imported=ON_GPU, joined={"world": 3, "backend": "nccl"}, prepared={"optimizer": "FusedAdam"})
    for report in found:
        if report["stage"] == "imported":
            report["devices"] = SLOTS[report["host"]]
            report.update(changes if report["host"] == "node2" else {})
    return found


def on_other(**changes):
    """A run in which node2 sees no GPU, and its rank gave up."""
    found = [report for report in on_gpus(**{**WITHOUT_GPU, **changes}) if report["stage"] in ("started", "imported")]
    return run(reports=found, status=3, sentences=["Rank 2 on node2 failed first: exit code 3, after 9 s."])


def run(**changes):
    return {
        "problem": "",
        "slots": SLOTS,
        "config": "/etc/ds_config.json",
        "status": 0,
        "timed_out": False,
        "seconds": 11.5,
        "reports": reports(),
        "sentences": [],
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
    accelerator="cpu",
)


def broken_ssh(kind, reason):
    return {
        "tried": 5,
        "seconds": 1,
        "broken": [{"node": "node2", "name": "node2", "kind": kind, "reason": reason, "seconds": 1}],
    }


HUNG = {"timed_out": True, "status": 124, "seconds": 60.0}
DIED = {"status": 1}
FIRST = [
    "Rank 2 on node2 failed first: ended by SIGKILL, after 9 s.",
    "The other ranks were ended.",
    "All output of this run: 'ds-launch --logs 0042', /home/t/.local/state/ds-launch/0042",
]
TOO_OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
NVCC = "RuntimeError: Error building extension 'fused_adam'; nvcc fatal: Unsupported gpu architecture 'compute_100'"


def refused(*sentences):
    return run(status=2, reports=[], slots=SLOTS, sentences=["Another run goes on: 3 of bob, on node1.", *sentences])


def other_backend():
    return [{"stage": "joined", "rank": 2, "host": "node2", "world": 3, "backend": "gloo"}]


# name, what differs from a good cluster, layer, node, words of the reason, words of the fix
FAULTS = [
    ("a node was lost", {"lost": ["node3"]}, "nodes", "node3", "failed or could not be reached", "Repair it"),
    (
        "a node was lost for a known reason",
        {
            "lost": ["node3"],
            "set_aside": {"node3": {"event": "failed at 'Install x': disk full", "remedy": "make room"}},
        },
        "nodes",
        "node3",
        "it failed at 'Install x': disk full",
        "Make room, and run again.",
    ),
    (
        "a node was lost for a reason without a known remedy",
        {"lost": ["node3"], "set_aside": {"node3": {"event": "failed at 'Install x': odd", "remedy": ""}}},
        "nodes",
        "node3",
        "it failed at 'Install x': odd",
        "Repair it, and run again",
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
        {"training": run(problem="/job/hostfile cannot be used (No such file); run the playbook 'hostfile'.")},
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
        {"training": run(reports=reports(("imported", "imported", "")), **HUNG)},
        "launch",
        "node2",
        "after 60 s the run was stopped; rank 2 on node2 did not start",
        "Look at node2 first",
    ),
    (
        "one node does not join",
        {"training": run(reports=reports(("joined", "joined", "imported")), **HUNG)},
        "launch",
        "node2",
        "rank 2 on node2 loaded DeepSpeed but did not join",
        "ports",
    ),
    (
        "a stale lock of a killed build",
        {"training": run(reports=reports(("imported",) * 3, started={"locks": ["/home/t/.cache/lock"]}), **HUNG)},
        "launch",
        "node1",
        "lock /home/t/.cache/lock",
        "Remove that file",
    ),
    (
        "no compiler",
        {"training": run(reports=reports(("imported",) * 3), tail=["[node2:2] /bin/sh: 1: c++: not found"], **DIED)},
        "launch",
        "node1",
        "cannot be compiled",
        "tag deepspeed",
    ),
    (
        "ds-launch refuses, and names a node",
        {
            "training": refused(
                "/etc/ds_config.json (the argument x) has another content on node2 than here; copy it there."
            )
        },
        "launch",
        "node2",
        "has another content on node2 than here",
        "Copy it there.",
    ),
    (
        "ds-launch refuses in two sentences",
        {
            "training": refused(
                "An earlier run left processes behind: 7 of ann, on node2. End them by 'ds-launch --stop'."
            )
        },
        "launch",
        "node2",
        "An earlier run left processes behind: 7 of ann, on node2",
        "End them by 'ds-launch --stop'",
    ),
    (
        "ds-launch refuses and names no node",
        {"training": refused("The hostfile /job/hostfile names no host; run the playbook 'hostfile'.")},
        "launch",
        "node1",
        "names no host",
        "Run the playbook 'hostfile'",
    ),
    (
        "a rank fails early, and ds-launch says which",
        {"training": run(reports=reports(("imported",) * 3), status=9, sentences=FIRST)},
        "launch",
        "node2",
        "Rank 2 on node2 failed first: ended by SIGKILL",
        "'ds-launch --logs 0042' on the head",
    ),
    (
        "a node is lost in the middle",
        {
            "training": run(
                reports=reports(("joined",) * 3), status=255, sentences=["node2 was lost after 9 s: no answer."]
            )
        },
        "all_reduce",
        "node2",
        "node2 was lost after 9 s: no answer",
        "ds-launch step.py",
    ),
    (
        "an exception far above, and ranks that lost the one that had it",
        {
            "training": run(
                reports=reports(("imported",) * 3),
                exceptions=[
                    {"node": "node1", "rank": 0, "error": "DistNetworkError: Connection reset by peer"},
                    {"node": "node2", "rank": 2, "error": "ModuleNotFoundError: No module named 'apex'"},
                ],
                tail=["[node1:0] RuntimeError: Connection refused", "[node1:0] c++: not found"],
                sentences=["Rank 0 on node1 failed first: exit code 1, after 9 s."],
                **DIED,
            )
        },
        "launch",
        "node1",
        "the package apex is missing",
        "playbook 'site'",
    ),
    (
        "an exception that nothing explains, and a connection that was lost after it",
        {
            "training": run(
                reports=reports(("joined",) * 3),
                exceptions=[{"node": "node2", "rank": 2, "error": "ValueError: what"}],
                tail=["[node1:0] Connection reset by peer"],
                **DIED,
            )
        },
        "all_reduce",
        "node1",
        "did not finish the all-reduce; ValueError: what",
        "ds-launch step.py",
    ),
    (
        "a rank that is killed, and the connection that another one lost by it",
        {
            "training": run(
                reports=[*reports(("joined",) * 3), failed(0, "RuntimeError: Broken pipe")], status=9, sentences=FIRST
            )
        },
        "all_reduce",
        "node2",
        "Rank 2 on node2 failed first: ended by SIGKILL",
        "'ds-launch --logs 0042' on the head",
    ),
    (
        "the port of verify is taken",
        {
            "training": refused(
                "Port 29500 of node1 is in use by bob since 10:00:00 (process 9: python y); leave --master_port out, "
                "so that a free port is taken, give another, or wait until that process has ended."
            )
        },
        "launch",
        "node1",
        "Port 29500 of node1 is in use by bob since 10:00:00 (process 9: python y)",
        "Leave verify_port out",
    ),
    (
        "nobody knows why",
        {"training": run(reports=[], tail=["odd", "ValueError: what"], status=1)},
        "launch",
        "node1",
        "status 1 (ValueError: what)",
        "ds-launch step.py",
    ),
    (
        "two names of one machine",
        {"training": run(reports=reports(joined={"world": 3, "host": "node1"}))},
        "launch",
        "node1",
        "the ranks that joined are on node1 only",
        "ansible_host",
    ),
    (
        "a wrong sum",
        {"training": run(reports=reports(reduced={"total": 5.0}))},
        "all_reduce",
        "node1",
        "got 5 from the all-reduce instead of 6",
        "kernel's log",
    ),
    (
        "the all-reduce hangs",
        {"training": run(reports=reports(("joined", "joined", "joined")), **HUNG)},
        "all_reduce",
        "node1",
        "did not finish the all-reduce",
        "ports",
    ),
    (
        "the loss rises",
        {"training": run(reports=reports(trained={"first": 1.0, "last": 2.0}))},
        "training",
        "node1",
        "loss went from 1 to 2",
        "arithmetic",
    ),
    (
        "the loss is no number",
        {"training": run(reports=reports(trained={"first": 1.0, "last": float("nan")}))},
        "training",
        "node1",
        "loss went from 1 to nan",
        "arithmetic",
    ),
    (
        "a rank dies in training",
        {"training": run(reports=reports(("trained", "trained", "prepared")), tail=["CUDA out of memory"], **DIED)},
        "training",
        "node2",
        "memory of a GPU is in use",
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
    (
        "an optimizer that does not exist",
        {"training": run(reports=[*reports(("reduced",) * 3), failed(2, "AttributeError: no Nonsense")], **DIED)},
        "training",
        "node1",
        "DeepSpeed cannot start with /etc/ds_config.json: AttributeError: no Nonsense",
        "hostfile_optimizer",
    ),
    (
        "an op that cannot be compiled",
        {"training": run(reports=[*reports(("reduced",) * 3), op(2, "failed", error=NVCC)], **DIED)},
        "ops",
        "node2",
        "the op fused_adam cannot be loaded: RuntimeError: Error building extension 'fused_adam'",
        "tags cuda_toolkit and deepspeed",
    ),
    (
        "an op that fits nothing, while joining",
        {
            "training": run(
                reports=[*reports(("imported",) * 3), op(2, "failed", "async_io", error="ImportError: x")], **DIED
            )
        },
        "ops",
        "node2",
        "the op async_io cannot be loaded: ImportError: x",
        "builds and proves the op",
    ),
    (
        "an op that is compiled for too long",
        {
            "training": run(
                reports=[*reports(("reduced",) * 3), op(2, "begun"), op(0, "begun"), op(0, "compiled", took=9)], **HUNG
            )
        },
        "training",
        "node1",
        "the op fused_adam was still being compiled on node2",
        "verify_timeout",
    ),
    (
        "ranks on CPUs where GPUs were meant, by a variable",
        {"accelerator": "cuda"},
        "accelerator",
        "node1",
        "it computes on its CPU, but cluster_accelerator is cuda: DS_ACCELERATOR is cpu there",
        "playbook 'hostfile'",
    ),
    (
        "ranks on GPUs where CPUs were meant",
        {"training": run(reports=on_gpus())},
        "accelerator",
        "node1",
        "it computes on cuda, but cluster_accelerator is cpu",
        "playbook 'hostfile'",
    ),
    (
        "a build of torch without CUDA",
        {"accelerator": "cuda", "training": on_other(torch="2.13.0+cpu", cuda=None)},
        "accelerator",
        "node2",
        "cluster_accelerator is cuda: torch 2.13.0+cpu is a build without CUDA",
        "cluster_accelerator: cuda",
    ),
    (
        "a build of torch for ROCm",
        {"accelerator": "cuda", "training": on_other(cuda=None, hip="6.4")},
        "accelerator",
        "node2",
        "is a build for ROCm",
        "right build",
    ),
    (
        "a driver that is too old",
        {"accelerator": "cuda", "training": on_other(driver="470.256.02", device_files=3, why=TOO_OLD)},
        "accelerator",
        "node2",
        "the driver 470.256.02 is too old for torch 2.13.0+cu130, which was built for CUDA 13.0 (torch: CUDA init",
        "upgrades the driver",
    ),
    (
        "no permission",
        {"accelerator": "cuda", "training": on_other(driver="580.1", device_files=2, denied=["/dev/nvidia0"])},
        "accelerator",
        "node2",
        "the account that trains may not use /dev/nvidia0",
        "ls -l",
    ),
    (
        "no driver",
        {"accelerator": "cuda", "training": on_other()},
        "accelerator",
        "node2",
        "no NVIDIA driver is loaded",
        "tag nvidia_driver",
    ),
    (
        "no device files",
        {"accelerator": "cuda", "training": on_other(driver="580.1")},
        "accelerator",
        "node2",
        "there is no /dev/nvidia0, although the driver 580.1 is loaded",
        "--gpus all",
    ),
    (
        "GPUs hidden by a variable",
        {"accelerator": "cuda", "training": on_other(driver="580.1", device_files=2, visible="")},
        "accelerator",
        "node2",
        "CUDA_VISIBLE_DEVICES hides all GPUs there",
        "Take CUDA_VISIBLE_DEVICES out",
    ),
    (
        "torch sees no GPU for a reason of its own",
        {"accelerator": "cuda", "training": on_other(driver="580.1", device_files=2, why="Unexpected error.")},
        "accelerator",
        "node2",
        "torch sees no GPU (Unexpected error)",
        "nvidia-smi",
    ),
    (
        "nothing says what to compute on, and no GPU is seen",
        {"accelerator": "auto", "training": on_other()},
        "accelerator",
        "node2",
        "it computes on its CPU: no NVIDIA driver is loaded",
        "Set cluster_accelerator: cpu where that is meant",
    ),
    (
        "fewer GPUs than slots",
        {"accelerator": "cuda", "training": run(reports=on_gpus(devices=0))},
        "accelerator",
        "node2",
        "torch sees 0 GPUs there, and the hostfile has 1 slot",
        "counts the GPUs",
    ),
    (
        "another backend",
        {"accelerator": "cuda", "training": run(reports=[*on_gpus(), *other_backend()])},
        "accelerator",
        "node2",
        "rank 2 reduces by gloo, and nccl belongs to cuda",
        "hostfile_environment",
    ),
    (
        "a rank that does not say what it computes on",
        {
            "training": run(
                reports=[report for report in reports() if (report["rank"], report["stage"]) != (2, "imported")]
            )
        },
        "accelerator",
        "node2",
        "rank 2 does not report what it computes on",
        "again",
    ),
    ("nothing was launched", {"training": {}}, "launch", "node1", "nothing was launched", "without --check"),
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
        "accelerator",
        "all_reduce",
        "ops",
        "training",
    }
    assert verdict["summary"]["world_size"] == 3
    what = ("accelerator", "backend", "precision", "optimizer", "zero_stage")
    assert [verdict["summary"][name] for name in what] == ["cpu", "gloo", "fp32", "AdamW", 2]
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
    verdict = judge(replace(GOOD, nodes=list(slots), pdsh={}, training=run(slots=slots, reports=[], **HUNG)))
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


def test_a_cluster_of_gpus_is_ok_and_its_devices_are_named():
    verdict = judge(replace(GOOD, accelerator="cuda", training=run(reports=on_gpus())))
    assert verdict["ok"], verdict["failures"]
    names = {check["node"]: check["name"] for check in verdict["checks"] if check["layer"] == "accelerator"}
    assert names == {"node1": "2 x H100, nccl", "node2": "1 x H100, nccl"}
    assert "accelerator cuda (H100), backend nccl" in verdict["text"]


def test_auto_takes_what_gpus_there_are():
    assert judge(replace(GOOD, accelerator="auto", training=run(reports=on_gpus())))["ok"]


def test_every_node_on_the_wrong_accelerator_is_named_and_nothing_later_is_called_good():
    checks = judge(replace(GOOD, accelerator="cuda"))["checks"]
    assert [check["node"] for check in checks if check["layer"] == "accelerator"] == ["node1", "node2"]
    assert not {"launch", "all_reduce", "ops", "training"} & {check["layer"] for check in checks}


def test_gpus_of_amd_that_the_account_may_not_use_are_named():
    training = on_other(hip="6.4", cuda=None, denied=["/dev/kfd"])
    for report in training["reports"]:
        if report["stage"] == "imported" and report["host"] == "node1":
            report["accelerator"] = "rocm"
    failures = [
        check for check in judge(replace(GOOD, accelerator="rocm", training=training))["checks"] if not check["ok"]
    ]
    assert [check["node"] for check in failures] == ["node2"]
    assert "may not use /dev/kfd" in failures[0]["reason"]
    assert "groups video and render" in failures[0]["fix"]


def test_the_ops_that_were_loaded_are_named_with_the_seconds_of_their_compilation():
    ops = [op(rank, "begun") for rank in range(3)] + [op(rank, "compiled", took=40.0 + rank) for rank in range(3)]
    ops.append(op(0, "built beforehand", "shm", took=0.1))
    verdict = judge(replace(GOOD, training=run(reports=[*reports(), *ops])))
    found = {check["node"]: (check["name"], check["seconds"]) for check in verdict["checks"] if check["layer"] == "ops"}
    assert verdict["ok"]
    assert found == {
        "node1": ("fused_adam compiled in 41 s, shm built beforehand", 41.0),
        "node2": ("fused_adam compiled in 42 s", 42.0),
    }
    assert "op fused_adam compiled in 42 s; later jobs find it compiled" in verdict["text"]


def test_an_op_that_deepspeed_does_without_is_no_failure():
    verdict = judge(replace(GOOD, training=run(reports=[*reports(), op(0, "failed", error="ImportError: x")])))
    assert verdict["ok"], verdict["failures"]


def test_what_verify_fills_in_for_the_trainer_is_said():
    notes = ["gradient_clipping 1.0", "optimizer AdamW"]
    verdict = judge(replace(GOOD, training=run(reports=reports(prepared={"notes": notes}))))
    assert (
        "the configuration leaves to the Trainer, and verify used: gradient_clipping 1.0, optimizer AdamW"
        in (verdict["text"])
    )


def test_every_sentence_of_a_refusal_is_a_failure_of_its_node():
    sentences = ["node1 lacks /x (the script); copy it there.", "node2 cannot read /y; correct its permissions there."]
    verdict = judge(replace(GOOD, training=refused(*sentences)))
    failures = [(check["node"], check["reason"]) for check in verdict["checks"] if not check["ok"]]
    assert failures == [("node1", "node1 lacks /x (the script)"), ("node2", "node2 cannot read /y")]


def test_a_node_whose_name_begins_like_another_is_not_blamed():
    training = {**refused("node10 lacks /x; copy it there."), "slots": {"node1": 1, "node10": 1}}
    checks = judge(replace(GOOD, training=training))["checks"]
    assert [check["node"] for check in checks if check["name"] == "starts"] == ["node10"]


CHECKED = replace(GOOD, check_mode=True, training={"problem": "No training is run in check mode."})
MISSING = {"exists": False, "prefix": "/env"}
NO_PDSH = {"rc": 2, "msg": "[Errno 2] No such file or directory: b'pdsh'"}
SETS_UP = "the playbook 'site' sets it up, and --check changes nothing"

# name, what differs from a good cluster, the lines that say what was not checked
UNDECIDED = [
    (
        "the names of nodes",
        {"ssh": {"node1": broken_ssh("name", "x"), "node2": GOOD_SSH}},
        ["ssh: not checked on node1"],
    ),
    (
        "host keys on all nodes",
        {"ssh": dict.fromkeys(("node1", "node2"), broken_ssh("host_key", "x"))},
        ["ssh: not checked on node1 and node2"],
    ),
    ("pdsh", {"pdsh": NO_PDSH}, ["pdsh: not checked on node1"]),
    (
        "the environment",
        {"environments": dict.fromkeys(("node1", "node2"), MISSING), "pdsh": NO_PDSH},
        ["environment: not checked on node1 and node2", "pdsh: not checked on node1"],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), [row[1:] for row in UNDECIDED], ids=[row[0] for row in UNDECIDED])
def test_check_mode_says_what_was_not_checked_and_does_not_fail_for_it(changes, lines):
    verdict = judge(replace(CHECKED, **changes))
    assert (verdict["ok"], verdict["failures"]) == (True, [])
    for line in lines:
        assert f"{line}; {SETS_UP}" in verdict["text"]
    assert "launch and the layers after it: not checked, since --check launches nothing" in verdict["text"]
    assert not judge(replace(CHECKED, check_mode=False, **changes))["ok"]


@pytest.mark.parametrize(
    "changes",
    [{"lost": ["node3"]}, {"ssh": {"node1": broken_ssh("closed", "nothing listens"), "node2": GOOD_SSH}}],
    ids=["a lost node", "a closed port"],
)
def test_check_mode_fails_for_what_site_does_not_set_up(changes):
    verdict = judge(replace(CHECKED, environments={"node1": MISSING, "node2": MISSING}, **changes))
    assert not verdict["ok"]
    assert len(verdict["failures"]) == 1


def test_check_mode_passes_the_layers_that_are_set_up():
    verdict = judge(CHECKED)
    assert verdict["ok"]
    assert [line for line in verdict["text"] if ": passed" in line] == [
        f"{layer}: passed" for layer in ("nodes", "environment", "ssh", "pdsh")
    ]
    assert not [line for line in verdict["text"] if SETS_UP in line]


LIMITED = replace(
    GOOD,
    nodes=["node1"],
    away=["node2"],
    environments={"node1": environment()},
    pdsh={**GOOD.pdsh, "stdout": "node1: node1\n"},
)
# kind, whether it is the way back, the fix; no fix: it is named in a line and fails nothing
OUTSIDE = [
    ("refused_key", False, "without --limit"),
    ("host_key", True, "without --limit"),
    ("network", True, "without --limit"),
    ("network", False, ""),
    ("closed", False, ""),
]


@pytest.mark.parametrize(("kind", "back", "fix"), OUTSIDE)
def test_a_node_that_those_outside_the_limit_do_not_let_in_fails(kind, back, fix):
    found = broken_ssh(kind, "x")
    found["broken"][0]["back"] = back
    checks = [check for check in judge(replace(LIMITED, ssh={"node1": found}))["checks"] if check["layer"] == "ssh"]
    assert [check["ok"] for check in checks] == [not fix]
    assert fix in checks[0]["fix"]


def test_a_node_outside_the_limit_that_does_not_answer_is_named():
    text = judge(replace(LIMITED, ssh={"node1": broken_ssh("closed", "x")}))["text"]
    assert "did not answer, so nobody knows whether they let these in: node2" in text


def test_a_verdict_is_plain_data():
    assert json.loads(json.dumps(judge(GOOD))) == judge(GOOD)
