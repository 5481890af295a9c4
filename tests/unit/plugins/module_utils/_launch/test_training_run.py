# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch import training_run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.training_run import (
    Files,
    HostfileError,
    LaunchError,
    exceptions,
    launch_command,
    launch_files,
    nobody_reads,
    participants,
    reports,
    run_bounded,
    sentences,
)

HOSTFILE = "node1 slots=2\nnode2 slots=1\n"
FILES = Files("/usr/local/bin/ds-launch", "/job/hostfile", "/etc/ds_config.json")
NONE_GIVEN = {"launcher": None, "hostfile": "", "config": None}


@pytest.fixture
def settings(tmp_path):
    """What role hostfile writes on a head where every path is another than the default."""
    config = tmp_path / "my config.json"
    config.write_text("{}")
    path = tmp_path / "ds-launch.json"
    path.write_text(json.dumps({"launcher": "~/bin/ds-launch", "hostfile": "/data/hostfile", "config": str(config)}))
    return path


def test_the_paths_that_role_hostfile_has_written_are_followed(settings):
    files, own = launch_files(str(settings), NONE_GIVEN)
    assert files.launcher == str(Path("~/bin/ds-launch").expanduser())
    assert files.hostfile == "/data/hostfile"
    assert files.config.endswith("/my config.json")
    assert own == {}


def test_a_path_that_is_given_goes_before_the_written_one(settings):
    files, own = launch_files(str(settings), {**NONE_GIVEN, "hostfile": "/tmp/hostfile"})
    assert files.hostfile == "/tmp/hostfile"
    assert own == {"hostfile": "/tmp/hostfile"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file"),
        ("{", "is not what the role hostfile writes"),
        ("[1]", "is not what the role hostfile writes"),
        ('{"launcher": "/x", "config": "/x"}', "does not name the hostfile"),
        ('{"launcher": "/x", "hostfile": "/x", "config": "/not/there"}', "/not/there, the configuration of DeepSpeed"),
    ],
)
def test_settings_that_cannot_be_used_are_named_with_a_remedy(tmp_path, content, words):
    path = tmp_path / "ds-launch.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LaunchError) as error:
        launch_files(str(path), NONE_GIVEN)
    assert words in str(error.value)
    assert "playbook 'hostfile'" in str(error.value)


def test_reports_of_two_ranks_on_one_line_are_both_read():
    line = '[node1:0] FROMZERO_VERIFY {"stage": "joined", "rank": 0}FROMZERO_VERIFY {"stage": "joined", "rank": 1}\n'
    assert [report["rank"] for report in reports(line)] == [0, 1]


def test_a_report_may_hold_braces_and_lists():
    line = 'FROMZERO_VERIFY {"stage": "failed", "error": "KeyError: {x}", "notes": [{"a": 1}]} more'
    assert reports(line) == [{"stage": "failed", "error": "KeyError: {x}", "notes": [{"a": 1}]}]


def test_a_report_that_was_cut_is_passed_over():
    assert reports('FROMZERO_VERIFY {"stage": "jo\nFROMZERO_VERIFY {"stage": x}\n') == []


def test_sentences_of_ds_launch_are_read_without_the_lines_of_the_rank_that_it_repeats():
    output = "[node1:0] x\nds-launch: node2 lacks /x; copy it there.\nds-launch:     Traceback\nmy ds-launch: no\n"
    assert sentences(output) == ["node2 lacks /x; copy it there."]


def test_the_command_is_the_one_that_users_type():
    command = launch_command(FILES, {}, ["node1", "node2"], ["node1", "node2"], 0)
    assert command == ["/usr/local/bin/ds-launch"]


def test_a_hostfile_and_a_port_are_named_where_they_are_given():
    command = launch_command(FILES, {"hostfile": "/job/hostfile"}, ["node1"], ["node1"], 29501)
    assert command[1:] == ["--hostfile", "/job/hostfile", "--master_port", "29501"]


def test_fewer_nodes_are_chosen_with_include():
    slots = participants(HOSTFILE, ["node2", "node9"])
    command = launch_command(FILES, {}, ["node1", "node2"], list(slots), 0)
    assert slots == {"node2": 1}
    assert command[-2:] == ["--include", "node2"]


@pytest.mark.parametrize(("hostfile", "nodes"), [(HOSTFILE, ["node9"]), ("", ["node1"]), ("node1", ["node1"])])
def test_a_hostfile_without_the_nodes_is_refused(hostfile, nodes):
    with pytest.raises(HostfileError):
        participants(hostfile, nodes)


def test_a_run_that_hangs_is_stopped_and_its_output_is_kept(monkeypatch):
    monkeypatch.setattr(training_run, "_GRACE", 0.2)
    ended = run_bounded(["sh", "-c", "trap '' TERM; echo before; sleep 30 & wait; sleep 30"], "/", 0.3)
    assert ended.timed_out
    assert ended.output == "before\n"
    assert ended.seconds < 5


def test_a_run_that_nobody_waits_for_is_stopped():
    ended = run_bounded(["sh", "-c", "sleep 30"], "/", 20, abandoned=lambda: True)
    assert ended.status not in (0, 124)
    assert ended.seconds < 5


def test_only_a_pipe_whose_reader_has_gone_is_read_by_nobody(tmp_path):
    reader, writer = os.pipe()
    assert not nobody_reads(writer)
    os.close(reader)
    assert nobody_reads(writer)
    os.close(writer)
    with (tmp_path / "log").open("w") as log:
        assert not nobody_reads(log.fileno())


def test_a_run_that_ends_by_itself_keeps_its_status_and_output():
    ended = run_bounded(["sh", "-c", "echo words; pwd; exit 3"], "/", 20)
    assert (ended.status, ended.output) == (3, "words\n/\n")


def test_a_launcher_that_is_asked_to_stop_may_clean_up():
    ended = run_bounded(["sh", "-c", "trap 'echo cleaned; exit 1' TERM; while :; do sleep 0.05; done"], "/", 0.3)
    assert ended.timed_out
    assert "cleaned" in ended.output


TRACEBACKS = """\
[node1] a word of the launcher
[node2:2] Traceback (most recent call last):
[node1:0] Traceback (most recent call last):
[node2:2]   File "step.py", line 3, in <module>
[node1:0]     ConnectionError: the line of a source
[node1:0] torch.distributed.DistNetworkError: Connection reset by peer
[node2:2] ModuleNotFoundError: No module named 'apex'
[node2:2]
[node2:2] The above exception was the direct cause of the following exception:
[node2:2]
[node2:2] Traceback (most recent call last):
[node2:2] RuntimeError: no engine
[node1:1] ValueError: not below a traceback
"""


def test_the_first_exception_of_each_rank_is_found_in_the_whole_output():
    found = exceptions(TRACEBACKS + "[node1:1] noise\n" * 500)
    assert found == [
        {"node": "node1", "rank": 0, "error": "torch.distributed.DistNetworkError: Connection reset by peer"},
        {"node": "node2", "rank": 2, "error": "ModuleNotFoundError: No module named 'apex'"},
    ]
