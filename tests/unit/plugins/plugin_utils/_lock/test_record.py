# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import record
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import LEASE, this_run

FIRST = this_run(os.getpid(), "site")
# As if it came from another process of this machine.
SECOND = this_run(os.getppid(), "verify")
FOREIGN = replace(SECOND, boot="another", machine="another")


def test_one_run_has_the_lock_until_it_gives_it_back(tmp_path):
    folder = tmp_path / "artifacts"
    assert record.take(folder, FIRST) == FIRST
    assert record.take(folder, SECOND) == FIRST
    record.release(folder, SECOND)
    assert record.is_held(folder, FIRST)
    record.release(folder, FIRST)
    assert record.take(folder, SECOND) == SECOND
    assert [path.name for path in folder.iterdir()] == ["lock.json"]


@pytest.mark.parametrize("text", ["", "{", replace(FIRST, started="1").text()])
def test_a_lock_that_is_damaged_or_whose_run_has_gone_is_taken_over(tmp_path, text):
    (tmp_path / record.LOCK).write_text(text)
    assert record.take(tmp_path, SECOND) == SECOND


def test_the_lock_of_another_control_node_lasts_as_long_as_it_is_renewed(tmp_path):
    path = tmp_path / record.LOCK
    assert record.take(tmp_path, FOREIGN) == FOREIGN
    os.utime(path, (0, path.stat().st_mtime - LEASE + 10))
    assert record.take(tmp_path, FIRST) == FOREIGN
    os.utime(path, (0, path.stat().st_mtime - 20))
    record.renew(tmp_path, FIRST)
    record.renew(tmp_path, FOREIGN)
    assert record.take(tmp_path, FIRST) == FOREIGN
    os.utime(path, (0, path.stat().st_mtime - LEASE - 10))
    assert record.take(tmp_path, FIRST) == FIRST


def test_a_run_on_this_machine_needs_no_renewal(tmp_path):
    record.take(tmp_path, FIRST)
    os.utime(tmp_path / record.LOCK, (0, 0))
    assert record.take(tmp_path, SECOND) == FIRST


KEEPER = """
import pathlib, signal, sys
def end(*_):
    pathlib.Path(sys.argv[1]).unlink()
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(flush=True)
signal.pause()
"""


def test_a_run_that_ends_waits_for_its_keeper(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KEEPER, tmp_path / record.LOCK], stdout=subprocess.PIPE) as keeper:
        keeper.stdout.readline()
        run = replace(FIRST, keeper=keeper.pid)
        record.write(tmp_path, run)
        record.dismiss(tmp_path, run)
        assert not (tmp_path / record.LOCK).exists()
        assert keeper.wait(10) == 0
