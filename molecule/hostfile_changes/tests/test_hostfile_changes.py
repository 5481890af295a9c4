"""What role hostfile promises about later runs: each test runs the playbook again in its own way.

The tests share the nodes; each begins with a whole run.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
WHOLE = "node1 slots=2\nnode2 slots=3\n"


def play(*arguments, inventory=INVENTORY):
    command = [
        "ansible-playbook",
        "-i",
        str(inventory),
        str(PROJECT / "molecule" / "hostfile" / "converge.yml"),
        *arguments,
    ]
    return subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, check=False)


def sudo(command):
    host = testinfra.get_host(f"ansible://node1?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.check_output(command)


def hostfile(path="/job/hostfile"):
    return sudo(f"cat {path}") + "\n"


@pytest.fixture(autouse=True)
def whole():
    """Each test begins with the hostfile of a whole run, and without copies of files edited by earlier ones."""
    if hostfile() != WHOLE:
        done = play()
        assert done.returncode == 0, done.stdout
    sudo("find /job -name '*~' -delete")


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


def test_an_edit_by_hand_is_kept_and_shown():
    sudo("sed -i 's/node2 slots=3/node2 slots=7/' /job/hostfile")
    done = play()
    said = done.stdout + done.stderr
    assert "/job/hostfile was edited by hand; it is kept as /job/hostfile." in said
    assert "-node2 slots=7" in said
    assert hostfile() == WHOLE
    assert "node2 slots=7" in sudo("cat /job/hostfile.*~")


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


def test_a_node_without_slots_is_left_out_with_a_warning():
    done = play("-e", '{"hostfile_cpu_slots": 0}')
    assert done.returncode == 0, done.stdout
    assert "node1 brings no slots and is left out" in done.stdout + done.stderr
    assert hostfile() == "node2 slots=3\n"


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
    assert f"hostfile={home}/fromzero/hostfile" in sudo(f"cat {home}/.local/bin/ds-launch")
    again = play("-e", '{"cluster_become": false}')
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
