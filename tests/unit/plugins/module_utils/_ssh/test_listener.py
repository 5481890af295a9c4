from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import listener as door

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqPrmRBCcMUwA0jLYjKzJvlrhkvMWQxpc2sD7Rsh0G6"
CONNECTION = "SSH_CONNECTION=10.0.0.9 50000 10.0.0.1 2222"


def nothing(_argv: Sequence[str]) -> tuple[int, str, str]:
    return 1, "", ""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(door, "PROC", tmp_path)
    monkeypatch.setattr(door.os, "getpid", lambda: 30)
    monkeypatch.setattr(door, "all_directives", lambda _path: [("port", ["2200"]), ("port", ["22"])])
    return tmp_path


def write(proc: Path, processes: Mapping[int, tuple[int, str | None]]) -> None:
    for number, (parent, environment) in processes.items():
        (proc / str(number)).mkdir()
        (proc / str(number) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nUid:\t0\n", encoding="utf-8")
        if environment is not None:
            (proc / str(number) / "environ").write_bytes(environment.encode() + b"\0")


# the processes, from the module's own up: parent and environment; the address and port
PROCESSES = {
    "its own": ({30: (1, CONNECTION)}, ("10.0.0.1", 2222)),
    "of the shell above sudo": ({30: (20, "HOME=/root"), 20: (10, ""), 10: (1, CONNECTION)}, ("10.0.0.1", 2222)),
    "above one that is closed": ({30: (20, "HOME=/root"), 20: (10, None), 10: (1, CONNECTION)}, ("10.0.0.1", 2222)),
    "IPv6": ({30: (1, "SSH_CONNECTION=fd00::9 50000 fd00::1 22")}, ("fd00::1", 22)),
    "no ssh, so what sshd is configured to": ({30: (10, "HOME=/root"), 10: (1, "")}, ("127.0.0.1", 2200)),
    "damaged": ({30: (1, "SSH_CONNECTION=fd00::9")}, ("127.0.0.1", 2200)),
    "a process that has ended": ({30: (20, "")}, ("127.0.0.1", 2200)),
}


@pytest.mark.parametrize(("processes", "found"), PROCESSES.values(), ids=PROCESSES.keys())
def test_sshd_listens_where_the_connection_came_in(
    proc: Path, processes: Mapping[int, tuple[int, str | None]], found: tuple[str, int]
) -> None:
    write(proc, processes)
    seen = door.find_door(nothing)
    assert (seen.address, seen.port) == found


def test_the_keys_that_sshd_offers_are_those_of_the_scan() -> None:
    asked = []

    def scan(argv: Sequence[str]) -> tuple[int, str, str]:
        asked.append(list(argv))
        return 0, f"# 10.0.0.1:22 SSH-2.0-OpenSSH_9.2\n[10.0.0.1]:2222 {KEY}\n", ""

    assert door.Door("10.0.0.1", 2222, scan).offered("ed25519") == [KEY]
    assert asked == [["ssh-keyscan", "-T", "5", "-p", "2222", "-t", "ed25519", "--", "10.0.0.1"]]


def test_a_node_without_the_scanner_offers_nothing() -> None:
    def missing(_argv: Sequence[str]) -> tuple[int, str, str]:
        raise FileNotFoundError

    assert door.Door("10.0.0.1", 22, missing).offered("rsa") == []
