"""What role hostfile promises about later runs: each test runs the playbook again in its own way.

The tests share the nodes; each begins with what a whole run writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
WHOLE = "node1 slots=2\nnode2 slots=3\n"
ETC = "/opt/fromzero/etc"
PROGRAM = "/opt/fromzero/lib/ds_launch"
ARTIFACTS = INVENTORY.parent / "artifacts"
NODES = ("node1", "node2")
WRITTEN = "/job /opt/fromzero /usr/local/bin /home/trainer/.deepspeed_env"
KEPT = "/root/whole.tar"


def play(*arguments, inventory=INVENTORY):
    command = [
        "ansible-playbook",
        "-i",
        str(inventory),
        str(PROJECT / "molecule" / "hostfile" / "converge.yml"),
        *arguments,
    ]
    return subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, check=False)


def sudo(command, node="node1"):
    host = testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.check_output(command)


def hostfile(path="/job/hostfile"):
    return sudo(f"cat {path}") + "\n"


def stage(node, etc=ETC):
    """The ZeRO stage in a node's ds_config.json; None where it has none."""
    text = sudo(f"cat {etc}/ds_config.json || true", node)
    return json.loads(text)["zero_optimization"]["stage"] if text else None


def launchers(node):
    """What a node has for those who type other launchers."""
    return sudo(f"ls {ETC} | grep -e accelerate.yaml -e torchrun.env || true", node).split()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """All that a whole run writes, on every node and beside the inventory."""
    done = play()
    assert done.returncode == 0, done.stdout
    artifacts = tmp_path_factory.mktemp("kept") / "artifacts"
    for node in NODES:
        sudo(f"tar -cf {KEPT} $(ls -d {WRITTEN} || true)", node)
    shutil.copytree(ARTIFACTS, artifacts)
    return artifacts


@pytest.fixture(autouse=True)
def whole(kept):
    """Each test begins with the files of a whole run, without what earlier tests have made of them."""
    for node in NODES:
        sudo(f"rm -rf {WRITTEN} && tar -xf {KEPT} -C /", node)
    shutil.rmtree(ARTIFACTS)
    shutil.copytree(kept, ARTIFACTS)


@pytest.fixture
def inventory(tmp_path):
    """Writes an inventory that differs from the scenario's."""

    def write(change):
        changed = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
        change(changed["nodes"])
        path = tmp_path / "hosts.yml"
        path.write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
        return path

    return write


def test_limit_to_the_head_keeps_the_lines_of_the_others():
    done = play("--limit", "node1", "-e", '{"hostfile_cpu_slots": 4}')
    assert done.returncode == 0, done.stdout
    assert hostfile() == "node1 slots=4\nnode2 slots=3\n"
    assert sudo("grep -c . /opt/fromzero/etc/addresses") == "2"


def test_limit_without_the_head_leaves_its_files_alone_and_says_so():
    done = play("--limit", "node2", "-e", '{"hostfile_slots": 9}')
    assert done.returncode == 0, done.stdout
    assert "node1, the head, takes no part in this run" in " ".join(done.stdout.split())
    assert hostfile() == WHOLE


def test_a_later_change_reaches_every_node():
    done = play("-e", '{"hostfile_zero_stage": 1, "hostfile_cpu_threads": 4}')
    assert done.returncode == 0, done.stdout
    for node in ("node1", "node2"):
        assert stage(node) == 1
        assert "OMP_NUM_THREADS=4" in sudo("cat /home/trainer/.deepspeed_env", node)


def test_limit_without_the_head_gives_a_node_what_the_head_has():
    sudo(f"rm -f {ETC}/* /home/trainer/.deepspeed_env", "node2")
    done = play("--limit", "node2", "-e", '{"hostfile_zero_stage": 1}')
    assert done.returncode == 0, done.stdout
    assert "get the same ds_config.json as the head" in " ".join(done.stdout.split())
    assert [stage("node1"), stage("node2")] == [2, 2]
    assert launchers("node2") == ["accelerate.yaml", "torchrun.env"]
    assert "PET_NODE_RANK=1\n" in sudo(f"cat {ETC}/torchrun.env", "node2")
    assert "DS_ACCELERATOR=cpu" in sudo("cat /home/trainer/.deepspeed_env", "node2")


def test_limit_without_a_head_that_answers_gives_a_node_its_own(inventory):
    sudo(f"rm -f {ETC}/ds_config.json", "node2")
    down = inventory(lambda nodes: nodes["hosts"]["node1"].update(ansible_host="192.0.2.1", ansible_ssh_timeout=2))
    done = play("--limit", "node2", "-e", '{"hostfile_zero_stage": 1}', inventory=down)
    assert done.returncode == 0, done.stdout
    assert "one by their own variables" in " ".join(done.stdout.split())
    assert stage("node2") == 1
    # What needs the hostfile stays as it is.
    assert launchers("node2") == ["accelerate.yaml", "torchrun.env"]


