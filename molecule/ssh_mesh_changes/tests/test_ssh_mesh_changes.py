"""What role ssh_mesh promises when a cluster changes: each test runs the playbook again in its own way.

The tests share the nodes. Each leaves a mesh in which every node reaches every other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
PLAYBOOK = ["ansible-playbook", str(SCENARIO / "converge.yml")]
# Molecule asks for colours, which are no part of the text.
PLAIN = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true", "COLUMNS": "1000"}
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"
LEAVER = "node3"


@dataclass(frozen=True)
class Mesh:
    """The cluster, and ways to run the playbook against it."""

    folder: Path
    inventory: Mapping[str, Any]

    @property
    def nodes(self) -> list[str]:
        return list(self.inventory["nodes"]["hosts"])

    def host(self, node: str) -> Any:
        return testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")

    def address(self, node: str) -> str:
        return str(self.inventory["nodes"]["hosts"][node]["ansible_host"])

    def command(self, *arguments: str, **hosts: Mapping[str, Any] | None) -> list[str]:
        """The playbook's command line; a host given as None is not in the inventory, one as a dict has it besides."""
        changed = json.loads(json.dumps(self.inventory))
        for node, variables in hosts.items():
            if variables is None:
                del changed["nodes"]["hosts"][node]
            else:
                changed["nodes"]["hosts"][node].update(variables)
        path = self.write(self.folder / "hosts.yml", changed)
        artifacts = f"cluster_artifacts={self.folder / 'artifacts'}"
        return [*PLAYBOOK, "-i", str(path), "-e", artifacts, *arguments]

    def write(self, path: Path, inventory: Mapping[str, Any]) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
        return path

    def play(self, *arguments: str, **hosts: Mapping[str, Any] | None) -> subprocess.CompletedProcess[str]:
        return run(self.command(*arguments, **hosts))

    def unreached(self) -> list[str]:
        """Every way between two nodes that is closed."""
        targets = " ".join(self.nodes)
        script = f'for target in {targets}; do {SSH} $target true || echo "$target"; done'
        return [
            f"{source} to {target}"
            for source in self.nodes
            for target in self.host(source).check_output(script).split()
        ]

    def keys(self) -> dict[str, str]:
        """The public half of each node's key."""
        return {
            node: self.host(node).check_output("ssh-keygen -y -f ~/.ssh/id_ed25519").split()[1] for node in self.nodes
        }

    def text(self, node: str, path: str) -> str:
        return str(self.host(node).file(path).content_string)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=PROJECT, env=PLAIN, text=True, capture_output=True, check=False)


AUTHORIZED = "/home/trainer/.ssh/authorized_keys"
MEMORY = "/etc/ssh/fromzero-cluster.json"
WHAT_OTHERS_KNOW = (AUTHORIZED, "/etc/hosts", "/etc/ssh/ssh_known_hosts", MEMORY)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    made = Mesh(tmp_path_factory.mktemp("mesh"), yaml.safe_load(INVENTORY.read_text(encoding="utf-8")))
    done = made.play()
    assert done.returncode == 0, done.stdout
    assert made.unreached() == []
    return made


@pytest.fixture(autouse=True)
def _whole_afterwards(mesh: Mesh) -> Iterator[None]:
    yield
    assert mesh.unreached() == []


def changes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tasks changed something, by host."""
    recap = done.stdout.split("PLAY RECAP")[1].splitlines()[1:]
    return {line.split()[0]: int(line.split("changed=")[1].split()[0]) for line in recap if "changed=" in line}


def cluster_of(artifacts: Path) -> str:
    """The id of the cluster that a folder of artifacts is about."""
    return str(json.loads((artifacts / "cluster.json").read_text(encoding="utf-8"))["cluster"])


def forget(mesh: Mesh, node: str) -> None:
    """Let a node remember nothing."""
    with mesh.host(node).sudo():
        mesh.host(node).check_output(f"rm {MEMORY}")


@contextmanager
def paused(node: str) -> Iterator[None]:
    """A node that does not answer."""
    name = f"fromzero-{SCENARIO.name}-{node}"
    subprocess.run(["docker", "pause", name], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", name], check=True, capture_output=True)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All that a run told the user, whatever the stream and the width of the lines."""
    return " ".join((done.stdout + done.stderr).split())


