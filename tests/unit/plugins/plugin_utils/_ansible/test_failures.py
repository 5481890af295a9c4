# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.failures import (
    Loss,
    as_data,
    farewell,
    reason,
)

REASONS: list[tuple[dict[str, Any], str]] = [
    ({"msg": "Task failed: Action failed: boo."}, "boo"),
    ({"msg": "Task failed: Module failed: No space left on device"}, "No space left on device"),
    ({"msg": "one\n\n  two"}, "one; two"),
    ({"msg": "non-zero return code", "rc": 1, "stderr": "first\nlast words\n"}, "non-zero return code: last words"),
    (
        {"msg": "Module result deserialization failed", "rc": 127, "module_stderr": "python3: not found\nhint"},
        "python3: not found",
    ),
    (
        {"msg": "All items failed", "results": [{"failed": False}, {"failed": True, "msg": "item 2 broke"}]},
        "item 2 broke",
    ),
    ({}, "it gave no reason"),
]

CHANGED_KEY = """Task failed: Failed to connect to the host via ssh: @@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/me/.ssh/known_hosts:2
  remove with:
  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "10.0.0.2"
Host key verification failed."""

NO_FOLDER = (
    "Failed to create temporary directory. In some cases, you may have been able to authenticate and did not have "
    "permissions on the target directory. Consider changing the remote tmp path in ansible.cfg to a path rooted in "
    '"/tmp", for more error information use -vvv. Failed command was: ( umask 77 && mkdir -p "` echo '
    '/home/ada/.ansible/tmp `"&& mkdir "` echo /home/ada/.ansible/tmp/ansible-tmp-1 `" && echo ansible-tmp-1="` echo '
    '/home/ada/.ansible/tmp/ansible-tmp-1 `" ), exited with result 1'
)

ADVICE = [
    (reason({"msg": NO_FOLDER}), "df -h"),
    (reason({"msg": CHANGED_KEY}), "ssh-keygen -R"),
    ("Host key verification failed", "known_hosts"),
    ("trainer@10.0.0.1: Permission denied (publickey)", "access"),
    ("ssh: connect to host 10.0.0.1 port 22: Connection refused", "ansible_host"),
    ("ssh: Could not resolve hostname node9: Name or service not known", "ansible_host"),
    ("Connection timed out", "ansible_host"),
    ("The module interpreter '/usr/bin/python3' was not found", "ansible_python_interpreter"),
    ("Missing sudo password", "cluster_become: false"),
    ("no available installation candidate for pdsh", "/var/lib/apt/lists"),
    ("[Errno 28] No space left on device: '/tmp/x'", "make room"),
    ("[Errno 30] Read-only file system: '/etc/pdsh/rcmd_default'", "dmesg"),
    ("Missing sudo password", "--ask-become-pass"),
]


@pytest.mark.parametrize(("result", "wanted"), REASONS)
def test_a_reason_is_one_line_without_ansibles_preamble(result: dict[str, Any], wanted: str) -> None:
    assert reason(result) == wanted


def test_a_changed_host_key_is_told_without_the_banner_of_ssh() -> None:
    assert reason({"msg": CHANGED_KEY}) == "Its ED25519 host key is not the one in /home/me/.ssh/known_hosts:2"


def test_a_home_that_cannot_be_written_is_named_without_ansibles_advice() -> None:
    assert reason({"msg": NO_FOLDER}) == "The folder /home/ada/.ansible/tmp cannot be created there"


def test_each_node_is_named_with_its_task_and_reason() -> None:
    lines = farewell({"a": Loss("failed", "Install x", "disk full"), "b": Loss("lost", "Gather facts", "no route")})
    assert "  a: failed at 'Install x': disk full." in lines
    assert "  b: could not be reached at 'Gather facts': no route." in lines


@pytest.mark.parametrize(("said", "remedy"), ADVICE)
def test_a_known_reason_comes_with_what_to_do(said: str, remedy: str) -> None:
    line = next(line for line in farewell({"a": Loss("lost", "Gather facts", said)}) if said in line)
    assert "What to do: " in line
    assert remedy in line


def test_a_task_that_may_not_write_a_file_is_no_lost_connection() -> None:
    said = "Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)"
    assert not any("What to do" in line for line in farewell({"a": Loss("failed", "Install pdsh", said)}))


def test_a_reason_that_says_what_to_do_gets_no_second_advice() -> None:
    said = "uv could not install torch: a disk is full (No space left on device). Make room there"
    assert not any("What to do" in line for line in farewell({"a": Loss("failed", "Install torch", said)}))


def test_nothing_is_said_when_all_are_there_or_the_run_ended_for_all() -> None:
    assert farewell({}) == []
    assert farewell({"a": Loss("failed", "Refuse", "bad inventory", for_all=True)}) == []


def test_nobody_went_on_where_the_run_stopped() -> None:
    losses = {"a": Loss("lost", "Gather facts", "no route"), "b": Loss("failed", "Refuse", "bad", for_all=True)}
    assert farewell(losses)[1:3] == [
        "Set aside before the run stopped:",
        "  a: could not be reached at 'Gather facts': no route.",
    ]


def test_the_verdict_gets_the_words_that_the_run_prints() -> None:
    loss = Loss("lost", "Gather facts", "Connection timed out")
    data = as_data({"a": loss, "b": Loss("failed", "Refuse", "bad inventory", for_all=True)})
    assert set(data) == {"a"}
    line = next(line for line in farewell({"a": loss}) if line.startswith("  a: "))
    assert line == f"  a: {data['a']['event']}. What to do: {data['a']['remedy']}."
