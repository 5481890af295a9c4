"""What preflight promises: bad input stops the run before any change, a lost node is set aside and named."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra
import yaml

ROOT = Path(__file__).parents[3]
PREFLIGHT = "fromzero.deepspeed.preflight"
# Nothing listens on the port 'discard', so the connection is refused at once.
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 9}
PLAIN = os.environ | {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
CHECKOUT = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


class Cluster:
    """The scenario's inventory, to be changed, and playbooks run on it."""

    def __init__(self, inventory: Path, folder: Path) -> None:
        self.inventory = copy.deepcopy(yaml.safe_load(inventory.read_text(encoding="utf-8")))
        self.hosts = self.inventory["nodes"]["hosts"]
        self.vars = self.inventory["nodes"]["vars"]
        self.vars["cluster_accelerator"] = "cpu"
        # What a bare machine could install from is for the tests that say so.
        self.vars["preflight_addresses"] = "ignore"
        self.folder = folder

    def play(self, *arguments: str, inventory: str | None = None, name: str = "hosts.yml") -> Run:
        path = self.folder / name
        path.write_text(inventory if inventory is not None else yaml.safe_dump(self.inventory), encoding="utf-8")
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", path, *(arguments or (PREFLIGHT,))]
        return Run(subprocess.run(command, cwd=ROOT, env=PLAIN, capture_output=True, text=True, check=False))

    def write(self, text: str) -> str:
        """A playbook that begins with preflight and goes on as the text says."""
        path = self.folder / "playbook.yml"
        path.write_text(f"- ansible.builtin.import_playbook: {PREFLIGHT}\n{text}", encoding="utf-8")
        return str(path)


