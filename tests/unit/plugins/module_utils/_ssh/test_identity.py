from __future__ import annotations

import base64
import os
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import identity
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import (
    Account,
    account_named,
    acting_as,
    home_problems,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError, comment_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.listener import Door

Wish = identity.Wish


def run(argv: Sequence[str]) -> tuple[int, str, str]:
    done = subprocess.run(list(argv), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def ensure(account: Account, wish: Wish = Wish(), check: bool = False) -> identity.KeyPair:  # noqa: B008
    return identity.ensure_key_pair(account, wish, run, check)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    return Account(name="trainer", uid=os.geteuid(), gid=os.getegid(), home=home)


@pytest.fixture
def by_hand(account: Account) -> Path:
    account.ssh.mkdir(mode=0o700)
    path = account.ssh / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", str(path)])
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(account: Account) -> set[str]:
    return {path.name for path in account.ssh.iterdir()} if account.ssh.exists() else set()


def test_a_first_run_makes_a_key_and_a_second_changes_nothing(account: Account) -> None:
    first = ensure(account)
    assert first.changes
    assert len(first.public_keys) == 1
    assert (mode(account.ssh), mode(first.path)) == (0o700, 0o600)
    assert files(account) == {"id_ed25519", "id_ed25519.pub"}
    second = ensure(account)
    assert second.changes == []
    assert second.public_keys == first.public_keys


def test_check_mode_says_what_would_come_and_makes_nothing(account: Account) -> None:
    pair = ensure(account, check=True)
    assert any("id_ed25519 is a new key" in change for change in pair.changes)
    assert pair.public_keys == []
    assert files(account) == set()


def test_a_key_made_by_hand_is_adopted_as_it_is(account: Account, by_hand: Path) -> None:
    before = by_hand.read_text(encoding="utf-8")
    assert ensure(account).changes == []
    assert by_hand.read_text(encoding="utf-8") == before


def test_loose_modes_are_closed(account: Account, by_hand: Path) -> None:
    account.ssh.chmod(0o755)
    by_hand.chmod(0o644)
    assert len(ensure(account, check=True).changes) == 2
    assert mode(by_hand) == 0o644
    assert len(ensure(account).changes) == 2
    assert (mode(account.ssh), mode(by_hand)) == (0o700, 0o600)


def test_a_missing_or_wrong_public_file_is_written_anew_and_a_strange_one_kept(account: Account, by_hand: Path) -> None:
    public = by_hand.with_name("id_ed25519.pub")
    right = public.read_text(encoding="utf-8").split()[:2]
    for wrong in (None, "nonsense\n"):
        public.unlink() if wrong is None else public.write_text(wrong, encoding="utf-8")
        assert ensure(account).changes
        assert public.read_text(encoding="utf-8").split()[:2] == right
        assert ensure(account).changes == []
    public.write_text("ssh-rsa AAAA mine\n", encoding="utf-8")
    ensure(account)
    assert any(name.startswith("id_ed25519.pub.") and name.endswith("~") for name in files(account))


def test_a_passphrase_is_named_with_what_to_do(account: Account, by_hand: Path) -> None:
    run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(by_hand)])
    with pytest.raises(SshError, match=r"has a passphrase.*ssh-keygen -p -f .*ssh_mesh_key_type"):
        ensure(account)


def test_what_is_no_key_is_named(account: Account, by_hand: Path) -> None:
    by_hand.write_text("not a key\n", encoding="utf-8")
    with pytest.raises(SshError, match=r"is not a usable private key.*move it away"):
        ensure(account)


def test_a_key_in_pem_format_is_adopted(account: Account) -> None:
    account.ssh.mkdir(mode=0o700)
    path = account.ssh / "id_ecdsa"
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", str(path)])
    pair = ensure(account, Wish(key_type="ecdsa"))
    assert pair.changes == []
    assert pair.public_keys[0].startswith("ecdsa-sha2-nistp256 ")


def test_a_new_key_waits_until_it_is_switched_to(account: Account) -> None:
    old = ensure(account).public_keys
    waiting = ensure(account, Wish(rotate=True))
    assert waiting.public_keys[0] == old[0]
    assert len(waiting.public_keys) == 2
    assert waiting.newest.name == "id_ed25519.next"
    again = ensure(account, Wish(rotate=True))
    assert (again.changes, again.public_keys) == ([], waiting.public_keys)
    assert ensure(account).public_keys == waiting.public_keys
    switched = ensure(account, Wish(switch=True))
    assert switched.public_keys == waiting.public_keys[1:]
    assert files(account) == {"id_ed25519", "id_ed25519.pub"}
    assert ensure(account).changes == []


