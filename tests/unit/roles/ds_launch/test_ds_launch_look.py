"""What ds-launch looks at before a start: the files of a command, and what the nodes answer."""

from __future__ import annotations

import pytest
from ds_launch import look, options, script
from ds_launch.words import Refusal


@pytest.fixture
def job(tmp_path):
    """A folder with a script, what it imports, a package and data."""
    files = {
        "train.py": "import os, model\nfrom lib import data\nfrom lib.deep import net\nimport torch\n",
        "model.py": "from lib.deep import other\n",
        "lib/__init__.py": "",
        "lib/data.py": "from . import words\nfrom ..nothing import x\n",
        "lib/words.py": "",
        "lib/unused.py": "",
        "lib/deep/__init__.py": "",
        "lib/deep/net.py": "",
        "pkg/__init__.py": "",
        "pkg/train.py": "from pkg import helper\n",
        "pkg/helper.py": "",
        "pkg/__main__.py": "",
        "conf.json": "{}",
        "broken.py": "def (",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "out").mkdir()
    return tmp_path


def names(needed, job):
    return {entry.path[len(str(job)) + 1 :]: entry.kind for entry in needed.paths}


# what is typed, the paths that every node needs
NEEDED = [
    (
        ["train.py"],
        {
            "train.py": "file",
            "model.py": "file",
            "lib/__init__.py": "file",
            "lib/data.py": "file",
            "lib/words.py": "file",
            "lib/deep/__init__.py": "file",
            "lib/deep/net.py": "file",
        },
    ),
    (
        ["broken.py", "conf.json", "out", "nowhere", "--out=out"],
        {"broken.py": "file", "conf.json": "file", "out": "folder"},
    ),
    (["broken.py", "--config=conf.json"], {"broken.py": "file", "conf.json": "file"}),
    (["-m", "pkg.train"], {"pkg/train.py": "file", "pkg/__init__.py": "file", "pkg/helper.py": "file"}),
    (["-m", "pkg"], {"pkg/__main__.py": "file", "pkg/__init__.py": "file"}),
]


@pytest.mark.parametrize(("typed", "paths"), NEEDED)
def test_what_a_command_needs_is_found_without_running_anything(job, typed, paths):
    assert names(script.needs(options.parse(typed), str(job)), job) == paths


def test_a_module_of_the_environment_is_asked_for_by_its_name(job):
    needed = script.needs(options.parse(["-m", "some.tool"]), str(job))
    assert (needed.paths, needed.modules) == ([], ["some.tool"])


MISSING_HERE = [
    (["none.py"], "The script .*none.py is not there; correct the path"),
    (["pkg.train"], "for a module write -m"),
    (["--no_python", "./prog"], "The program .*prog is not there"),
    (["-m", "lib"], "package without __main__.py"),
    (
        ["broken.py", "--deepspeed", "--deepspeed_config", "ds.json"],
        r"ds\.json, which --deepspeed_config names, is not th",
    ),
    (["broken.py", "--deepspeed=ds.json"], r"ds\.json, which --deepspeed names, is not there"),
]


@pytest.mark.parametrize(("typed", "words"), MISSING_HERE)
def test_what_is_missing_here_is_said(job, typed, words):
    with pytest.raises(Refusal, match=words):
        script.needs(options.parse(typed), str(job))


# --- answers

NEEDS = script.Needs(
    "/job",
    [script.Path("/job/t.py", "file", "the script", "1:a"), script.Path("/data", "folder", "the argument /data")],
    ["tool"],
)


def answer(**different):
    good = {
        "host": "x",
        "python": "3.11",
        "versions": {"deepspeed": "0.19.8", "torch": "2.13.0"},
        "folder": "same",
        "states": ["same", "same"],
        "modules": {"tool": True},
        "port": 29500,
        "holder": {},
        "runs": [],
        "gpus": [],
    }
    return {**good, **different}


def use(gpu, **different):
    return {"gpu": gpu, "pid": 7, "user": "bob", "since": 0, "command": "python x.py", "memory_mib": 1, **different}


def left(**different):
    return {
        "run": "r1",
        "user": "ann",
        "own": True,
        "since": 0,
        "script": "t.py",
        "steered": False,
        "pids": [1],
        **different,
    }