def test_a_node_without_slots_has_what_scripts_read_and_no_rank():
    done = play("-e", '{"hostfile_cpu_slots": 0}')
    assert done.returncode == 0, done.stdout
    assert "node1 brings no slots and is left out" in done.stdout + done.stderr
    assert hostfile() == "node2 slots=3\n"
    assert stage("node1") == 2
    assert launchers("node1") == []
    assert "PET_NODE_RANK=0\n" in sudo(f"cat {ETC}/torchrun.env", "node2")


def test_an_edit_by_hand_on_another_node_is_kept():
    sudo(f"sed -i 's/0.0001/0.5/' {ETC}/ds_config.json", "node2")
    done = play()
    assert f"{ETC}/ds_config.json was edited by hand" in " ".join((done.stdout + done.stderr).split())
    assert "0.5" not in sudo(f"cat {ETC}/ds_config.json", "node2")
    assert "0.5" in sudo(f"cat {ETC}/ds_config.json.*~", "node2")


def test_a_file_of_an_older_program_is_removed_and_one_of_somebody_else_stays():
    record = f"{ETC}/hostfile.record.json"
    summed = sudo("printf old | sha256sum").split()[0]
    sudo(f"printf old > {PROGRAM}/older.py; printf theirs > {PROGRAM}/theirs.py")
    sudo(f"""sed -i 's|^{{|{{ "{PROGRAM}/older.py": "{summed}",|' {record}""")
    done = play()
    assert done.returncode == 0, done.stdout
    found = sudo(f"ls {PROGRAM}").split()
    sudo(f"rm {PROGRAM}/theirs.py")
    assert "older.py" not in found
    assert "theirs.py" in found
    assert "__main__.py" in found
    assert "older.py" not in sudo(f"cat {record}")


def test_the_form_of_the_trainer_is_one_variable():
    done = play("-e", '{"hostfile_config_form": "trainer"}')
    assert done.returncode == 0, done.stdout
    config = json.loads(sudo(f"cat {ETC}/ds_config.json", "node2"))
    assert config["train_micro_batch_size_per_gpu"] == "auto"
    assert "optimizer" not in config
    assert play().returncode == 0


def test_a_node_that_cannot_be_reached_loses_its_line(inventory):
    away = inventory(lambda nodes: nodes["hosts"]["node2"].update(ansible_host="192.0.2.1", ansible_ssh_timeout=2))
    done = play(inventory=away)
    assert done.returncode != 0
    assert "node2 is not healthy in this run and is left out" in done.stdout + done.stderr
    assert hostfile() == "node1 slots=2\n"


def test_a_node_that_cannot_be_reached_loses_its_line_under_a_limit_that_names_it(inventory):
    away = inventory(lambda nodes: nodes["hosts"]["node2"].update(ansible_host="192.0.2.1", ansible_ssh_timeout=2))
    assert play("--limit", "node1,node2", inventory=away).returncode != 0
    assert hostfile() == "node1 slots=2\n"


def test_a_node_that_left_the_inventory_loses_its_line(inventory):
    done = play("--limit", "node1", inventory=inventory(lambda nodes: nodes["hosts"].pop("node2")))
    assert done.returncode == 0, done.stdout
    assert hostfile() == "node1 slots=2\n"


def test_head_comes_first_wherever_it_stands_in_the_inventory(inventory):
    def turn(nodes):
        nodes["hosts"] = dict(reversed(nodes["hosts"].items()))
        nodes["vars"]["cluster_head"] = "node1"

    done = play(inventory=inventory(turn))
    assert done.returncode == 0, done.stdout
    assert hostfile() == WHOLE


def test_a_former_head_keeps_nothing_that_a_launch_needs_and_what_was_edited_by_hand_as_a_copy():
    theirs = "/opt/fromzero/examples/gpt/theirs.py"
    sudo(f"touch {theirs} && echo '# mine' >> /job/hostfile")
    done = play("-e", "cluster_head=node2")
    assert done.returncode == 0, done.stdout
    gone = f"/job/hostfile /usr/local/bin/ds-launch {PROGRAM}/__main__.py {ETC}/ds-launch.json {ETC}/addresses"
    assert sudo(f"ls -d {gone} 2>/dev/null || true") == ""
    assert sudo("ls /opt/fromzero/examples/gpt") == "theirs.py"
    assert "# mine" in sudo("cat /job/hostfile.*~")
    assert stage("node1") == stage("node2")
    assert sudo("cat /job/hostfile", "node2") == "node2 slots=3\nnode1 slots=2"
    sudo(f"ls -d {gone}", "node2")
    assert "changed=1" not in play("-e", "cluster_head=node2").stdout
    # A run without the new head leaves the files of the old one alone.
    assert play().returncode == 0
    assert play("--limit", "node1", "-e", "cluster_head=node2").returncode == 0
    assert hostfile() == WHOLE
    assert sudo("ls -d /job/hostfile 2>/dev/null || true", "node2") == ""


