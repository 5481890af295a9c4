"""What role verify promises: a verdict on a cluster that trains, and for each fault its node, its reason and its fix.

The faults are made in a real cluster, one at a time, and mended again.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
CLUSTER = PROJECT / "build" / "clusters" / SCENARIO.name
INVENTORY = CLUSTER / "hosts.yml"
VERDICT = CLUSTER / "artifacts" / "verdict.json"
PACKAGES = "/opt/fromzero/envs/train/lib/python3*/site-packages"


def on(node, command):
    host = testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.check_output(command)


def verify(*arguments, playbook="converge.yml", inventory=INVENTORY):
    """Run the playbook; the verdict comes with the run's own status and output."""
    VERDICT.unlink(missing_ok=True)
    command = ["ansible-playbook", "-i", str(inventory), str(SCENARIO / playbook), *arguments]
    command += ["-e", f"cluster_artifacts={VERDICT.parent}"]
    # Molecule asks for colours, with which Ansible prints errors on the other stream.
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "false"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    verdict = json.loads(VERDICT.read_text(encoding="utf-8")) if VERDICT.exists() else None
    return done, verdict


def failures(verdict):
    return [check for check in verdict["checks"] if not check["ok"]]


@contextmanager
def moved(node, path):
    """A file or folder of a node is not where it belongs."""
    kept = f"/root/moved-{path.replace('/', '-')}"
    on(node, f"mv {path} {kept}")
    try:
        yield
    finally:
        on(node, f"mv {kept} {path}")


@contextmanager
def edited(node, path, expression):
    """A file of a node is changed by an expression of sed."""
    kept = f"/root/edited-{path.replace('/', '-')}"
    on(node, f"cp -p {path} {kept} && sed -i '{expression}' {path}")
    try:
        yield
    finally:
        on(node, f"cp -p {kept} {path} && rm {kept}")


def assert_reported(run, layer, node, reason, fix):
    """The fault is in the verdict, and the run prints it and ends with a failure."""
    done, verdict = run
    assert verdict is not None, done.stdout
    assert not verdict["ok"]
    assert done.returncode != 0
    matching = [check for check in failures(verdict) if (check["layer"], check["node"]) == (layer, node)]
    assert matching, failures(verdict)
    assert any(reason in check["reason"] and fix in check["fix"] for check in matching), matching
    assert reason[:20].lower() in " ".join(done.stdout.split()).lower()


def assert_nothing_left():
    for node in ("node1", "node2"):
        assert on(node, "find /tmp -name 'fromzero-verify*'") == ""
        assert on(node, "pgrep -fc '[t]raining_step' || true") == "0"


def test_the_real_launcher_reads_the_hostfile_as_it_was_meant():
    python = "from deepspeed.launcher.runner import fetch_hostfile; print(dict(fetch_hostfile('/job/hostfile')))"
    output = on("node1", f'DS_ACCELERATOR=cpu /opt/fromzero/envs/train/bin/python -c "{python}"')
    assert output.splitlines()[-1] == "{'node1': 2, 'node2': 2}"


def test_ds_ssh_takes_no_line_of_the_hostfile_for_a_host():
    environment = "/opt/fromzero/envs/train/bin"
    output = on("node1", f"su trainer -c 'PATH={environment}:$PATH DS_ACCELERATOR=cpu ds_ssh uname -n' 2>&1")
    assert sorted(line for line in output.splitlines() if line.startswith("node")) == ["node1: node1", "node2: node2"]