class Run:
    """How a run ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.said = re.sub(r"\s+", " ", self.output)
        recap = re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", done.stdout, re.M)
        self.recap = {host: tuple(map(int, counts)) for host, *counts in recap}
        self.farewell = done.stdout.partition("Set aside")[2]

    @property
    def changed(self) -> int:
        return sum(changed for _, changed, _, _ in self.recap.values())

    def refused(self, *parts: str) -> None:
        """The run stopped, changed nothing, and said all of the parts."""
        assert self.code != 0, self.output
        assert self.recap, self.output
        assert self.changed == 0, self.output
        assert all(part in self.said for part in parts), self.output
        # Ansible's own error would repeat each sentence, with the place in our task files.
        assert "Action failed" not in self.output, self.output
        reasons = [line for line in self.output.splitlines() if line.startswith("- ")]
        assert len(reasons) == len(set(reasons)), self.output


@pytest.fixture
def cluster(pytestconfig, tmp_path):
    return Cluster(Path(pytestconfig.getoption("ansible_inventory")), tmp_path)


BAD_INI = [
    ("", ["no group 'nodes'"]),
    ("[node]\na ansible_host=192.0.2.1\n", ["no group 'nodes'", "'node' may be meant"]),
    ("[nodes]\n", ["Group 'nodes' is empty"]),
    (
        "[nodes]\na ansible_host=192.0.2.1\nb@c ansible_host=192.0.2.1\n[head]\nd\n",
        ["a and b@c have one address, 192.0.2.1", "Host name 'b@c'", "d is in group 'head' but not in group 'nodes'"],
    ),
    (
        "[nodes]\na hostfile_slots=-1\nb hostfile_slots=two\n"
        "[nodes:vars]\ncluster_head=c\ncluster_network=10.0.0.0/33\ncluster_accelerator=tpu\n",
        [
            "hostfile_slots is -1 on a",
            "hostfile_slots is 'two' on b",
            "cluster_head is 'c'",
            "cluster_network is '10.0.0.0/33'",
            "cluster_accelerator is 'tpu'",
        ],
    ),
    (
        "[nodes] # every machine\na ansible_host=192.0.2.1 # rack 2\n[nodes:vars]\n"
        "cluster_network=10.0.0.0/24   # optional\nansible_user=trainer    # an account\nansible_password=a #b\n",
        [
            "cluster_network is '10.0.0.0/24 # optional' on a (",
            "hosts.ini:4)",
            "ansible_user is 'trainer # an",
            "of its own",
        ],
    ),
    ("[nodes]\na hostfile_slots=0\nb hostfile_slots=0\n", ["Slots are 0 on all nodes"]),
]


@pytest.mark.parametrize(("inventory", "said"), BAD_INI)
def test_a_bad_inventory_is_refused_before_any_connection(cluster, inventory, said):
    run = cluster.play(inventory=inventory, name="hosts.ini")
    run.refused(*said)
    assert set(run.recap) <= {"localhost"}


def test_all_problems_of_an_inventory_are_told_at_once(cluster):
    cluster.hosts["-node3"] = dict(cluster.hosts["node1"])
    cluster.vars |= {"cluster_network": "10.0.0.5/24", "cluster_become": "perhaps", "hostfile_paths": {"a": 1}}
    cluster.vars |= {"preflight_clock_skew": "soon", "ssh_mesh_rotate": "maybe"}
    run = cluster.play("site.yml")
    run.refused("'-node3'", "one address", "host bits", "cluster_become", "hostfile_paths", "'soon'", "ssh_mesh_rotate")
    assert set(run.recap) == {"localhost"}


def test_a_misspelt_variable_is_a_warning(cluster):
    cluster.vars["cluster_netwrok"] = "10.0.0.0/24"
    run = cluster.play()
    assert run.code == 0, run.output
    assert "Nothing reads the variable cluster_netwrok; cluster_network may be meant." in run.said


def test_a_limit_outside_the_nodes_is_refused(cluster):
    cluster.inventory["other"] = {"hosts": {"gateway": GONE}}
    cluster.play(PREFLIGHT, "--limit", "gateway").refused("--limit leaves gateway")


BAD_NODES = [
    (
        {
            "cluster_network": "203.0.113.0/24",
            "preflight_systems": {"Ubuntu": ["24.04"]},
            "preflight_python": "9.9",
            "preflight_disk_needed": {"cpu": 900000},
            # It can only be judged once there are facts.
            "hostfile_zero_stage": "{{ ansible_facts['distribution'] }}",
        },
        [
            "node1: cluster_network 203.0.113.0/24",
            "node2: cluster_network 203.0.113.0/24",
            "node1 runs Debian 12",
            "supported are Ubuntu 24.04",
            "node2 has Python 3.",
            "GB free at /opt and needs 900000 GB",
            "hostfile_zero_stage is 'Debian' on all nodes",
        ],
    ),
    ({"cluster_user": "ghost"}, ["node1 has no account 'ghost'"]),
    (
        {"cluster_accelerator": "auto"},
        ["No NVIDIA or AMD GPU to compute on was found on any node; set cluster_accelerator: cpu"],
    ),
    ({"cluster_accelerator": "cuda"}, ["'cuda' but no NVIDIA GPU was found on all nodes"]),
    ({"cluster_become": False, "cluster_prefix": "/opt/x"}, ["node1: nothing can be written below /opt"]),
]


@pytest.mark.parametrize(("variables", "said"), BAD_NODES)
def test_nodes_that_cannot_work_stop_the_run(cluster, variables, said):
    cluster.vars |= variables
    cluster.play().refused(*said)


def test_a_clock_that_is_an_hour_off_stops_the_run(cluster):
    cluster.hosts["node2"]["ansible_python_interpreter"] = "/srv/clock/python3"
    without = "To go on without node2 until it is repaired, run with --limit '!node2'."
    cluster.play().refused("node2's clock is 36", "s ahead of node1's", without)


NO_PYTHON = [
    (
        {"ansible_python_interpreter": "/srv/nowhere"},
        "node2 has no Python that runs at /srv/nowhere, which ansible_python_interpreter names",
    ),
    (
        {"ansible_interpreter_python_fallback": ["/srv/old/python3", "python3"]},
        "node2 has Python 3.6.8 at /srv/old/python3, and 3.9 is the oldest that works",
    ),
]


@pytest.mark.parametrize(("variables", "said"), NO_PYTHON)
def test_a_node_whose_python_cannot_work_stops_the_run_with_the_one_that_can(cluster, variables, said):
    cluster.hosts["node2"] |= variables
    run = cluster.play()
    run.refused(f"{said}; set ansible_python_interpreter: /usr/bin/python3", ", which is 3.")
    assert run.recap["node2"][3] == 0, "the refusal says it, so nothing else does"
    assert "Set aside" not in run.output


@pytest.fixture
def no_python_on_node2(cluster, tmp_path):
    """Node2 as an image without Python, until the test is over."""
    path = tmp_path / "node2.yml"
    path.write_text(yaml.safe_dump(cluster.inventory), encoding="utf-8")

    def shell(script):
        command = [Path(sys.executable).with_name("ansible"), "node2", "-b", "-i", path, "-m", "raw", "-a", script]
        subprocess.run(command, cwd=ROOT, env=PLAIN, check=True, capture_output=True)

    shell("mkdir /srv/away && mv /usr/bin/python3* /srv/away/")
    yield
    shell("mv /srv/away/* /usr/bin/ && rmdir /srv/away")


@pytest.mark.usefixtures("no_python_on_node2")
def test_a_node_without_python_stops_the_run_with_the_command_that_installs_one(cluster):
    cluster.play().refused(
        "node2 has no Python that Ansible finds", "install one: sudo apt-get install -y python3.", "--limit '!node2'"
    )


# Nothing listens on the port 'discard'; the channel is a folder that prepare.yml has made.
ADDRESSES = {
    "conda_installer_url": "file:///srv/nowhere/Miniforge3.sh",
    "conda_installer_checksum": f"sha256:{64 * '0'}",
    "conda_channels": ["file:///srv/channel", "http://127.0.0.1:9/channel"],
}
NOT_REACHED = [
    "all nodes: the installer of conda cannot be fetched from file:///srv/nowhere/Miniforge3.sh (no such file)",
    "another address in conda_installer_url",
    "all nodes: conda's channel http://127.0.0.1:9/channel cannot be fetched from "
    "http://127.0.0.1:9/channel/noarch/repodata.json (Connection refused)",
    "another address in conda_channels",
]


def test_addresses_that_nodes_cannot_reach_stop_the_run_all_at_once(cluster):
    cluster.vars |= ADDRESSES | {"preflight_addresses": "refuse"}
    run = cluster.play()
    run.refused(*NOT_REACHED, "What is missing on the nodes cannot be fetched, and nothing was changed")


def test_a_plan_is_printed_though_an_address_cannot_be_reached(cluster):
    cluster.vars |= ADDRESSES | {"preflight_addresses": "refuse"}
    run = cluster.play("fromzero.deepspeed.plan")
    assert run.code == 0, run.output
    assert all(part in run.said for part in (*NOT_REACHED, "Stack torch-"))


def test_what_is_installed_needs_no_address(cluster):
    there = {"conda_prefix": "/srv/conda", "conda_environment": "/srv/env", "torch_environment": "/srv/env"}
    prefix = {**there, "deepspeed_environment": "/srv/env"}
    cluster.vars |= ADDRESSES | prefix | {"preflight_addresses": "refuse"}
    run = cluster.play(PREFLIGHT, "--limit", "node2")
    assert run.code == 0, run.output


def test_two_names_of_one_machine_stop_the_run(cluster):
    cluster.hosts.clear()
    cluster.hosts |= {"one": dict(CHECKOUT), "two": dict(CHECKOUT)}
    cluster.vars |= {"cluster_become": False}
    cluster.vars.pop("ansible_user")
    cluster.play().refused("one and two are one machine")


def test_a_lost_node_is_set_aside_and_named_and_the_others_go_on(cluster):
    cluster.hosts["node3"] = GONE
    run = cluster.play()
    assert run.code != 0
    assert run.recap["node3"] == (0, 0, 1, 0)
    assert run.recap["node1"][3] == run.recap["node2"][3] == 0
    assert run.recap["node2"][0] >= 4
    assert "node3: could not be reached at" in run.farewell
    assert "Connection refused" in run.farewell
    assert "node1" not in run.farewell


def test_a_limit_leaves_the_lost_node_out_of_it(cluster):
    cluster.hosts["node3"] = GONE
    run = cluster.play(PREFLIGHT, "--limit", "node2")
    assert run.code == 0, run.output
    assert set(run.recap) == {"node2"}


def test_all_nodes_lost_are_all_named(cluster):
    for number, host in enumerate(cluster.hosts.values()):
        host |= {"ansible_host": f"127.0.0.{number + 1}", "ansible_port": 9}
    run = cluster.play()
    assert run.code != 0
    assert all(f"{name}: could not be reached" in run.farewell for name in cluster.hosts)
    assert "Set aside, and no node is left:" in run.output


SECOND_NODE_FAILS = """
- name: Go on
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Break on one node
      ansible.builtin.fail:
        msg: The disk is on fire.
      when: inventory_hostname == 'node2'
    - name: Survive
      ansible.builtin.debug:
        msg: "left are {{ ansible_play_hosts | join(' ') }} and it is {{ accelerator }}"
      vars:
        accelerator: "{{ lookup('fromzero.deepspeed.cluster', 'cluster_accelerator') }}"
