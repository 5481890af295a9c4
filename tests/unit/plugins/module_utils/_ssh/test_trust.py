from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import trust
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account

WHOLE = trust.Trust(
    system=True,
    known_hosts="n1 ssh-ed25519 H1\n",
    authorized_keys="ssh-ed25519 U1 n1\n",
    ssh_config="Host n1\n    Port 2222\n",
    hosts="10.0.0.1 n1\n",
    address="10.0.0.1",
    sshd_nodes=2,
    sshd_networks=["10.0.0.0/24"],
)


class Machine:
    """The files that the module touches, in a folder, and a runner that plays ssh and sshd."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.refused = ""
        self.account = Account("trainer", os.geteuid(), os.getegid(), root / "home")
        for folder in ("home", "ssh_config.d", "sshd_config.d"):
            (root / folder).mkdir()
        paths = {"HOSTS": "hosts", "KNOWN_HOSTS": "ssh_known_hosts", "SSH_CONFIG": "ssh_config"}
        paths |= {"SYSTEM_MEMORY": "fromzero-cluster.json"}
        paths |= {"SSH_FOLDER": "ssh_config.d", "SSHD_CONFIG": "sshd_config", "SSHD_FOLDER": "sshd_config.d"}
        for name, path in paths.items():
            monkeypatch.setattr(trust, name, root / path)
        self.write("ssh_config", f"Include {root}/ssh_config.d/*.conf\n")
        self.write("sshd_config", f"Include {root}/sshd_config.d/*.conf\n")
        self.write("hosts", "127.0.0.1 localhost\n127.0.1.1 gpu1\n")
        self.write("sshd", "")
        (root / "sshd").chmod(0o755)
        monkeypatch.setattr(trust, "_SSHD", (str(root / "sshd"),))
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "gpu1", "6", "1", "x86_64")))

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if list(argv) == ["ssh", "-V"]:
            return 0, "", "OpenSSH_9.9p1"
        return (1, "", self.refused) if self.refused else (0, "", "")

    def plan(self, wish: trust.Trust = WHOLE, check: bool = False) -> trust.Plan:
        return trust.plan(self.account, wish, self.run, check)

    def land(self, wish: trust.Trust = WHOLE) -> trust.Plan:
        work = self.plan(wish)
        trust.carry_out(self.account, work)
        return work

    def changed(self, wish: trust.Trust = WHOLE) -> list[str]:
        return [str(step.before.path.relative_to(self.root)) for step in self.plan(wish).landings if step.changed]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_first_run_lands_every_file_and_a_second_none(machine: Machine) -> None:
    machine.land()
    assert "ssh-ed25519 U1 n1" in machine.read("home/.ssh/authorized_keys")
    assert "n1 ssh-ed25519 H1" in machine.read("ssh_known_hosts")
    assert "Port 2222" in machine.read("ssh_config.d/10-fromzero-ssh-mesh.conf")
    assert "MaxStartups" in machine.read("sshd_config.d/10-fromzero-ssh-mesh.conf")
    assert "PerSourcePenaltyExemptList 10.0.0.0/24" in machine.read("sshd_config.d/10-fromzero-ssh-mesh.conf")
    assert machine.read("hosts").endswith("127.0.0.1 localhost\n")
    assert "10.0.0.1 gpu1\n" in machine.read("hosts")
    modes = [stat.S_IMODE((machine.root / name).stat().st_mode) for name in ("home/.ssh", "home/.ssh/authorized_keys")]
    assert modes == [0o700, 0o600]
    assert machine.changed() == []


def test_what_a_killed_run_left_beside_the_files_goes(machine: Machine) -> None:
    machine.land()
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in ("home/.ssh/.authorized_keys", ".ssh_known_hosts"):
        machine.write(f"{name}.gpu1.{ended.pid}", "half a file")
        machine.write(f"{name}.gpu1.{os.getpid()}", "half a file")
    assert [len(machine.plan(check=True).left), len(machine.land().left), len(machine.plan().left)] == [2, 2, 0]
    assert len([path for path in machine.root.rglob("*.gpu1.*") if path.is_file()]) == 2, "those of a living process"


def test_check_mode_only_looks(machine: Machine) -> None:
    before = sorted(str(path) for path in machine.root.rglob("*"))
    work = machine.plan(check=True)
    assert work.folder_changed
    assert len([step for step in work.landings if step.changed]) == 5
    assert sorted(str(path) for path in machine.root.rglob("*")) == before


def test_without_root_only_files_of_the_user_are_written(machine: Machine) -> None:
    machine.write("home/.ssh/config", "Compression yes\n")
    machine.land(replace(WHOLE, system=False))
    config = machine.read("home/.ssh/config")
    assert config.index("Host n1") < config.index("Host *") < config.index("Compression yes")
    assert "n1 ssh-ed25519 H1" in machine.read("home/.ssh/known_hosts")
    assert machine.read("ssh_known_hosts") == ""
    assert "127.0.1.1 gpu1" in machine.read("hosts")
    assert list((machine.root / "sshd_config.d").iterdir()) == []


def test_a_node_remembers_its_cluster_where_the_other_files_lie(machine: Machine) -> None:
    machine.land(replace(WHOLE, system=False, memory="{}\n"))
    assert machine.read("home/.ssh/fromzero-cluster.json") == "{}\n"
    assert machine.read("fromzero-cluster.json") == ""
    machine.land(replace(WHOLE, memory='{"cluster": "A"}\n'))
    assert machine.read("fromzero-cluster.json") == '{"cluster": "A"}\n'
    assert not (machine.root / "home/.ssh/fromzero-cluster.json").exists()
    assert machine.changed(replace(WHOLE, memory='{"cluster": "A"}\n')) == []
    assert machine.changed() == []
    assert not list(machine.root.glob("fromzero-cluster.json.*~"))


def test_root_takes_back_what_a_run_without_root_wrote(machine: Machine) -> None:
    machine.write("home/.ssh/config", "Compression yes\n")
    machine.land(replace(WHOLE, system=False))
    machine.land()
    assert machine.read("home/.ssh/config") == "Compression yes\n"
    assert not (machine.root / "home/.ssh/known_hosts").exists()


def test_ports_go_to_the_users_file_where_ssh_reads_no_drop_ins(machine: Machine) -> None:
    machine.write("ssh_config", "Host *\n")
    machine.land()
    assert "Port 2222" in machine.read("home/.ssh/config")
    assert list((machine.root / "ssh_config.d").iterdir()) == []


def test_ports_that_are_all_22_leave_no_file(machine: Machine) -> None:
    machine.land()
    machine.land(replace(WHOLE, ssh_config=""))
    assert list((machine.root / "ssh_config.d").iterdir()) == []


def test_an_sshd_that_reads_no_drop_ins_is_named_and_left_alone(machine: Machine) -> None:
    machine.write("sshd_config", "Port 22\n")
    work = machine.land()
    assert any("does not include" in warning and "Include " in warning for warning in work.warnings)
    assert list((machine.root / "sshd_config.d").iterdir()) == []


def test_limits_that_sshd_refuses_do_not_land(machine: Machine) -> None:
    machine.refused = "Bad configuration option"
    work = machine.land()
    assert work.sshd is None
    assert any("sshd -t refuses" in warning and "Bad configuration option" in warning for warning in work.warnings)
    assert list((machine.root / "sshd_config.d").iterdir()) == []


def test_a_drop_in_of_somebody_else_is_kept_as_a_copy(machine: Machine) -> None:
    machine.write("sshd_config.d/10-fromzero-ssh-mesh.conf", "Port 2\n")
    machine.land()
    assert [path.read_text(encoding="utf-8") for path in (machine.root / "sshd_config.d").glob("*~")] == ["Port 2\n"]


def test_sshd_and_the_hosts_file_are_left_alone_on_wish(machine: Machine) -> None:
    machine.land(replace(WHOLE, hosts=None, sshd_nodes=0))
    assert machine.read("hosts") == "127.0.0.1 localhost\n127.0.1.1 gpu1\n"
    assert list((machine.root / "sshd_config.d").iterdir()) == []


def test_the_loopback_line_stays_on_wish(machine: Machine) -> None:
    machine.land(replace(WHOLE, hostname_on_loopback=True))
    assert "127.0.1.1 gpu1" in machine.read("hosts")


def test_the_loopback_line_stays_where_no_other_address_is_known(machine: Machine) -> None:
    machine.land(replace(WHOLE, address="", hosts="10.0.0.2 n2\n"))
    assert "127.0.1.1 gpu1" in machine.read("hosts")


def test_a_line_that_contradicts_the_mesh_is_named(machine: Machine) -> None:
    machine.write("hosts", "192.0.2.9 n1\n")
    assert any("192.0.2.9 n1" in warning for warning in machine.land().warnings)


def test_a_hosts_file_that_cloud_init_writes_is_named(machine: Machine) -> None:
    machine.write("hosts", "# Your system has configured 'manage_etc_hosts' as True.\n")
    assert any("cloud-init" in warning for warning in machine.land().warnings)


def test_nodes_that_left_lose_their_lines_and_the_users_stay(machine: Machine) -> None:
    machine.write("home/.ssh/authorized_keys", "ssh-ed25519 MINE me\n")
    machine.land(replace(WHOLE, authorized_keys="ssh-ed25519 U1 n1\nssh-ed25519 U2 n2\n"))
    machine.land()
    text = machine.read("home/.ssh/authorized_keys")
    assert text.startswith("ssh-ed25519 MINE me\n")
    assert "U1" in text
    assert "U2" not in text
    copies = list((machine.root / "home/.ssh").glob("authorized_keys.*~"))
    assert [copy.read_text(encoding="utf-8") for copy in copies] == ["ssh-ed25519 MINE me\n"]


def test_files_that_only_we_wrote_leave_no_copies(machine: Machine) -> None:
    machine.land()
    machine.land(replace(WHOLE, authorized_keys="ssh-ed25519 U2 n2\n", known_hosts="n2 H2\n"))
    assert [path.name for path in machine.root.rglob("*~") if not path.name.startswith("hosts.")] == []


def test_the_hosts_file_is_copied_before_the_first_change_and_after_an_edit_of_the_block(machine: Machine) -> None:
    def copies() -> list[str]:
        return sorted(path.read_text(encoding="utf-8") for path in machine.root.glob("hosts.*~"))

    first = machine.read("hosts")
    for node in "2", "3", "4":
        machine.land(replace(WHOLE, hosts=f"10.0.0.{node} n{node}\n"))
        machine.write("hosts", f"{machine.read('hosts')}10.9.9.{node} mine{node}\n")
    assert copies() == [first]
    edited = machine.read("hosts").replace("10.0.0.4 n4", "10.0.0.4 n4 storage")
    machine.write("hosts", edited)
    machine.land()
    assert copies() == sorted([first, edited])
    assert "mine2" in machine.read("hosts")


# state, seconds since sshd's last change, seconds since its limits were written, whether it still has to read them
SERVICES = [
    ("active", 100, 50, True),
    ("active", 50, 100, False),
    ("inactive", 100, 50, False),
    ("active", 100, -3600, False),
]


@pytest.mark.parametrize(("state", "changed", "written", "stale"), SERVICES)
def test_limits_written_after_the_last_reload_are_not_in_effect(
    tmp_path: Path, *, state: str, changed: int, written: int, stale: bool
) -> None:
    limits = tmp_path / "limits.conf"
    limits.touch()
    os.utime(limits, (time.time() - written,) * 2)
    answer = f"ActiveState={state}\nStateChangeTimestampMonotonic={int((time.monotonic() - changed) * 1e6)}\n"
    assert trust.reads_old_limits(lambda _argv: (0, answer, ""), "ssh", limits) is stale


def test_limits_of_an_unknown_service_are_taken_as_they_are(tmp_path: Path) -> None:
    assert trust.reads_old_limits(lambda _argv: (1, "", "no such unit"), "ssh", tmp_path / "none") is False