def test_a_run_with_limit_keeps_what_is_known_of_the_others(mesh: Mesh) -> None:
    done = mesh.play("--limit", "node1")
    assert done.returncode == 0, done.stdout
    assert changes(done) == {"node1": 0}


def test_a_run_with_limit_asks_nodes_that_nobody_remembers(mesh: Mesh) -> None:
    before = mesh.text("node1", MEMORY)
    forget(mesh, "node1")
    done = mesh.play("--limit", "node1", "-e", f"ssh_mesh_roster={mesh.folder / 'empty' / 'roster.json'}")
    assert done.returncode == 0, done.stdout
    assert changes(done) == {"node1": 2}, "the roster and the memory of the node are new"
    assert mesh.text("node1", MEMORY) == before


def test_another_control_node_learns_of_a_node_that_is_down_from_the_others(mesh: Mesh) -> None:
    before = {node: {path: mesh.text(node, path) for path in WHAT_OTHERS_KNOW} for node in ("node1", "node2")}
    elsewhere = ("-e", f"cluster_artifacts={mesh.folder / 'elsewhere'}")
    with paused("node3"):
        # A connection that is kept open would wait for the node for ever.
        done = mesh.play("-T", "3", *elsewhere, node3={"ansible_control_path": "none"})
    assert done.returncode == 4, done.stdout
    assert changes(done) == {"node1": 1, "node2": 0, "node3": 0}, "the roster alone is new"
    for node, texts in before.items():
        assert {path: mesh.text(node, path) for path in WHAT_OTHERS_KNOW} == texts
    assert set(changes(mesh.play(*elsewhere)).values()) == {0}
    assert cluster_of(mesh.folder / "elsewhere") == cluster_of(mesh.folder / "artifacts")


def test_a_node_that_left_the_inventory_of_another_control_node_is_a_question(mesh: Mesh) -> None:
    before = {path: mesh.text("node1", path) for path in WHAT_OTHERS_KNOW}
    done = mesh.play("-e", f"cluster_artifacts={mesh.folder / 'third'}", node3=None)
    assert done.returncode == 2, done.stdout
    assert "that has more nodes than this inventory: node3." in said(done)
    assert "-e cluster_adopt=node1,node2" in said(done)
    assert {path: mesh.text("node1", path) for path in WHAT_OTHERS_KNOW} == before
    assert not (mesh.folder / "third" / "cluster.json").exists()