"""


def test_a_failed_node_is_set_aside_and_named_and_the_others_go_on(cluster):
    run = cluster.play(cluster.write(SECOND_NODE_FAILS))
    assert run.code != 0
    assert "left are node1 and it is cpu" in run.said
    assert "node2: failed at 'Break on one node': The disk is on fire." in run.farewell
    assert "node1" not in run.farewell


def test_what_is_handled_is_not_a_loss(cluster):
    handled = SECOND_NODE_FAILS.replace("      when:", "      ignore_errors: true\n      when:")
    run = cluster.play(cluster.write(handled))
    assert run.code == 0, run.output
    assert not run.farewell


def test_a_head_that_is_lost_stops_the_launch_files_and_is_named(cluster):
    cluster.hosts["node3"] = GONE
    cluster.inventory["head"] = {"hosts": {"node3": None}}
    run = cluster.play("fromzero.deepspeed.hostfile")
    run.refused("node3, the head, was set aside", "cluster_head")
    assert "node3: could not be reached" in run.farewell


EXPORTS = """
- name: Read what preflight says
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Show it
      ansible.builtin.debug:
        msg: >-
          {{ inventory_hostname }} {{ ansible_facts['preflight_accelerator'] }}
          {{ ansible_facts['fromzero_network']['link']['address'] == ansible_host }}
          {{ ansible_facts['fromzero_gpus']['source'] }} {{ ansible_facts['fromzero_node']['account']['home'] }}
