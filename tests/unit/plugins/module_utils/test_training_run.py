# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import re

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils import _training_run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._training_run import (
    HostfileError,
    launch_command,
    nobody_reads,
    participants,
    run_bounded,
    sweep_command,
    told,
)

HOSTFILE = "node1 slots=2\nnode2 slots=1\n"


def test_two_ranks_on_one_line_are_both_heard():
    line = 'node1: FROMZERO_VERIFY {"stage": "joined", "rank": 0}FROMZERO_VERIFY {"stage": "joined", "rank": 1}\n'
    assert [said["rank"] for said in told(line)] == [0, 1]


def test_a_line_that_was_cut_is_passed_over():
    assert told('FROMZERO_VERIFY {"stage": "jo\nFROMZERO_VERIFY {"stage": x}\n') == []


def test_whole_hostfile_is_launched_as_people_launch_it():
    command = launch_command("ds-launch", "/job/hostfile", ["node1", "node2"], ["node1", "node2"], 29500)
    assert "--include" not in command


def test_fewer_nodes_are_chosen_with_include():
    slots = participants(HOSTFILE, ["node2", "node9"])
    command = launch_command("ds-launch", "/job/hostfile", ["node1", "node2"], list(slots), 29500)
    assert slots == {"node2": 1}
    assert command[-2:] == ["--include", "node2"]


@pytest.mark.parametrize(("hostfile", "nodes"), [(HOSTFILE, ["node9"]), ("", ["node1"]), ("node1", ["node1"])])
def test_a_hostfile_without_the_nodes_is_refused(hostfile, nodes):
    with pytest.raises(HostfileError):
        participants(hostfile, nodes)


def test_a_run_that_hangs_is_stopped_and_what_it_said_is_kept(monkeypatch):
    monkeypatch.setattr(_training_run, "_GRACE", 0.2)
    outcome = run_bounded(["sh", "-c", "trap '' TERM; echo before; sleep 30 & wait; sleep 30"], {}, "/", 0.3)
    assert outcome.timed_out
    assert outcome.output == "before\n"
    assert outcome.seconds < 5


def test_a_node_that_fails_ends_the_wait_of_the_others(monkeypatch):
    monkeypatch.setattr(_training_run, "_AFTER_FAILURE", 0.2)
    outcome = run_bounded(["sh", "-c", "echo 'pdsh@node1: node2: ssh exited with exit code 1'; sleep 30"], {}, "/", 20)
    assert outcome.status not in (0, 124)
    assert outcome.seconds < 5


def test_a_run_that_nobody_waits_for_is_stopped():
    outcome = run_bounded(["sh", "-c", "sleep 30"], {}, "/", 20, abandoned=lambda: True)
    assert outcome.status not in (0, 124)
    assert outcome.seconds < 5


def test_only_a_pipe_whose_reader_has_gone_is_read_by_nobody(tmp_path):
    reader, writer = os.pipe()
    assert not nobody_reads(writer)
    os.close(reader)
    assert nobody_reads(writer)
    os.close(writer)
    with (tmp_path / "log").open("w") as log:
        assert not nobody_reads(log.fileno())


def test_a_run_that_ends_well_keeps_its_status_and_words():
    outcome = run_bounded(["sh", "-c", "echo words; echo $WORD; exit 3"], {"WORD": "more"}, "/", 20)
    assert (outcome.status, outcome.output) == (3, "words\nmore\n")


def test_a_launcher_that_is_asked_to_stop_may_clean_up():
    outcome = run_bounded(["sh", "-c", "trap 'echo cleaned; exit 1' TERM; while :; do sleep 0.05; done"], {}, "/", 0.3)
    assert outcome.timed_out
    assert "cleaned" in outcome.output


def test_sweeping_does_not_end_the_sweeper():
    remote = sweep_command(["node1", "node2"], "/tmp/x/training_step.py", remove=True)[-1]
    pattern = re.search(r"'(.*)'", remote).group(1)
    assert re.search(pattern, "python -u /tmp/x/training_step.py --steps 5")
    assert not re.search(pattern, remote)


def test_sweeping_removes_a_folder_only_on_request():
    assert "rm" not in sweep_command(["node1"], "/home/me/training_step.py")[-1].split()
    assert sweep_command(["node1"], "/tmp/x/training_step.py", remove=True)[-1].endswith("rm -rf /tmp/x")
