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


def verify(*arguments, inventory=INVENTORY):
    """Run the playbook; the verdict comes with the run's own status and words."""
    VERDICT.unlink(missing_ok=True)
    command = ["ansible-playbook", "-i", str(inventory), str(SCENARIO / "converge.yml"), *arguments]
    command += ["-e", f"cluster_artifacts={VERDICT.parent}"]
    # Molecule asks for colours, with which Ansible tells errors on the other stream.
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
    on(node, f"mkdir -p /root/kept && mv {path} /root/kept/")
    try:
        yield
    finally:
        on(node, f"find /root/kept -mindepth 1 -maxdepth 1 -exec mv -t $(dirname {path}) {{}} + && rmdir /root/kept")


def assert_told(run, layer, node, reason, fix):
    """The fault is in the verdict, and the run says so in its own words and ends with a failure."""
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
    said = on("node1", f'DS_ACCELERATOR=cpu /opt/fromzero/envs/train/bin/python -c "{python}"')
    assert said.splitlines()[-1] == "{'node1': 2, 'node2': 2}"


def test_ds_ssh_takes_no_line_of_the_hostfile_for_a_host():
    environment = "/opt/fromzero/envs/train/bin"
    said = on("node1", f"su trainer -c 'PATH={environment}:$PATH DS_ACCELERATOR=cpu ds_ssh uname -n' 2>&1")
    assert sorted(line for line in said.splitlines() if line.startswith("node")) == ["node1: node1", "node2: node2"]


def test_an_unknown_host_key_is_told():
    with moved("node1", "/etc/ssh/ssh_known_hosts"):
        done, verdict = verify()
    assert_told((done, verdict), "ssh", "node1", "ssh from node1 to node2 failed: its host key", "ssh_mesh")


def test_a_node_that_has_no_key_is_told():
    with moved("node2", "/home/trainer/.ssh/id_ed25519"):
        done, verdict = verify()
    assert_told((done, verdict), "ssh", "node2", "ssh from node2 to node1 failed: it does not accept", "ssh_mesh")
    assert {check["node"] for check in failures(verdict)} == {"node2"}


def test_a_missing_package_is_told():
    with moved("node2", f"{PACKAGES}/deepspeed*"):
        done, verdict = verify()
    assert_told(
        (done, verdict), "environment", "node2", "deepspeed is not installed in /opt/fromzero", "playbook 'site'"
    )


def test_versions_that_differ_are_told():
    folder = on("node2", f"echo {PACKAGES}/deepspeed-*.dist-info")
    version = folder.removesuffix(".dist-info").split("-")[-1]
    older = folder.replace(version, "0.16.9")
    on("node2", f"mv {folder} {older}")
    try:
        done, verdict = verify()
    finally:
        on("node2", f"mv {older} {folder}")
    reason = f"deepspeed is 0.16.9 here and {version} on node1"
    assert_told((done, verdict), "environment", "node2", reason, "same on every node")


def test_missing_pdsh_is_told():
    with moved("node1", "/usr/bin/pdsh"):
        done, verdict = verify()
    assert_told((done, verdict), "pdsh", "node1", "pdsh is not installed on the head", "tag pdsh")
    assert_told((done, verdict), "launch", "node1", "pdsh is not installed", "Do what the sentence says")


def test_a_missing_hostfile_is_told_instead_of_a_run_on_one_node():
    with moved("node1", "/job/hostfile"):
        done, verdict = verify()
    assert_told((done, verdict), "launch", "node1", "/job/hostfile cannot be used", "playbook 'hostfile'")


def test_a_comment_in_the_environment_file_is_told():
    with moved("node1", "/home/trainer/.deepspeed_env"):
        on("node1", "echo '# ours' > /home/trainer/.deepspeed_env")
        done, verdict = verify()
    assert_told(
        (done, verdict), "launch", "node1", ".deepspeed_env has a line that is not KEY=VALUE", "Remove blank lines"
    )


def test_a_node_that_hangs_is_named_and_the_run_is_cleaned_up():
    path = on("node2", f"echo {PACKAGES}") + "/hang.pth"
    hang = "import sys, time; any('training_step' in word for word in sys.orig_argv) and time.sleep(600)"
    on("node2", f'echo "{hang}" > {path}')
    try:
        done, verdict = verify("-e", '{"verify_timeout": 30}')
    finally:
        on("node2", f"rm {path}")
    reason = "after 30"
    assert_told((done, verdict), "launch", "node2", reason, "Look at node2")
    assert "ranks 2 to 3 on node2 did not start" in failures(verdict)[0]["reason"]
    assert_nothing_left()


def test_a_taken_port_is_told():
    on("node1", "systemd-run --quiet --unit=squatter python3 -m http.server 29500")
    try:
        done, verdict = verify()
    finally:
        on("node1", "systemctl stop squatter")
    assert_told((done, verdict), "launch", "node1", "port of the first rank is taken", "verify_port")


def test_a_node_that_cannot_be_reached_is_a_failure_and_the_rest_is_verified(tmp_path):
    inventory = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    inventory["nodes"]["hosts"]["node2"].update(ansible_host="192.0.2.1", ansible_ssh_timeout=2)
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    done, verdict = verify(inventory=path)
    assert_told((done, verdict), "nodes", "node2", "failed or could not be reached", "Repair it")
    assert verdict["summary"]["hosts"] == ["node1"]
    assert [check["node"] for check in failures(verdict)] == ["node2"]


def test_a_limit_verifies_what_is_in_the_run_and_names_the_rest():
    done, verdict = verify("--limit", "node1")
    assert done.returncode == 0, done.stdout
    assert verdict["ok"]
    assert verdict["summary"]["left_alone"] == ["node2"]
    assert verdict["summary"]["world_size"] == 2
    assert "left alone because of --limit, and not verified: node2" in done.stdout


def test_a_limit_without_the_head_says_that_nothing_was_launched():
    done, verdict = verify("--limit", "node2")
    assert done.returncode == 0, done.stdout
    assert verdict["summary"]["world_size"] is None
    assert "no launch was tried: node1, the head, takes no part in this run" in done.stdout


def test_a_good_cluster_passes_on_every_layer_and_nothing_is_changed_or_left():
    done, verdict = verify("-e", '{"verify_zero_stage": 3}')
    assert done.returncode == 0, done.stdout
    assert verdict["ok"]
    layers = {check["layer"] for check in verdict["checks"]}
    assert layers == {"nodes", "environment", "ssh", "pdsh", "launch", "all_reduce", "training"}
    assert "falling loss with ZeRO-3" in {check["name"] for check in verdict["checks"]}
    world = sum(int(line.split("slots=")[1]) for line in on("node1", "cat /job/hostfile").splitlines())
    summary = verdict["summary"]
    assert summary["world_size"] == world
    assert summary["all_reduce"] == world * (world + 1) / 2
    assert summary["loss_last"] < summary["loss_first"]
    assert summary["hosts"] == ["node1", "node2"]
    assert f"world size {world} on node1, node2" in done.stdout
    recap = done.stdout.split("PLAY RECAP")[1]
    assert recap.count("changed=0") == recap.count("changed=")
    assert_nothing_left()
