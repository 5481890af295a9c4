# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import owner
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import read_owner, this_run

HERE = replace(this_run(os.getpid(), "site"), boot="b1", space="s1", machine="m1 laptop")
# No process has this id: the largest that Linux gives is 2^22.
NOBODY = 2**22 + 1

# how the owner differs from the observer, and whether the owner has gone for certain
GONE = [
    ("the process is there", {}, False),
    ("it is another process that has this id now", {"started": "1"}, True),
    ("no process has this id", {"pid": NOBODY}, True),
    ("the machine has been started again", {"boot": "b0", "pid": NOBODY}, True),
    ("another machine, whose processes nobody sees here", {"boot": "b2", "machine": "m2", "pid": NOBODY}, False),
    ("another container on this machine", {"space": "s2", "pid": NOBODY}, False),
    ("a machine without an id", {"boot": "b2", "machine": "", "pid": NOBODY}, False),
]


@pytest.mark.parametrize(("what", "changes", "gone"), GONE, ids=[case[0] for case in GONE])
def test_a_run_has_gone_only_where_that_is_certain(what, changes, gone):
    assert replace(HERE, **changes).has_gone(HERE) == gone


def test_a_process_that_has_ended_and_that_nobody_has_asked_about_has_gone():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        run = this_run(ended.pid, "site")
        ended.stdout.read()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not run.is_alive


def test_the_process_of_another_account_that_is_hidden_counts_as_there(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(owner.os, "kill", refuse)
    monkeypatch.setattr(owner, "started", lambda pid: "")
    assert HERE.is_alive


def test_a_run_is_read_as_it_was_written():
    assert read_owner(HERE.text()) == HERE


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", HERE.text().replace(f'"pid": {HERE.pid}', '"pid": "x"')])
def test_a_damaged_lock_tells_of_nobody(text):
    assert read_owner(text) is None


def test_a_refusal_says_who_since_when_which_playbook_and_what_to_do():
    run = replace(HERE, user="ann", host="laptop", since=0.0, pid=4711)
    refusal = run.refusal(HERE)
    assert refusal.startswith("ann@laptop has been running the playbook 'site' since 19")
    assert refusal.endswith(" (process 4711). Wait for its end, or stop it there.")
    assert (
        replace(run, boot="b2")
        .refusal(HERE)
        .endswith("If it was cut off, its lock ends by itself after 90 s; then run again.")
    )