def test_faults_of_several_layers_are_each_reported_with_node_reason_and_fix():
    folder = on("node2", f"echo {PACKAGES}/deepspeed-*.dist-info")
    version = folder.removesuffix(".dist-info").split("-")[-1]
    older = folder.replace(version, "0.16.9")
    on("node2", f"mv {folder} {older}")
    try:
        with (
            moved("node1", "/etc/ssh/ssh_known_hosts"),
            moved("node2", "/home/trainer/.ssh/id_ed25519"),
            moved("node1", "/usr/bin/pdsh"),
        ):
            run = verify()
    finally:
        on("node2", f"mv {older} {folder}")
    reason = f"deepspeed is 0.16.9 here and {version} on node1"
    assert_reported(run, "environment", "node2", reason, "same on every node")
    assert_reported(run, "ssh", "node1", "ssh from node1 to node2 failed: its host key", "ssh_mesh")
    assert_reported(run, "ssh", "node2", "ssh from node2 to node1 failed: it does not accept", "ssh_mesh")
    assert_reported(run, "pdsh", "node1", "pdsh is not installed on the head", "tag pdsh")
    # ds-launch needs no pdsh; it does not start where a node cannot be reached.
    assert_reported(run, "launch", "node2", "node2 cannot be used", "")


def test_what_ds_launch_refuses_is_in_the_verdict_in_its_own_words():
    installed = on("node2", f"echo {PACKAGES}/deepspeed-*.dist-info")
    with edited("node2", "/srv/launch/ds_config.json", "s/0.0001/0.0002/"), moved("node2", installed):
        run = verify()
    assert_reported(run, "environment", "node2", "deepspeed is not installed in /opt/fromzero", "playbook 'site'")
    assert_reported(run, "launch", "node2", "deepspeed is not installed on node2", "playbook 'site'")
    reason = "has another content on node2 than here"
    assert_reported(run, "launch", "node2", reason, "opy it there")
    assert run[1]["summary"]["world_size"] is None


def test_a_missing_hostfile_is_reported_instead_of_a_run_on_one_node():
    with moved("node1", "/srv/launch/hostfile"):
        run = verify()
    assert_reported(run, "launch", "node1", "/srv/launch/hostfile cannot be used", "playbook 'hostfile'")


def test_ranks_that_fall_back_to_cpus_are_a_failure_of_every_node_with_the_reason():
    settings = "/opt/fromzero/etc/ds-launch.json"
    with (
        edited("node1", settings, 's/"accelerator": "cpu"/"accelerator": ""/'),
        edited("node1", "/home/trainer/.deepspeed_env", "/DS_ACCELERATOR/d"),
        edited("node2", "/home/trainer/.deepspeed_env", "/DS_ACCELERATOR/d"),
    ):
        run = verify("-e", '{"cluster_accelerator": "cuda", "hostfile_slots": 2}')
    for node in ("node1", "node2"):
        reason = "it computes on its CPU, but cluster_accelerator is cuda: torch"
        assert_reported(run, "accelerator", node, reason, "cluster_accelerator: cuda")
        assert any("is a build without CUDA" in check["reason"] for check in failures(run[1]) if check["node"] == node)
    assert "training" not in {check["layer"] for check in run[1]["checks"]}
    assert run[1]["summary"]["accelerator"] == "cpu"
    assert_nothing_left()


def test_under_a_limit_a_configuration_that_cannot_work_is_reported_and_the_other_node_is_named():
    nonsense = "s/AdamW/Nonsense/"
    config = "/srv/launch/ds_config.json"
    with edited("node1", config, nonsense), edited("node2", config, nonsense):
        run = verify("--limit", "node1")
    assert_reported(run, "training", "node1", f"DeepSpeed cannot start with {config}: ", "hostfile_optimizer")
    assert "Nonsense" in failures(run[1])[0]["reason"]
    assert run[1]["summary"]["left_alone"] == ["node2"]
    assert run[1]["summary"]["world_size"] == 2
    assert "left alone because of --limit, and not verified: node2" in run[0].stdout
    assert_nothing_left()


def test_a_limit_without_the_head_says_that_nothing_was_launched():
    done, verdict = verify("--limit", "node2")
    assert done.returncode == 0, done.stdout
    assert verdict["summary"]["world_size"] is None
    assert "no launch was tried: node1, the head, takes no part in this run" in done.stdout


