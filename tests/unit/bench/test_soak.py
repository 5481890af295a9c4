"""The parts of the soak that need no nodes: the choice of a moment, the comparison of listings, the table."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.soak import __main__ as tool
from bench.soak import operations, residue, results, runs
from bench.soak.moments import Execution, choose, executions, running
from sandbox import wheelhouse

EVENTS = (
    ("start", 10.0, "node1", "Look", False),
    ("start", 10.1, "node2", "Look", False),
    ("ok", 11.0, "node1", "Look", False),
    ("ok", 12.0, "node2", "Look", False),
    ("start", 12.0, "node1", "Recall", True),
    ("ok", 13.0, "node1", "Recall", True),
    ("start", 13.0, "localhost", "Plan", False),
    ("start", 14.0, "node1", "Look", False),
    ("skipped", 14.01, "node1", "Look", False),
    ("start", 15.0, "node1", "Install", False),
)


def lines() -> list[str]:
    return [json.dumps(dict(zip(("event", "at", "host", "task", "control"), event, strict=True))) for event in EVENTS]


def test_executions_are_those_on_nodes_with_their_seconds() -> None:
    found = executions(lines())
    assert [(*one.key, one.began) for one in found] == [
        ("node1", "Look", 0, 10.0),
        ("node2", "Look", 0, 10.1),
        ("node1", "Look", 1, 14.0),
        ("node1", "Install", 0, 15.0),
    ]
    assert [one.seconds and round(one.seconds, 2) for one in found] == [1.0, 1.9, 0.01, None]


def test_a_moment_is_within_a_task_that_works_on_the_node() -> None:
    learned = executions(lines())
    moments = [choose(learned, "node1", random.Random(seed)) for seed in range(20)]
    assert {moment.execution.key for moment in moments} == {("node1", "Look", 0)}
    assert all(0 <= moment.delay <= 1 for moment in moments)
    assert len({moment.delay for moment in moments}) > 1


def test_the_same_seed_chooses_the_same_moment() -> None:
    learned = [Execution("node1", name, 0, 0.0, 2.0) for name in "abcdefgh"]
    assert choose(learned, "node1", random.Random(7)) == choose(learned, "node1", random.Random(7))


def test_a_node_on_which_nothing_works_is_refused() -> None:
    with pytest.raises(ValueError, match="node3"):
        choose(executions(lines()), "node3", random.Random(1))


@pytest.mark.parametrize(
    ("at", "task"), [(9.0, ""), (10.5, "Look"), (12.5, "after: Look"), (14.5, "after: Look"), (16.0, "Install")]
)
def test_the_task_that_was_struck_is_named(at: float, task: str) -> None:
    assert running(executions(lines()), "node1", at) == task


@pytest.mark.parametrize(
    "path",
    [
        "/opt/x/lib/__pycache__/a.cpython-311.pyc",
        "/home/trainer/.cache/uv/wheels",
        "/srv/before/etc/hosts",
        "/tmp/systemd-private-1a2b-logind.service-x/tmp",
    ],
)
def test_caches_and_what_the_system_itself_makes_are_left_out(path: str) -> None:
    assert residue.entries(f"f 644 root {path}") == {}


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        ("left: node1 + d 700 trainer /home/trainer/.ansible/tmp/ansible-tmp-#.#-#-#", False),
        ("left: node1 + f 644 trainer /tmp/.fromzero-#/a.whl", True),
        ("the next run ends with 2", True),
    ],
)
def test_what_is_left_out_today_is_left_out_of_older_trials(found: str, counted: bool) -> None:
    assert residue.counts(found) is counted


def listing(*paths: str) -> str:
    return "\n".join(f"f 600 trainer {path}" for path in paths)


def test_numbers_and_sums_do_not_tell_two_listings_apart() -> None:
    first = residue.entries(listing("/opt/builds/sum/0123abcd4567/log.txt", "/opt/deepspeed-0.19.7.dist-info"))
    second = residue.entries(listing("/opt/builds/sum/89ab01cd2345/log.txt", "/opt/deepspeed-0.19.8.dist-info"))
    assert residue.differences({"node1": first}, {"node1": second}) == []


def test_what_is_too_much_and_what_is_missing_is_named_with_its_place() -> None:
    key = "/home/trainer/.ssh/id_ed25519"
    clean = {"node1": residue.entries(listing(key, "/etc/hosts.2026~")), "control": residue.entries("")}
    after = {"node1": residue.entries(listing(key, f"{key}.next")), "control": residue.entries(listing("lock"))}
    assert residue.differences(clean, after) == [
        "node1 + f 600 trainer /home/trainer/.ssh/id_ed#.next",
        "node1 - f 600 trainer /etc/hosts.#~",
        "control + f 600 trainer lock",
    ]


def test_a_second_copy_of_a_file_counts() -> None:
    clean, after = listing("/etc/hosts.1~"), listing("/etc/hosts.1~", "/etc/hosts.2~")
    assert len(residue.differences({"a": residue.entries(clean)}, {"a": residue.entries(after)})) == 1


def test_private_keys_in_what_runs_print_are_found(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("changed: [node1]\n", encoding="utf-8")
    (tmp_path / "again.log").write_text("+-----BEGIN OPENSSH PRIVATE KEY-----\n", encoding="utf-8")
    assert residue.secrets([tmp_path]) == [str(tmp_path / "again.log")]


def trial(kind: str, operation: str, seconds: float | None, *found: str) -> results.Trial:
    return results.Trial(
        at="2026-11-29T18:00:00",
        commit="0123abc",
        seed=1,
        operation=operation,
        kind=kind,
        node="node1",
        detail="",
        moment=4.25,
        task="Land the files",
        disturbed=2,
        seconds=seconds,
        found=[*found],
    )


def test_trials_survive_the_file_and_add_up(tmp_path: Path) -> None:
    path = tmp_path / "soak" / "results.jsonl"
    tried = [trial("run", "keys", 7.04), trial("run", "site", None, "the next run ends with 2")]
    for one in tried:
        results.append(path, one)
    assert results.read(path) == tried
    assert results.read(tmp_path / "none") == []


def test_the_table_has_a_row_for_each_kind_and_operation_and_for_each_failure() -> None:
    text = results.table(
        [trial("run", "keys", 7.0), trial("run", "site", None, "left: a lock"), trial("full", "keys", 9)]
    )
    assert text.splitlines() == [
        "| fault | operation | tried | converged | longest, s |",
        "|---|---|---|---|---|",
        "| run | keys | 1 | 1 | 7 |",
        "| run | site | 1 | 0 | - |",
        "| run | all | 2 | 1 | 7 |",
        "| full | keys | 1 | 1 | 9 |",
        "| full | all | 1 | 1 | 9 |",
        "",
        "| fault | operation | moment, s | task | found |",
        "|---|---|---|---|---|",
        "| run | site | 4.2 | Land the files | left: a lock |",
    ]


def test_a_recap_is_read() -> None:
    recap = "node1   : ok=5    changed=0    unreachable=0\nnode2   : ok=5    changed=3    unreachable=0\n"
    assert runs.changed(f"PLAY RECAP ***\n{recap}") == {"node1": 0, "node2": 3}


def test_processes_of_processes_are_found() -> None:
    script = "import subprocess, sys; subprocess.run(['sleep', '60'])"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        while not (found := runs.descendants(process.pid)):
            assert process.poll() is None
        assert process.pid not in found
        assert set(found) <= set(runs.descendants(os.getpid()))
    finally:
        for pid in [*runs.descendants(process.pid), process.pid]:
            os.kill(pid, 9)
        process.wait()


def test_unknown_kinds_are_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.parser().parse_args(["--kinds", "run,flood"])
    assert "flood: choose from run, processes, node, drop, pause, full, readonly" in capsys.readouterr().err


def test_the_older_wheel_is_the_same_package_under_another_version(tmp_path: Path) -> None:
    version = wheelhouse.versions().deepspeed
    newest = tmp_path / f"deepspeed-{version}-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(newest, "w") as wheel:
        wheel.writestr("deepspeed/git_version_info_installed.py", f"version='{version}'\n")
        wheel.writestr(f"deepspeed-{version}.dist-info/METADATA", f"Name: deepspeed\nVersion: {version}\n")
        record = f"deepspeed/a.py,sha256=a,1\ndeepspeed-{version}.dist-info/METADATA,sha256=b,2\n"
        wheel.writestr(f"deepspeed-{version}.dist-info/RECORD", record)
    [made] = operations.older_wheel(tmp_path / "older", newest).glob("*.whl")
    older = operations.OLDER
    assert made.name == newest.name.replace(version, older)
    with zipfile.ZipFile(made) as wheel:
        assert wheel.read("deepspeed/git_version_info_installed.py").decode() == f"version='{older}'\n"
        assert f"Version: {older}\n" in wheel.read(f"deepspeed-{older}.dist-info/METADATA").decode()
        record = wheel.read(f"deepspeed-{older}.dist-info/RECORD").decode()
    assert record == f"deepspeed/a.py,sha256=a,1\ndeepspeed-{older}.dist-info/METADATA,,\n"
