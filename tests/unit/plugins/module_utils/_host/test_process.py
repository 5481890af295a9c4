# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host import process
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run


def shell(script: str, timeout: float = 10) -> Finished:
    return run(["/bin/sh", "-c", script], "", os.environ, timeout)


def test_a_program_that_ends_tells_how() -> None:
    assert shell("echo out; echo err >&2; exit 3") == Finished(3, "out\n", "err\n")


def test_a_program_whose_time_is_up_is_ended_with_its_children() -> None:
    before = time.monotonic()
    done = shell("echo begun; sleep 60 & sleep 60; wait", timeout=0.5)
    assert (done.rc, done.stdout) == (None, "begun\n")
    assert time.monotonic() - before < 5


def test_a_program_that_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # A process within a driver outlives SIGKILL; here the signal is kept from it.
    kill, killed = os.killpg, []
    monkeypatch.setattr(os, "killpg", lambda group, signal: killed.append((group, signal)))
    monkeypatch.setattr(process, "_GRACE", 0.2)
    before = time.monotonic()
    assert shell("sleep 60", timeout=0.2) == Finished(None)
    assert time.monotonic() - before < 5
    ((group, signal),) = killed
    kill(group, signal)