def test_two_inventories_in_one_folder_are_two_clusters(mesh: Mesh) -> None:
    folder, variables = mesh.folder / "two", mesh.inventory["nodes"]["vars"]
    hosts = {node: {"ansible_host": mesh.address(node)} for node in ("node1", "node2")}
    first = mesh.write(folder / "hosts.yml", {"nodes": {"hosts": hosts, "vars": variables}})
    alone = {"hosts": {"node1": {"ansible_host": mesh.address("node3")}}, "vars": variables}
    second = mesh.write(folder / "test.yml", {"nodes": alone})

    def play(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([*PLAYBOOK, "-i", str(inventory), *arguments])

    def texts() -> dict[tuple[str, str], str]:
        return {(node, path): mesh.text(node, path) for node in mesh.nodes for path in WHAT_OTHERS_KNOW}

    assert play(first, "-e", "cluster_adopt=node1,node2").returncode == 0
    assert play(second, "-e", "cluster_adopt=node1").returncode == 0
    ids = {cluster_of(folder / "artifacts"), cluster_of(folder / "artifacts" / "inventories" / "test.yml")}
    assert len(ids) == 2
    before = texts()
    for path in WHAT_OTHERS_KNOW:
        assert mesh.address("node3") not in before["node1", path]
        assert mesh.address("node1") not in before["node3", path]
    for inventory, arguments in ((first, ["--limit", "node1"]), (second, []), (first, []), (second, ["-l", "node1"])):
        done = play(inventory, *arguments)
        assert done.returncode == 0, done.stdout
        assert set(changes(done).values()) == {0}
    alone["hosts"]["node2"] = {"ansible_host": mesh.address("node2")}
    wrong = play(mesh.write(second, {"nodes": alone}))
    assert wrong.returncode == 2, wrong.stdout
    assert "node2 belongs to another cluster" in said(wrong)
    assert "-e cluster_adopt=node2" in said(wrong)
    earlier = run(["ansible-playbook", "playbooks/plan.yml", "-i", str(second), "-e", "cluster_accelerator=cpu"])
    assert earlier.returncode == 2, earlier.stdout
    assert "nothing was changed" in said(earlier)
    assert "node2 belongs to another cluster" in said(earlier)
    assert texts() == before
    done = mesh.play("-e", "cluster_adopt=node1,node2,node3")
    assert done.returncode == 0, done.stdout
    assert mesh.play().returncode == 0


def test_nodes_outside_the_limit_are_not_touched(mesh: Mesh) -> None:
    before = {path: mesh.text("node2", path) for path in WHAT_OTHERS_KNOW}
    done = mesh.play("--limit", "node1", node3=None)
    assert done.returncode == 0, done.stdout
    assert changes(done)["node1"] > 0
    assert {path: mesh.text("node2", path) for path in WHAT_OTHERS_KNOW} == before
    assert mesh.play().returncode == 0


def test_a_node_that_does_not_answer_keeps_its_place(mesh: Mesh) -> None:
    before = {path: mesh.text("node1", path) for path in WHAT_OTHERS_KNOW}
    done = mesh.play(node3={"ansible_port": 1})
    assert done.returncode == 4, done.stdout
    assert {path: mesh.text("node1", path) for path in WHAT_OTHERS_KNOW} == before


@contextmanager
def sudo_with_password(mesh: Mesh, node: str) -> Iterator[None]:
    """A node whose sudo asks for a password, which nobody has."""
    rule = "/etc/sudoers.d/trainer"
    container = ["docker", "exec", f"fromzero-{SCENARIO.name}-{node}", "sed", "-i"]
    subprocess.run([*container, "s/NOPASSWD:/PASSWD:/", rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*container, "s/PASSWD:/NOPASSWD:/", rule], check=True)


def test_a_node_without_a_sudo_password_takes_no_other_node_with_it(mesh: Mesh) -> None:
    """It is new to all, in the run or outside of its limit, and the others ask it or its like."""
    for node in mesh.nodes:
        forget(mesh, node)
    for options, code in ([], 2), (["--limit", "!node3"], 0):
        artifacts = mesh.folder / f"unknown-{code}"
        with sudo_with_password(mesh, LEAVER):
            done = mesh.play(*options, "-e", f"cluster_artifacts={artifacts}")
        assert done.returncode == code, done.stdout
        recap = done.stdout.split("PLAY RECAP")[1]
        assert {node: "failed=0" in line for line in recap.splitlines()[1:] for node in line.split()[:1]} == {
            "node1": True,
            "node2": True,
            **({} if options else {LEAVER: False}),
        }
    assert mesh.play("-e", f"cluster_artifacts={artifacts}").returncode == 0
    assert mesh.play("-e", "cluster_adopt=node1,node2,node3").returncode == 0


def test_a_node_that_nobody_has_seen_is_named(mesh: Mesh) -> None:
    forget(mesh, "node1")
    gone = {"ansible_host": mesh.address(LEAVER), "ansible_port": 1}
    done = mesh.play("--limit", "node1", "-e", f"ssh_mesh_roster={mesh.folder / 'none.json'}", node3=gone)
    assert "Nothing is known yet of node3" in said(done)
    assert done.returncode == 0, done.stdout
    assert mesh.play().returncode == 0


def test_a_node_that_left_loses_its_access_and_lines_of_the_user_stay(mesh: Mesh) -> None:
    mesh.host("node1").check_output(f"echo 'ssh-ed25519 AAAAmine me@laptop' >> {AUTHORIZED}")
    copies = mesh.host("node1").check_output(f"ls /etc/hosts*~ {AUTHORIZED}*~")
    done = mesh.play(node3=None)
    assert done.returncode == 0, done.stdout
    for path in WHAT_OTHERS_KNOW:
        assert LEAVER not in mesh.text("node1", path)
    assert mesh.host(LEAVER).run(f"{SSH} node1 true || exit 1").rc == 1
    assert "ssh-ed25519 AAAAmine me@laptop\n" in mesh.text("node1", AUTHORIZED)
    assert mesh.play().returncode == 0
    assert "ssh-ed25519 AAAAmine me@laptop\n" in mesh.text("node1", AUTHORIZED)
    assert mesh.host("node1").check_output(f"ls /etc/hosts*~ {AUTHORIZED}*~") == copies
    assert len(copies.split()) == 2, "one copy of each, from before the first change"


def test_rotation_gives_every_node_a_new_key_and_refuses_the_old_one(mesh: Mesh) -> None:
    before = mesh.keys()
    old = mesh.host("node1")
    old.check_output("cp ~/.ssh/id_ed25519 /tmp/old_key")
    done = mesh.play("-e", "ssh_mesh_rotate=true")
    assert done.returncode == 0, done.stdout
    after = mesh.keys()
    assert not set(before.values()) & set(after.values())
    for key in before.values():
        assert key not in mesh.text("node2", AUTHORIZED)
    assert old.run(f"{SSH} -F /dev/null -o IdentitiesOnly=yes -i /tmp/old_key node2 true || exit 1").rc == 1
    assert changes(mesh.play()) == dict.fromkeys(mesh.nodes, 0)


def test_rotation_of_a_part_of_the_nodes_waits_for_the_rest(mesh: Mesh) -> None:
    before = mesh.keys()
    done = mesh.play("--limit", "node1", "-e", "ssh_mesh_rotate=true")
    assert done.returncode == 0, done.stdout
    assert "The new keys of node1 wait until node2 and node3 can accept them" in said(done)
    assert mesh.keys() == before
    assert mesh.unreached() == []
    assert mesh.play().returncode == 0
    assert mesh.keys()["node1"] != before["node1"]


def test_a_rotation_waits_for_a_node_that_is_lost(mesh: Mesh) -> None:
    before = mesh.keys()
    with paused("node3"):
        done = mesh.play("-T", "3", "-e", "ssh_mesh_rotate=true", node3={"ansible_control_path": "none"})
    assert done.returncode == 4, done.stdout
    assert mesh.keys() == before
    assert mesh.unreached() == []
    assert mesh.play().returncode == 0
    assert mesh.keys()["node1"] != before["node1"]


def broken_off_at(task: str) -> Callable[[Mesh], None]:
    def run(mesh: Mesh) -> None:
        with subprocess.Popen(
            mesh.command("-e", "ssh_mesh_rotate=true"),
            cwd=PROJECT,
            env=PLAIN,
            text=True,
            stdout=subprocess.PIPE,
            process_group=0,
        ) as running:
            assert running.stdout is not None
            seen = any(f": {task}]" in line for line in running.stdout)
            os.killpg(running.pid, signal.SIGKILL)
        assert seen, f"the run ended before '{task}'"

    return run


@pytest.mark.parametrize("task", ["Trust | Land the files", "Switch to the new keys"])
def test_a_rotation_that_breaks_off_locks_nobody_out_and_is_finished_by_the_next_run(mesh: Mesh, task: str) -> None:
    before = mesh.keys()
    broken_off_at(task)(mesh)
    assert mesh.unreached() == []
    done = mesh.play()
    assert done.returncode == 0, done.stdout
    assert not set(before.values()) & set(mesh.keys().values())
    for node in mesh.nodes:
        assert not mesh.host(node).file("/home/trainer/.ssh/id_ed25519.next").exists


def test_one_shared_key_replaces_the_keys_of_all_nodes(mesh: Mesh) -> None:
    done = mesh.play("-e", "ssh_mesh_shared_key=true", "-vvv")
    assert done.returncode == 0, done.stdout
    assert len(set(mesh.keys().values())) == 1
    assert "PRIVATE KEY" not in said(done)
    again = mesh.play("-e", "ssh_mesh_shared_key=true")
    assert changes(again) == dict.fromkeys(mesh.nodes, 0)


def test_the_shared_key_is_rotated_as_one(mesh: Mesh) -> None:
    before = mesh.keys()
    done = mesh.play("-e", "ssh_mesh_shared_key=true", "-e", "ssh_mesh_rotate=true")
    assert done.returncode == 0, done.stdout
    after = set(mesh.keys().values())
    assert len(after) == 1
    assert after.isdisjoint(before.values())


def test_a_node_that_left_with_the_shared_key_loses_its_access(mesh: Mesh) -> None:
    before = mesh.keys()
    done = mesh.play("-e", "ssh_mesh_shared_key=true", node3=None)
    assert done.returncode == 0, done.stdout
    assert "node3 left the cluster with the key of node1, which a new one replaces." in said(done)
    assert mesh.host(LEAVER).run(f"{SSH} node1 true || exit 1").rc == 1
    after = mesh.keys()
    assert after["node1"] == after["node2"] != before["node1"]
    assert mesh.play("-e", "ssh_mesh_shared_key=true").returncode == 0
    assert set(mesh.keys().values()) == {after["node1"]}


def test_nodes_part_again_from_a_shared_key(mesh: Mesh) -> None:
    before = mesh.keys()
    done = mesh.play()
    assert done.returncode == 0, done.stdout
    after = set(mesh.keys().values())
    assert len(after) == len(mesh.nodes)
    assert after.isdisjoint(before.values())
    assert changes(mesh.play()) == dict.fromkeys(mesh.nodes, 0)


def test_a_key_with_a_passphrase_is_named_with_what_to_do(mesh: Mesh) -> None:
    host = mesh.host("node2")
    host.check_output("ssh-keygen -q -p -P '' -N secret -f ~/.ssh/id_ed25519")
    done = mesh.play()
    host.check_output("ssh-keygen -q -p -P secret -N '' -f ~/.ssh/id_ed25519")
    assert done.returncode == 2
    assert "The key /home/trainer/.ssh/id_ed25519 has a passphrase" in said(done)
    assert "ssh-keygen -p -f" in said(done)


def test_limits_that_a_run_was_cut_off_before_are_put_in_effect_by_the_next_one(mesh: Mesh) -> None:
    with mesh.host(LEAVER).sudo():
        mesh.host(LEAVER).check_output("touch /etc/ssh/sshd_config.d/10-fromzero-ssh-mesh.conf")
    done = mesh.play()
    assert done.returncode == 0, done.stdout
    # The files, and the reload.
    assert changes(done) == {"node1": 0, "node2": 0, LEAVER: 2}
    assert changes(mesh.play()) == {"node1": 0, "node2": 0, LEAVER: 0}


def test_sshd_with_a_broken_configuration_is_left_alone(mesh: Mesh) -> None:
    host = mesh.host("node1")
    drop_in = "/etc/ssh/sshd_config.d/10-fromzero-ssh-mesh.conf"
    with host.sudo():
        host.check_output(f"rm {drop_in}")
        host.check_output("echo 'NoSuchOption yes' > /etc/ssh/sshd_config.d/99-broken.conf")
    done = mesh.play()
    with host.sudo():
        host.check_output("rm /etc/ssh/sshd_config.d/99-broken.conf")
    assert done.returncode == 0, done.stdout
    assert not host.file(drop_in).exists
    assert "sshd -t refuses its configuration" in said(done)
    assert mesh.play().returncode == 0
    assert host.file(drop_in).exists
