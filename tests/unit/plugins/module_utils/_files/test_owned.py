# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.owned import (
    digest,
    is_lossless,
    judge,
    judge_removal,
    left_over,
    lines_record,
    merged,
    values,
    without_values,
)

PATH = "/job/hostfile"
OURS = {PATH: digest("ours\n")}

# name, what is there, what is wanted, the record, (write, by hand)
JUDGED = [
    ("nothing there", None, "new\n", {}, (True, False)),
    ("written by us, still right", "ours\n", "ours\n", OURS, (False, False)),
    ("written by us, to be changed", "ours\n", "new\n", OURS, (True, False)),
    ("edited by hand", "theirs\n", "new\n", OURS, (True, True)),
    ("there before us", "theirs\n", "new\n", {}, (True, True)),
    ("edited by hand to what is wanted", "new\n", "new\n", OURS, (False, False)),
    ("emptied by hand", "", "new\n", OURS, (True, True)),
    ("only looked at, ours", "ours\n", None, OURS, (False, False)),
    ("only looked at, theirs", "theirs\n", None, OURS, (False, True)),
]


@pytest.mark.parametrize(
    ("present", "wanted", "record", "expected"), [row[1:] for row in JUDGED], ids=[row[0] for row in JUDGED]
)
def test_an_edited_file_is_told_from_one_that_was_written(present, wanted, record, expected):
    verdict = judge(PATH, present, wanted, record)
    assert (verdict.write, verdict.by_hand) == expected


def test_difference_shows_both_sides():
    difference = judge(PATH, "a slots=1\nb slots=2\n", "a slots=1\nb slots=4\n", {}).difference
    assert "-b slots=2\n" in difference
    assert "+b slots=4\n" in difference


# what is there, the record, (remove, by hand)
REMOVED = [
    (None, OURS, (False, False)),
    ("ours\n", OURS, (True, False)),
    ("theirs\n", OURS, (True, True)),
    ("theirs\n", {}, (True, True)),
    ("theirs\n", None, (True, False)),
]


@pytest.mark.parametrize(("present", "record", "expected"), REMOVED)
def test_an_edited_file_is_told_before_it_is_removed(present, record, expected):
    verdict = judge_removal(PATH, present, record)
    assert (verdict.write, verdict.by_hand) == expected


RECORD = dict.fromkeys(("/p/lib/a.py", "/p/lib/b.py", "/p/library", "/p/lib/../etc/x", "/etc/x"), "sum")
# paths that are named, folders, what is left over
LEFT = [
    (["/p/lib/a.py"], ["/p/lib"], ["/p/lib/b.py"]),
    (["/p/lib/a.py"], ["/p/lib/"], ["/p/lib/b.py"]),
    (["/p/lib/a.py", "/p/lib/b.py"], ["/p/lib"], []),
    ([], ["/etc/x", "/etc/y", "/p/li"], ["/etc/x"]),
    (["/etc/x"], ["/etc/x"], []),
    ([], [], []),
]


@pytest.mark.parametrize(("named", "folders", "expected"), LEFT)
def test_what_was_written_below_a_folder_and_is_not_named_any_more_is_left_over(named, folders, expected):
    assert left_over(RECORD, named, folders) == expected


WRITTEN = lines_record("A=1\nB=2\n")
# what is there, what is wanted, what was written last, what comes of it, whether it has all lines of others
MERGED = [
    (None, "A=1\n", None, "A=1\n", True),
    ("A=1\nB=2\n", "A=1\n", WRITTEN, "A=1\n", True),
    ("A=1\nB=2\nHF_TOKEN=x\n", "A=3\nC=4\n", WRITTEN, "A=3\nC=4\nHF_TOKEN=x\n", True),
    ("A=1\nB=2\nHF_TOKEN=x", "A=1\nB=2\n", WRITTEN, "A=1\nB=2\nHF_TOKEN=x\n", True),
    ("A=9\nB=2\n", "A=1\nB=2\n", WRITTEN, "A=1\nB=2\n", False),
    ("A=1\n# mine\n\n", "A=1\n", WRITTEN, "A=1\n", False),
    ("HF_TOKEN=x\n", "A=1\n", None, "A=1\nHF_TOKEN=x\n", True),
]


@pytest.mark.parametrize(("present", "wanted", "written", "after", "lossless"), MERGED)
def test_lines_of_others_stay(present, wanted, written, after, lossless):
    assert merged(present, wanted, written) == after
    assert is_lossless(present, after, written) is lossless
    # What was written and merged is right the next time.
    assert merged(after, wanted, lines_record(wanted)) == after


def test_values_are_left_out_of_what_is_shown():
    text = "--- /x\n+++ written now\n-HF_TOKEN=hf_abc\n+export A='b c'\n DS=1\n@@ -1 +1 @@\n"
    shown = "--- /x\n+++ written now\n-HF_TOKEN=...\n+export A=...\n DS=...\n@@ -1 +1 @@\n"
    assert without_values(text) == shown


def test_what_may_be_a_secret_is_long_and_no_path():
    assert values("HF_TOKEN='hf_abcdefgh'\nN=1\nHOME=/a/long/path\nW=wandb-key-1\n") == ["hf_abcdefgh", "wandb-key-1"]
