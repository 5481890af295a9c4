# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import keeper
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import this_run


class Run:
    """What stands for Ansible: a process that starts a keeper which writes down what it does, and goes on."""

    def __init__(self, log: Path, renewals: str = "good", seconds: float = 60) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                self._run(log, renewals, seconds, writer)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            self.keeper = int(answer.readline())

    def _run(self, log: Path, renewals: str, seconds: float, writer: int) -> None:
        own = this_run(os.getpid(), "site")
        with log.open("a", buffering=1) as file:

            def renew() -> None:
                file.write("renewed\n")
                if renewals == "broken":
                    raise OSError

            keeper.RENEWAL = keeper._AGAIN = 0.2
            process = keeper.start(
                lambda: own.is_alive, renew, lambda: file.write("released\n"), lambda: file.write("begun\n")
            )
            os.write(writer, f"{process}\n".encode())
            os.close(writer)
            time.sleep(seconds)

    def end(self, number: int) -> None:
        """End it as a terminal does, all processes of the group at once."""
        os.killpg(self.pid, number)
        os.waitpid(self.pid, 0)


def until(log: Path, word: str) -> list[str]:
    deadline = time.monotonic() + 10
    while word not in log.read_text().split() and time.monotonic() < deadline:
        time.sleep(0.02)
    return log.read_text().split()


def is_over(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while this_run(pid, "").is_alive and time.monotonic() < deadline:
        time.sleep(0.02)
    return not this_run(pid, "").is_alive


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_lock_is_given_back_however_the_run_is_ended(tmp_path, number):
    log = tmp_path / "log"
    run = Run(log)
    assert "renewed" in until(log, "renewed")
    run.end(number)
    said = until(log, "released")
    assert (said[0], said[-1], said.count("released")) == ("begun", "released", 1)
    assert is_over(run.keeper)


def test_the_lock_is_given_back_when_the_run_ends_by_itself(tmp_path):
    log = tmp_path / "log"
    run = Run(log, seconds=0.1)
    os.waitpid(run.pid, 0)
    assert "released" in until(log, "released")
    assert is_over(run.keeper)


def test_the_lock_is_given_back_when_the_run_says_so_while_it_goes_on(tmp_path):
    log = tmp_path / "log"
    run = Run(log, renewals="broken")
    assert until(log, "renewed")
    os.kill(run.keeper, signal.SIGTERM)
    assert "released" in until(log, "released")
    assert is_over(run.keeper)
    assert os.waitpid(run.pid, os.WNOHANG) == (0, 0)
    run.end(signal.SIGKILL)


def test_a_command_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(keeper, "_COMMAND", 1)
    began = time.monotonic()
    assert not keeper._attempt(lambda: time.sleep(30))
    assert time.monotonic() - began < 5