"""


def test_facts_are_there_for_every_node(cluster):
    run = cluster.play(cluster.write(EXPORTS))
    assert run.code == 0, run.output
    home = f"/home/{cluster.vars['ansible_user']}"
    assert all(f"{name} cpu True none {home}" in run.said for name in cluster.hosts)


def test_a_run_costs_each_node_at_most_ten_tasks_and_changes_nothing(cluster):
    run = cluster.play()
    assert run.changed == 0
    for host in cluster.hosts:
        skipped = int(re.search(rf"^{host} .*skipped=(\d+)", run.output, re.M)[1])
        assert run.recap[host][0] + skipped <= 10


AFTER = """
  vars:
    preflight_lock: mine
"""
FAILING = f"""{AFTER}
- name: Fail
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Say whether the cluster is locked
      ansible.builtin.command: ls /run/fromzero-deepspeed.lock
      register: found
    - name: End all
      ansible.builtin.fail:
        msg: "{{{{ found.stdout }}}} has the lock"
"""
LOCKED = f"""
- ansible.builtin.import_playbook: {PREFLIGHT}
  vars:
    preflight_lock: mine
- name: Change something for a minute
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Take the time
      ansible.builtin.command: sleep 60
"""
LOCK = "/run/fromzero-deepspeed.lock"


@contextlib.contextmanager
def running(cluster, text):
    """A run that has the lock and goes on; it is killed in the end with all that it started, as by a loss of power."""
    playbook = cluster.folder / "locked.yml"
    playbook.write_text(text, encoding="utf-8")
    inventory = cluster.folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump(cluster.inventory), encoding="utf-8")
    lock = cluster.folder / "artifacts" / "lock.json"
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, playbook]
    with subprocess.Popen(command, cwd=ROOT, env=PLAIN, stdout=subprocess.PIPE, text=True) as first:
        for line in first.stdout:
            if "Take the time" in line:
                break
        owner = json.loads(lock.read_text(encoding="utf-8"))
        try:
            yield owner
        finally:
            os.kill(owner["keeper"], signal.SIGKILL)
            first.kill()


def test_of_two_runs_at_once_the_second_is_refused_and_one_that_was_cut_off_prevents_no_other(cluster, tmp_path):
    head = testinfra.get_host(f"ansible://node1?ansible_inventory={tmp_path / 'hosts.yml'}")
    elsewhere = Cluster.__new__(Cluster)
    elsewhere.inventory, elsewhere.folder = cluster.inventory, tmp_path / "elsewhere"
    elsewhere.folder.mkdir()
    with running(cluster, LOCKED) as owner:
        who = f"{owner['user']}@{owner['host']} has been running the playbook 'mine' since "
        cluster.play("site.yml").refused("Another run is changing this cluster, and nothing was changed", who)
        # Another folder of artifacts, as on another control node; the head has the lock too.
        elsewhere.play("fromzero.deepspeed.verify", "--limit", "node2").refused(who, f"(process {owner['pid']})")
        assert cluster.play(PREFLIGHT).code == 0
        assert head.file(LOCK).exists
    assert (tmp_path / "artifacts" / "lock.json").exists()
    run = cluster.play(cluster.write(AFTER))
    assert run.code == 0, run.output
    assert not (tmp_path / "artifacts" / "lock.json").exists()
    assert not head.file(LOCK).exists


def test_a_run_that_fails_gives_the_lock_back(cluster, tmp_path):
    run = cluster.play(cluster.write(FAILING))
    assert run.code != 0
    assert "has the lock" in run.said
    assert not (tmp_path / "artifacts" / "lock.json").exists()
    head = testinfra.get_host(f"ansible://node1?ansible_inventory={tmp_path / 'hosts.yml'}")
    assert not head.file(LOCK).exists


def test_a_head_that_cannot_be_reached_prevents_no_run(cluster, tmp_path):
    cluster.hosts["node3"] = dict(GONE)
    cluster.vars["cluster_head"] = "node3"
    run = cluster.play(cluster.write(AFTER), "--limit", "node2")
    assert "node3 is not locked (" in run.said
    assert run.code == 0, run.output
    assert not (tmp_path / "artifacts" / "lock.json").exists()