# answers that differ of a, of b; options; the sentences that prevent the start, by words
PREVENTED = [
    (
        {},
        {"states": ["missing", "same"]},
        [],
        ["b lacks /job/t.py (the script); bring it there by 'ds-launch --sync'."],
    ),
    (
        {"states": ["missing", "missing"]},
        {"states": ["missing", "missing"]},
        [],
        ["a and b lack /job/t.py (the script); bring", "a and b lack /data (the argument /data); copy it there."],
    ),
    ({}, {"states": ["differs", "same"]}, [], ["/job/t.py (the script) has another content on b than here"]),
    ({}, {"states": ["same", "unlike"]}, [], ["/data (the argument /data) is a folder here, but not on b"]),
    ({}, {"states": ["unreadable", "same"]}, [], ["b cannot read /job/t.py"]),
    ({}, {"folder": "missing", "states": ["missing", "same"]}, [], ["b cannot enter the working folder /job;"]),
    ({}, {"modules": {"tool": False}}, [], ["b cannot import the module tool"]),
    ({}, {"versions": {"torch": "2.13.0"}}, [], ["deepspeed is not installed on b; run the playbook 'site'."]),
    (
        {},
        {"versions": {"deepspeed": "0.16.9", "torch": "2.13.0"}},
        [],
        ["different versions of deepspeed: 0.19.8 on a and 0.16.9 on b"],
    ),
    ({}, {"python": "3.12"}, [], ["different versions of python: 3.11 on a and 3.12 on b"]),
    ({"port": 0}, {}, [], ["a has no free port from 29500 to 29699"]),
    (
        {"port": 0, "holder": {"user": "bob", "pid": 9, "command": "python y", "since": 0}},
        {},
        ["--master_port", "29500"],
        [
            "Port 29500 of a is in use by bob since 1970-01-01 00:00 (process 9: python y); leave --master_port out, "
            "so that a free port is taken, give another, or wait until that process has ended."
        ],
    ),
    (
        {"port": 0, "holder": {"user": "bob"}},
        {},
        ["--master_port", "29500"],
        ["in use by bob, whose processes this account cannot see; leave"],
    ),
    (
        {"port": 0, "holder": {"user": ""}},
        {},
        ["--master_port", "29500"],
        ["in use, and nothing shows by whom (another launch may keep it); leave"],
    ),
    ({}, {"gpus": [use(0), use(1)]}, [], ["GPU 0 and 1 of b are in use (process 7, by bob since"]),
    ({}, {"runs": [left()]}, [], ["An earlier run left processes behind: r1 of ann, t.py, on b, since"]),
]
# the same without a reason to stop; words of what is said
SAID = [
    ({}, {}, [], []),
    ({}, {"gpus": [use(0)]}, ["--share"], ["GPU 0 of b is in use"]),
    ({}, {"runs": [left()]}, ["--share"], ["An earlier run left processes behind"]),
    ({"runs": [left(steered=True)]}, {"runs": [left()]}, [], ["Another run goes on: r1 of ann, t.py, on a and b"]),
    (
        {},
        {"runs": [left(own=False, user="bob", script="")]},
        [],
        ["A run without its ds-launch is still there: r1 of bob"],
    ),
]


def judged(one, other, typed):
    answers = {"a": answer(**one), "b": answer(**other)}
    return look.judge(NEEDS, answers, options.parse([*typed, "t.py"]))


@pytest.mark.parametrize(("one", "other", "typed", "words"), PREVENTED)
def test_what_prevents_a_start_is_one_sentence_with_all_its_nodes(one, other, typed, words, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    problems, _notes = judged(one, other, typed)
    assert len(problems) == len(words)
    assert all(part in problem for part, problem in zip(words, problems))


@pytest.mark.parametrize(("one", "other", "typed", "words"), SAID)
def test_what_prevents_nothing_is_only_said(one, other, typed, words):
    problems, notes = judged(one, other, typed)
    assert problems == []
    assert len(notes) == len(words)
    assert all(part in note for part, note in zip(words, notes))


def test_the_first_node_alone_is_asked_for_a_port_and_cpus_for_no_gpu():
    slots = {"a": [0], "b": [0, 1]}
    asked = look.questions(NEEDS, slots, options.parse(["t.py"]), False)
    assert asked[0]["ports"][0] == look.FIRST_PORT
    assert "ports" not in asked[1]
    assert [question["gpus"] for question in asked] == [[0], [0, 1]]
    assert [question["gpus"] for question in look.questions(NEEDS, slots, options.parse(["t.py"]), True)] == [[], []]
