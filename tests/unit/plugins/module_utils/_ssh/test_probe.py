# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import probe
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.probe import (
    broken_targets,
    command_for,
    reason_of,
    run_command,
)

# What OpenSSH 9.2 wrote, and the kind.
SAID = [
    ("Host key verification failed.\r\n", "host_key"),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "host_key"),
    ("No ED25519 host key is known for node2 and you have requested strict checking.", "host_key"),
    ("trainer@node2: Permission denied (publickey,password).", "refused_key"),
    ("ssh: Could not resolve hostname node9: Name or service not known", "name"),
    ("ssh: connect to host node2 port 22: Connection refused", "closed"),
    ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", "network"),
    ("ssh: connect to host node2 port 22: Invalid argument", "network"),
    ("ssh: connect to host node2 port 22: Operation not permitted", "network"),
    ("kex_exchange_identification: read: Connection reset by peer", "busy"),
    ("Bad owner or permissions on /home/trainer/.ssh/config", "config"),
    ("something else", "other"),
    ("", "other"),
]
TARGETS = [{"node": f"node{number}", "name": f"node{number}", "hostname": f"host{number}"} for number in range(4)]


@pytest.mark.parametrize(("errors", "kind"), SAID)
def test_each_failure_of_ssh_has_its_kind(errors, kind):
    assert reason_of(255, errors)[0] == kind


def test_probe_never_asks_and_never_learns_a_host_key():
    command = " ".join(command_for("node1", 5))
    assert "BatchMode=yes" in command
    assert "StrictHostKeyChecking=yes" in command
    assert "UpdateHostKeys=no" in command


def test_only_what_is_broken_is_returned_in_the_order_of_the_targets():
    def run(argv):
        return (
            (255, "", "Host key verification failed.")
            if argv[-3] in ("node0", "node3")
            else (0, f"host{argv[-3][-1]}\n", "")
        )

    assert [each["name"] for each in broken_targets(TARGETS, 2, 5, 2, run)] == ["node0", "node3"]


def test_a_name_that_leads_to_another_host_is_broken():
    broken = broken_targets(TARGETS[:1], 0, 5, 1, lambda argv: (0, "host7\n", ""))
    assert broken[0]["kind"] == "other_host"
    assert "host7 instead of host0" in broken[0]["reason"]


def test_a_node_whose_own_name_is_not_known_is_believed():
    assert not broken_targets([{**TARGETS[0], "hostname": ""}], 0, 5, 1, lambda argv: (0, "any\n", ""))


def test_a_door_with_too_many_callers_is_tried_again(monkeypatch):
    monkeypatch.setattr(probe.time, "sleep", lambda seconds: None)
    answers = iter([(255, "", "kex_exchange_identification: Connection closed by remote host"), (0, "host0\n", "")])
    assert not broken_targets(TARGETS[:1], 0, 5, 1, lambda argv: next(answers))


def test_no_targets_are_no_failure():
    assert broken_targets([], 3, 5, 8, lambda argv: (0, "", "")) == []


def test_a_command_that_hangs_is_stopped():
    assert run_command(["sleep", "20"], 0.1)[0] == 124


def test_a_missing_ssh_is_a_failure_of_the_target():
    assert run_command(["/nonexistent/ssh"], 1)[0] == 127


OUTSIDE = {"node": "node9", "name": "node9", "hostname": "", "back": "node0"}


@pytest.mark.parametrize(
    ("back", "broken"),
    [
        ((0, "host0\n", ""), None),
        (
            (255, "", "Host key verification failed."),
            ("host_key", "node9 does not reach node0 in turn, since its host"),
        ),
    ],
)
def test_a_node_outside_the_limit_has_to_be_reached_there_and_back(back, broken):
    ran = []

    def run(argv):
        ran.append(argv)
        return back if argv[-1].startswith("ssh ") else (0, "host9\n", "")

    found = broken_targets([OUTSIDE], 0, 5, 1, run)
    assert len(ran) == 2
    assert ran[1][-2:] == ["node9", " ".join(command_for("node0", 5))]
    assert [(each["kind"], each["back"]) for each in found] == ([(broken[0], True)] if broken else [])
    assert not broken or found[0]["reason"].startswith(broken[1])


def test_the_way_back_is_not_tried_where_the_way_there_fails():
    found = broken_targets([OUTSIDE], 0, 5, 1, lambda argv: (255, "", "Permission denied (publickey)."))
    assert [(each["kind"], each["back"]) for each in found] == [("refused_key", False)]