def test_an_edit_by_hand_is_kept_and_shown():
    sudo("sed -i 's/node2 slots=3/node2 slots=7/' /job/hostfile")
    done = play()
    said = done.stdout + done.stderr
    assert "/job/hostfile was edited by hand; it is kept as /job/hostfile." in said
    assert "-node2 slots=7" in said
    assert hostfile() == WHOLE
    assert "node2 slots=7" in sudo("cat /job/hostfile.*~")


def test_a_token_of_the_user_stays_closed_and_unseen():
    """Added by hand to the file of variables, beside one in the inventory, and everything that a run can print."""
    variables = "/home/trainer/.deepspeed_env"
    sudo(f"echo HF_TOKEN=hf_of_the_user >> {variables}; chmod 600 {variables}")
    ours = {"hostfile_environment": {"WANDB_API_KEY": "key_of_the_site"}, "hostfile_cpu_threads": 3}
    done = play("--diff", "-vvv", "--extra-vars", json.dumps(ours))
    assert done.returncode == 0, done.stdout
    assert "hf_of_the_user" not in done.stdout + done.stderr
    assert "key_of_the_site" not in done.stdout.split("TASK [fromzero.deepspeed.hostfile : Write the launch files]")[1]
    assert "was edited by hand" not in done.stderr
    lines = sudo(f"cat {variables}").splitlines()
    assert {"HF_TOKEN=hf_of_the_user", "WANDB_API_KEY=key_of_the_site", "OMP_NUM_THREADS=3"} <= {*lines}
    assert sudo(f"stat -c '%a %U' {variables} {ETC}/torchrun.env").splitlines() == ["600 trainer"] * 2
    done = play()
    assert "WANDB" not in sudo(f"cat {variables}")
    assert "HF_TOKEN=hf_of_the_user" in sudo(f"cat {variables}")


def test_a_change_of_ours_is_no_edit_by_hand():
    done = play("-e", '{"hostfile_cpu_slots": 5}')
    assert "edited by hand" not in done.stdout + done.stderr
    assert hostfile() == "node1 slots=5\nnode2 slots=3\n"
    assert sudo("find /job -name '*~'") == ""


def test_check_mode_shows_the_edit_and_changes_nothing():
    sudo("sed -i 's/node2 slots=3/node2 slots=7/' /job/hostfile")
    done = play("--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert "would be kept as a copy" in done.stdout + done.stderr
    assert hostfile() == "node1 slots=2\nnode2 slots=7\n"


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ("0", "No node brings a slot"),
        ("-1", "The slots of node1 are -1"),
        ('"many"', "hostfile_slots"),
    ],
)
def test_slots_that_cannot_be_are_refused_in_a_sentence_and_nothing_changes(slots, words):
    done = play("-e", f'{{"hostfile_slots": {slots}}}')
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split() + done.stderr.split())
    assert hostfile() == WHOLE


def test_gpus_count_where_the_accelerator_is_one():
    done = play("-e", '{"cluster_accelerator": "cuda"}')
    assert done.returncode == 0, done.stdout
    # The containers have no GPU; node2's slots are the user's word.
    assert hostfile() == "node2 slots=3\n"


def test_a_variable_that_differs_per_node_is_refused():
    done = play("-e", '{"hostfile_environment": {"NCCL_SOCKET_IFNAME": "eth0"}}')
    assert done.returncode != 0
    assert "NCCL_SOCKET_IFNAME cannot be set in hostfile_environment" in " ".join((done.stdout + done.stderr).split())


def test_without_root_every_file_is_the_users_own():
    done = play("-e", '{"cluster_become": false}')
    assert done.returncode == 0, done.stdout
    home = "/home/trainer"
    assert hostfile(f"{home}/fromzero/hostfile") == WHOLE
    assert (
        sudo(f"stat -c %U {home}/fromzero/hostfile {home}/.local/bin/ds-launch {home}/.deepspeed_env").split()
        == ["trainer"] * 3
    )
    settings = json.loads(sudo(f"cat {home}/fromzero/etc/ds-launch.json"))
    assert settings["hostfile"] == f"{home}/fromzero/hostfile"
    assert stage("node2", etc=f"{home}/fromzero/etc") == 2
    assert sudo(f"stat -c %U {home}/fromzero/lib/ds_launch/__main__.py") == "trainer"
    again = play("-e", '{"cluster_become": false}')
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
