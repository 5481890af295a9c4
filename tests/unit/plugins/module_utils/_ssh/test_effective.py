"""What ssh really does with a configuration: the real ssh is asked, on files in a folder."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import effective
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.text import with_block

PEERS = {"node1": 22, "10.0.0.1": 22, "node2": 2222, "localhost": 22}
OURS = "Host node2\n    Port 2222\n"


class Node:
    """A home and a configuration of the system, both in a folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.account = Account(getpass.getuser(), os.geteuid(), os.getegid(), root / "home")
        self.account.ssh.mkdir(parents=True)
        self.system = root / "ssh_config"
        monkeypatch.setattr(effective, "SSH_CONFIG", self.system)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROOT", str(self.root)), encoding="utf-8")
        path.chmod(0o600)

    def overrule(self, user: str = "", system: str = "", everyone: bool = True, **led: str) -> effective.Overrule:
        self.write(self.account.ssh / "config", user)
        self.write(self.system, system)
        wanted = effective.Wanted(
            account=self.account,
            key=self.account.ssh / "id_ed25519",
            known_hosts=self.root / "known_hosts" if everyone else self.account.ssh / "known_hosts",
            everyone=everyone,
            peers=PEERS,
            led=led,
        )
        ours = OURS + "".join(f"Host {name}\n    HostName {address}\n" for name, address in led.items())
        configuration = effective.Configuration(user=user.replace("ROOT", str(self.root)), ours=ours)
        found = effective.overrule(configuration, wanted, effective.asking_as(self.account))
        assert found.problems == [] or not found.lines, found.problems
        return found


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


GLOBAL = "GlobalKnownHostsFile ROOT/known_hosts\n"
KEY = "IdentityFile ROOT/home/.ssh/id_ed25519\n"
# what the user, and the system, have; the lines for the nodes, what they overrule
CASES = {
    "a key of the user's own for all hosts": (
        "Host *\n  IdentityFile ~/.ssh/cluster\n  IdentitiesOnly yes\n",
        GLOBAL,
        "Host node1 10.0.0.1 node2 localhost\n    IdentityFile ROOT/home/.ssh/id_ed25519\n",
        ["IdentityFile (ROOT/home/.ssh/config:2)"],
    ),
    "FreeIPA's known hosts": (
        "",
        f"GlobalKnownHostsFile /var/lib/sss/pubconf/known_hosts\n{KEY}",
        "Host node1 10.0.0.1 node2 localhost\n"
        "    GlobalKnownHostsFile ROOT/known_hosts /var/lib/sss/pubconf/known_hosts\n",
        ["GlobalKnownHostsFile (ROOT/ssh_config:1)"],
    ),
    "another user, in a file that is included": (
        f"Include ROOT/more/*.conf\n{KEY}",
        GLOBAL,
        "Host node1 10.0.0.1 node2 localhost\n    User ME\n",
        ["User (ROOT/more/a.conf:1)"],
    ),
    "for some of the nodes": (
        f"Host node1 10.*\n  Port 23\n  HostName gate\nHost *\n{KEY}",
        GLOBAL,
        "Host node1 10.0.0.1\n    HostName %h\n    Port 22\n",
        ["HostName (ROOT/home/.ssh/config:3)", "Port (ROOT/home/.ssh/config:2)"],
    ),
    "no keys at all": (
        f"Host localhost\n  PubkeyAuthentication no\nHost *\n{KEY}",
        GLOBAL,
        "Host localhost\n    PubkeyAuthentication yes\n",
        ["PubkeyAuthentication (ROOT/home/.ssh/config:2)"],
    ),
}


@pytest.mark.parametrize(("user", "system", "lines", "causes"), CASES.values(), ids=CASES.keys())
def test_what_undoes_the_mesh_is_named_and_overruled(
    node: Node, user: str, system: str, lines: str, causes: list[str]
) -> None:
    node.write(node.root / "more" / "a.conf", "User ada\n")
    found = node.overrule(user, system)
    assert found.lines == lines.replace("ROOT", str(node.root)).replace("ME", node.account.name)
    assert found.causes == [cause.replace("ROOT", str(node.root)) for cause in causes]


FINE = {
    "nothing of either": ("", ""),
    "the defaults of a distribution": ("", "Host *\n    SendEnv LANG LC_*\n    HashKnownHosts yes\n"),
    "settings for other hosts": (f"Host gate\n  User ada\n  Port 23\nHost *\n{KEY}", GLOBAL),
    "the same as ours": (f"Host *\n  User {getpass.getuser()}\n{KEY}", GLOBAL),
    "a further key": ("IdentityFile ~/.ssh/cluster\nIdentityFile ~/.ssh/id_ed25519\n", GLOBAL),
    "by a token": ("IdentityFile %d/.ssh/id_ed25519\n", GLOBAL),
}


@pytest.mark.parametrize(("user", "system"), FINE.values(), ids=FINE.keys())
def test_what_undoes_nothing_is_left_alone(node: Node, user: str, system: str) -> None:
    assert node.overrule(user, system).lines == ""


def test_without_root_the_accounts_own_file_counts_and_names_lead_to_addresses(node: Node) -> None:
    user = f"Host node1\n  HostName elsewhere\nHost *\n  UserKnownHostsFile ~/.ssh/others\n{KEY}"
    found = node.overrule(user, everyone=False, node1="10.0.0.1")
    files = f"UserKnownHostsFile {node.account.ssh}/known_hosts {Path.home()}/.ssh/others"
    assert found.lines == (
        f"Host node1\n    HostName 10.0.0.1\n    {files}\nHost 10.0.0.1 node2 localhost\n    {files}\n"
    )


def test_a_configuration_that_ssh_refuses_is_named(node: Node) -> None:
    found = node.overrule("IdentityFile ~/.ssh/cluster\nNoSuchOption yes\n", GLOBAL)
    assert found.lines == ""
    [problem] = found.problems
    assert "ssh refuses its configuration" in problem
    assert "nosuchoption" in problem.lower()


def test_the_cause_is_never_one_of_our_own_lines(node: Node) -> None:
    user = "Host *\n  IdentityFile ~/.ssh/cluster\n"
    found = node.overrule(user, GLOBAL)
    whole = with_block(user, f"{found.lines}Host *\n", "config", first=True)
    node.write(node.account.ssh / "config", whole)
    line = whole.splitlines().index("  IdentityFile ~/.ssh/cluster") + 1
    where = effective.origin("identityfile", "node1", [node.account.ssh / "config", node.system])
    assert where == f"{node.account.ssh}/config:{line}"


def test_names_and_ports_are_read_from_known_hosts_and_addresses_from_host_blocks() -> None:
    text = "node1,10.0.0.1,::1 ssh-ed25519 A\n[node2]:2222,[fd00::2]:2222 ssh-ed25519 B\n"
    assert effective.peers_of(text) == {"node1": 22, "10.0.0.1": 22, "::1": 22, "node2": 2222, "fd00::2": 2222}
    assert effective.led_by("Host a b\n    HostName 10.0.0.1\nHost c\n    Port 23\n") == {
        "a": "10.0.0.1",
        "b": "10.0.0.1",
    }