def test_a_node_installed_anew_that_the_others_do_not_let_in_is_reported_under_a_limit():
    key, trusted = "/home/trainer/.ssh/id_ed25519", "/home/trainer/.ssh/authorized_keys"
    # What a run with --limit leaves behind: the node knows its new key, and the others do not.
    with moved("node2", key), moved("node2", f"{key}.pub"), edited("node2", trusted, "/^$/d"):
        on("node2", f"su trainer -c 'ssh-keygen -q -t ed25519 -N \"\" -f {key}' && cat {key}.pub >> {trusted}")
        run = verify("--limit", "node2")
    reason = "ssh from node2 to node1 failed: it does not accept this node's key"
    assert_reported(run, "ssh", "node2", reason, "without --limit")


def test_a_node_that_hangs_is_named_and_the_run_is_cleaned_up():
    path = on("node2", f"echo {PACKAGES}") + "/hang.pth"
    hang = "import os, sys, time; 'RANK' in os.environ and 'training_step' in str(sys.orig_argv) and time.sleep(600)"
    on("node2", f'echo "{hang}" > {path}')
    try:
        run = verify("-e", '{"verify_timeout": 45}')
    finally:
        on("node2", f"rm {path}")
    assert_reported(run, "launch", "node2", "after 45", "Look at node2")
    assert "ranks 2 to 3 on node2 did not start" in failures(run[1])[0]["reason"]
    assert_nothing_left()


def test_nodes_that_were_lost_are_failures_with_the_reason_that_the_run_prints_and_the_rest_is_verified(tmp_path):
    inventory = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    inventory["nodes"]["hosts"]["node3"] = {"ansible_host": "192.0.2.1", "ansible_ssh_timeout": 2}
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    run = verify(playbook="losses.yml", inventory=path)
    done, verdict = run
    full_disk = "it failed at 'Install nothing': [Errno 28] No space left on device: '/opt/fromzero'"
    assert_reported(run, "nodes", "node2", full_disk, "Make room on that disk, and run again.")
    assert_reported(run, "nodes", "node3", "it could not be reached at '", "Check that it runs and that ansible_host")
    assert verdict["summary"]["hosts"] == ["node1"]
    assert [check["node"] for check in failures(verdict)] == ["node2", "node3"]
    for check in failures(verdict):
        assert f"  {check['node']}: {check['reason'].removeprefix('it ')}." in done.stdout


def test_a_good_cluster_passes_on_every_layer_with_the_users_own_configuration_and_nothing_is_left():
    # The usual port of rank 0 is taken: ds-launch takes a free one.
    on("node1", "systemd-run --quiet --unit=squatter python3 -m http.server 29500")
    try:
        done, verdict = verify()
    finally:
        on("node1", "systemctl stop squatter")
    assert done.returncode == 0, done.stdout
    assert verdict["ok"]
    layers = {check["layer"] for check in verdict["checks"]}
    assert layers == {
        *("nodes", "environment", "ssh", "pdsh", "launch", "accelerator", "all_reduce", "ops", "training"),
    }
    world = sum(int(line.split("slots=")[1]) for line in on("node1", "cat /srv/launch/hostfile").splitlines())
    summary = verdict["summary"]
    assert summary["world_size"] == world
    assert summary["all_reduce"] == world * (world + 1) / 2
    assert summary["loss_last"] < summary["loss_first"]
    assert summary["hosts"] == ["node1", "node2"]
    assert (summary["accelerator"], summary["backend"]) == ("cpu", "gloo")
    config = json.loads(on("node2", "cat /srv/launch/ds_config.json"))
    assert summary["config"] == "/srv/launch/ds_config.json"
    assert summary["optimizer"] == config["optimizer"]["type"]
    assert summary["zero_stage"] == config["zero_optimization"]["stage"]
    assert config[summary["precision"]]["enabled"]
    assert f"world size {world} on node1, node2" in done.stdout
    recap = done.stdout.split("PLAY RECAP")[1]
    assert recap.count("changed=0") == recap.count("changed=")
    assert f"The cluster has passed; {VERDICT} says what was proved." in recap
    last = "  ds-launch --sync train_gpt.py --deepspeed_config /srv/launch/ds_config.json"
    assert recap.rstrip().endswith(last), recap
    assert_nothing_left()