def test_a_key_that_could_not_be_made_leaves_nothing(account: Account) -> None:
    ensure(account)
    before = files(account)

    def full_disk(argv: Sequence[str]) -> tuple[int, str, str]:
        Path(argv[-1]).write_text("half a key", encoding="utf-8")
        return 1, "", f"Unable to save public key to {argv[-1]}.pub: No space left on device"

    with pytest.raises(SshError, match="No space left"):
        identity.ensure_key_pair(account, Wish(rotate=True), full_disk, False)
    assert files(account) == before


def test_what_a_killed_run_left_of_a_key_goes(account: Account) -> None:
    ensure(account)
    before = files(account)
    ended = subprocess.Popen(["true"])
    ended.wait()
    names = [f".id_ed25519.next.{os.uname().nodename}.{ended.pid}{ending}" for ending in ("", ".pub")]
    others = [f".id_ed25519.next.elsewhere.{ended.pid}", f".id_ed25519.next.{os.uname().nodename}.{os.getpid()}"]
    for name in [*names, *others]:
        (account.ssh / name).write_text("half a key", encoding="utf-8")
    assert len(ensure(account, check=True).changes) == 2
    assert len(ensure(account).changes) == 2
    assert files(account) == {*before, *others}, "another node that shares the home, and a run that still goes on"
    assert ensure(account).changes == []


def test_a_switch_that_breaks_off_leaves_no_public_key_of_another(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(account)
    new = ensure(account, Wish(rotate=True)).public_keys[1]
    replace = Path.replace

    def broken_off(path: Path, target: Path) -> Path:
        if target.suffix == ".pub":
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", broken_off)
    with pytest.raises(KeyboardInterrupt):
        ensure(account, Wish(switch=True))
    assert files(account) == {"id_ed25519", "id_ed25519.next.pub"}
    monkeypatch.undo()
    assert ensure(account).public_keys == [new]
    assert files(account) == {"id_ed25519", "id_ed25519.pub"}
    assert ensure(account).changes == []
    assert (account.ssh / "id_ed25519.pub").read_text(encoding="utf-8").startswith(new)


def test_nodes_that_share_a_home_switch_together(account: Account) -> None:
    ensure(account)
    new = ensure(account, Wish(rotate=True)).public_keys[1]
    nodes = [identity._Keys(account.ssh / "id_ed25519", run, check=False) for _node in range(2)]
    for keys in nodes:
        keys.switch()
    assert ensure(account).public_keys == [new]


def test_switching_with_nothing_that_waits_changes_nothing(account: Account) -> None:
    before = ensure(account).public_keys
    switched = ensure(account, Wish(switch=True))
    assert (switched.changes, switched.public_keys) == ([], before)


def test_a_key_made_by_hand_is_kept_as_a_copy_when_it_is_replaced(account: Account, by_hand: Path) -> None:
    before = by_hand.read_text(encoding="utf-8")
    ensure(account, Wish(rotate=True))
    ensure(account, Wish(switch=True))
    copies = [path for path in account.ssh.glob("id_ed25519.*~") if ".pub." not in path.name]
    assert [copy.read_text(encoding="utf-8") for copy in copies] == [before]
    assert mode(copies[0]) == 0o600
    public = (account.ssh / "id_ed25519.pub").read_text(encoding="utf-8")
    assert comment_of(public).startswith(identity.OUR_COMMENT)


def test_a_shared_key_is_used_at_once_where_there_is_none(account: Account, tmp_path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "shared")])
    wish = Wish(private_key=(tmp_path / "shared").read_text(encoding="utf-8").rstrip())
    pair = ensure(account, wish)
    assert (tmp_path / "shared.pub").read_text(encoding="utf-8").startswith(pair.public_keys[0])
    assert mode(pair.path) == 0o600
    assert run(["ssh-keygen", "-y", "-f", str(pair.path)])[0] == 0
    assert ensure(account, wish).changes == []


def test_a_shared_key_waits_where_another_key_is_in_use(account: Account, tmp_path: Path) -> None:
    own = ensure(account).public_keys[0]
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "shared")])
    wish = Wish(private_key=(tmp_path / "shared").read_text(encoding="utf-8"))
    pair = ensure(account, wish)
    assert pair.public_keys[0] == own
    assert len(pair.public_keys) == 2
    assert ensure(account, wish).changes == []
    assert ensure(account, Wish(switch=True)).public_keys == pair.public_keys[1:]


