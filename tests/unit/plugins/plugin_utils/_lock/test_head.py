# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import head
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import LEASE, this_run

FIRST = this_run(os.getpid(), "it's the site")
SECOND = this_run(os.getpid(), "verify")


class Head:
    """A shell whose home stands for that of the account on the head."""

    def __init__(self, home):
        self.home = home
        self.lock = home / ".fromzero-deepspeed.lock"

    def run(self, script):
        # In a test that root runs, the script shall not write where a real lock lies.
        script = script.replace('"$(id -u)" = 0', '"$(id -u)" = none')
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env={**os.environ, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return "Welcome\n" + done.stdout

    def age(self, seconds):
        changed = self.lock.stat().st_mtime - seconds
        os.utime(self.lock, (changed, changed))


@pytest.fixture
def shell(tmp_path):
    return Head(tmp_path)


def test_one_run_has_the_lock_until_it_gives_it_back(shell):
    assert head.read(shell.run(head.take(FIRST))).taken
    answer = head.read(shell.run(head.take(SECOND)))
    assert not answer.taken
    assert answer.holder == FIRST
    assert head.read(shell.run(head.take(FIRST))).taken
    shell.run(head.release(SECOND))
    assert shell.lock.exists()
    shell.run(head.release(FIRST))
    assert list(shell.home.iterdir()) == []


def test_a_lock_that_is_known_to_be_left_behind_is_taken_over(shell):
    shell.run(head.take(FIRST))
    assert head.read(shell.run(head.take(SECOND, gone=FIRST.token))).taken
    assert head.read(shell.run(head.take(FIRST))).holder == SECOND


@pytest.mark.parametrize("age", [LEASE + 10, -LEASE - 10], ids=["old", "the clock was set back"])
def test_a_lock_that_is_not_renewed_ends(shell, age):
    shell.run(head.take(FIRST))
    shell.age(age)
    assert head.read(shell.run(head.take(SECOND))).taken
    assert head.is_lost(shell.run(head.renew(FIRST)))
    assert head.read(shell.run(head.take(FIRST))).holder == SECOND


def test_a_renewal_makes_a_lock_last(shell):
    shell.run(head.take(FIRST))
    shell.age(LEASE + 10)
    assert not head.is_lost(shell.run(head.renew(FIRST)))
    assert head.read(shell.run(head.take(SECOND))).holder == FIRST


def test_a_head_that_was_started_again_is_locked_again_by_a_renewal(shell):
    assert not head.is_lost(shell.run(head.renew(FIRST)))
    assert head.read(shell.run(head.take(SECOND))).holder == FIRST


@pytest.mark.parametrize("text", ["", "\n", "{"])
def test_a_damaged_lock_is_none(shell, text):
    shell.lock.write_text(text)
    assert head.read(shell.run(head.take(FIRST))).taken


def test_of_many_runs_at_once_one_gets_the_lock(shell):
    runs = [this_run(os.getpid(), str(number)) for number in range(12)]
    shell.run(head.take(FIRST))
    answers = []
    threads = [
        threading.Thread(target=lambda run=run: answers.append(head.read(shell.run(head.take(run, FIRST.token)))))
        for run in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.taken for answer in answers) == 1
    assert {answer.holder for answer in answers if not answer.taken} <= set(runs)


def test_a_shell_that_does_not_answer_takes_no_lock():
    answer = head.read("This account is currently not available.\n")
    assert (answer.taken, answer.holder) == (False, None)