def test_a_key_that_is_no_longer_shared_gives_way_to_one_of_the_nodes_own(account: Account, tmp_path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "shared")])
    wish = Wish(private_key=(tmp_path / "shared").read_text(encoding="utf-8"), shared=True)
    shared = ensure(account, wish).public_keys
    parted = ensure(account)
    assert parted.public_keys[0] == shared[0]
    assert len(parted.public_keys) == 2
    assert ensure(account).changes == []
    assert ensure(account, Wish(switch=True)).public_keys == parted.public_keys[1:]
    assert ensure(account).changes == []


def test_the_key_of_the_head_gives_way_too_after_it_was_shared(account: Account) -> None:
    own = ensure(account).public_keys
    sharing = ensure(account, Wish(shared=True))
    assert (sharing.public_keys, len(sharing.changes)) == (own, 1)
    assert ensure(account, Wish(shared=True)).changes == []
    assert len(ensure(account).public_keys) == 2


def test_a_key_made_by_hand_stays_although_it_was_shared(account: Account, by_hand: Path) -> None:
    public = by_hand.with_suffix(".pub").read_text(encoding="utf-8")
    assert ensure(account, Wish(shared=True)).changes == []
    assert ensure(account).changes == []
    assert by_hand.with_suffix(".pub").read_text(encoding="utf-8") == public


def test_the_own_key_is_not_marked_while_a_shared_one_waits(account: Account, tmp_path: Path) -> None:
    ensure(account)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "shared")])
    ensure(account, Wish(private_key=(tmp_path / "shared").read_text(encoding="utf-8"), shared=True))
    marks = [
        comment_of((account.ssh / name).read_text(encoding="utf-8"))
        for name in ("id_ed25519.pub", "id_ed25519.next.pub")
    ]
    assert [mark.startswith(identity.SHARED_COMMENT) for mark in marks] == [False, True]


@pytest.mark.parametrize("text", ["no key", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"])
def test_a_shared_key_that_cannot_be_used_is_refused(account: Account, text: str) -> None:
    with pytest.raises(SshError, match="The shared private key"):
        ensure(account, Wish(private_key=text))


def test_a_file_in_place_of_the_folder_is_named(account: Account) -> None:
    account.ssh.write_text("", encoding="utf-8")
    with pytest.raises(SshError, match="is not a folder"):
        ensure(account)


@pytest.mark.parametrize(("home", "named"), [(0o755, False), (0o700, False), (0o775, True), (0o757, True)])
def test_a_home_that_others_can_write_is_named_and_left(account: Account, home: int, named: bool) -> None:
    account.home.chmod(home)
    assert any("chmod go-w" in problem for problem in home_problems(account)) is named
    assert ensure(account).warnings == home_problems(account)
    assert mode(account.home) == home


def test_a_home_that_is_missing_is_named(account: Account) -> None:
    account.home.rmdir()
    with pytest.raises(SshError, match=r"The home .* cannot be used"):
        ensure(account)


def test_an_account_that_is_missing_is_named() -> None:
    with pytest.raises(SshError, match=r"User 'nobody-has-this-name' does not exist.*cluster_user"):
        account_named("nobody-has-this-name")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
def test_root_writes_with_the_rights_of_the_account() -> None:
    nobody = account_named("nobody")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        with acting_as(nobody):
            (Path(folder) / "file").write_text("", encoding="utf-8")
        assert (Path(folder) / "file").stat().st_uid == nobody.uid
    assert os.geteuid() == 0


def test_nobody_but_root_acts_for_another(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    with pytest.raises(SshError, match="connect as 'trainer'"), acting_as(replace(account, uid=2)):
        pass


GIVEN = {"name": "n1", "network": "", "interface": "", "port": 0, "connection_port": 22, "host_key_types": ["ed25519"]}
DOOR = Door("10.0.0.1", 22, lambda _argv: (0, "", ""))
LINK = {"address": "10.0.0.1", "network": "10.0.0.0/24"}
ADDRESSES = {
    "given": ("10.0.0.1", ["10.0.0.1"], None, "10.0.0.1", []),
    "seen": ("", ["203.0.113.1"], LINK, "10.0.0.1", ["203.0.113.1"]),
    "neither, so the one that Ansible connects to": ("", ["n1.x", "203.0.113.1"], None, "203.0.113.1", ["n1.x"]),
    "none at all": ("", ["n1.example"], None, "", ["n1.example"]),
    "a loopback address says nothing to others": ("", ["127.0.0.1", "localhost", "::1"], None, "", []),
    "a pattern is no name": ("10.0.0.1", ["*", "a,b", "!x", "a b", ""], None, "10.0.0.1", []),
    "each once": ("10.0.0.1", ["a", "a", "10.0.0.1"], None, "10.0.0.1", ["a"]),
    "IPv6": ("fd00::1", ["fd00::1", "2001:db8::1"], None, "fd00::1", ["2001:db8::1"]),
}


@pytest.mark.parametrize("case", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_a_record_has_what_others_can_use(case: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    address, also, link, kept, others = case
    monkeypatch.setattr(identity, "host_keys", lambda types, offered: ["ssh-ed25519 E"])
    record = identity.node_record({**GIVEN, "address": address, "also": also}, ["ssh-ed25519 U"], DOOR, link)
    assert (record["address"], record["also"]) == (kept, others)
    assert (record["public_keys"], record["host_keys"]) == (["ssh-ed25519 U"], ["ssh-ed25519 E"])


@pytest.mark.parametrize("asked", [{"network": "10.0.0.0/24"}, {"interface": "eth9"}])
def test_no_address_is_guessed_against_what_was_asked(asked: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "host_keys", lambda types, offered: ["ssh-ed25519 E"])
    record = identity.node_record({**GIVEN, **asked, "address": "", "also": ["203.0.113.1"]}, [], DOOR)
    assert (record["address"], record["also"]) == ("", ["203.0.113.1"])


# the port that is set, that of sshd on the node, that of Ansible, what was seen of the address; the port, other names
PORTS = {
    "the usual one": ((0, 22, 22, LINK), (22, ["gate"])),
    "sshd listens elsewhere": ((0, 2222, 2222, LINK), (2222, ["gate"])),
    "a port of another machine leads here": ((0, 22, 40023, LINK), (22, [])),
    "and no address was seen": ((0, 22, 40023, None), (40023, ["gate"])),
    "one that is set": ((2200, 22, 40023, LINK), (2200, ["gate"])),
}


@pytest.mark.parametrize(("given_here", "found"), PORTS.values(), ids=PORTS.keys())
def test_the_port_is_that_of_sshd_where_the_address_is_the_nodes_own(
    given_here: tuple[int, int, int, Any], found: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, own, ansible, link = given_here
    chosen, also = found
    monkeypatch.setattr(identity, "host_keys", lambda types, offered: ["ssh-ed25519 E"])
    given = {**GIVEN, "address": "", "port": port, "connection_port": ansible, "also": ["203.0.113.1", "gate"]}
    record = identity.node_record(given, [], replace(DOOR, port=own), link)
    assert record["port"] == chosen
    assert [name for name in record["also"] if name != "203.0.113.1"] == also


def public(algorithm: str) -> str:
    blob = len(algorithm).to_bytes(4, "big") + algorithm.encode() + b"the rest"
    return f"{algorithm} {base64.b64encode(blob).decode()}"


KEYS = {"ed25519": public("ssh-ed25519"), "ecdsa": public("ecdsa-sha2-nistp256"), "rsa": public("ssh-rsa")}
# what sshd offers by type; the type of the key that is made known
OFFERS = {
    "all": (KEYS, "ed25519"),
    "what a policy leaves": ({"ecdsa": KEYS["ecdsa"], "rsa": KEYS["rsa"]}, "ecdsa"),
    "sshd does not answer": ({}, "ed25519"),
    "a key that is in no file": ({"ed25519": "ssh-ed25519 another"}, "ed25519"),
}


@pytest.mark.parametrize(("offered", "chosen"), OFFERS.values(), ids=OFFERS.keys())
def test_only_a_host_key_that_sshd_offers_is_made_known(
    offered: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"/etc/ssh/ssh_host_{name}_key.pub": key for name, key in KEYS.items()}
    monkeypatch.setattr(identity, "all_directives", lambda _path: [])
    monkeypatch.setattr(identity, "read_text", lambda path: texts[str(path)])
    found = identity.host_keys([*KEYS], lambda name: [offered[name]] if name in offered else [])
    assert found == [KEYS[chosen]]


def test_a_node_without_readable_host_keys_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "read_text", lambda path: "")
    with pytest.raises(SshError, match=r"No public host key of type ed25519, rsa.*ssh-keygen -A"):
        identity.host_keys(["ed25519", "rsa"])
