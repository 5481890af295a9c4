# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import programs


def program(folder: Path, mode: int) -> str:
    path = folder / "tool"
    path.write_text('#!/bin/sh\necho "$LC_ALL $1"\nexit 3\n', encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_program_is_run_in_the_language_that_is_parsed(tmp_path: Path) -> None:
    done = programs(lambda name: program(tmp_path, 0o755), 10)(["tool", "word"])
    assert done is not None
    assert (done.rc, done.stdout) == (3, "C word\n")


def test_a_program_that_is_not_there_is_none() -> None:
    assert programs(lambda name: None, 10)(["tool"]) is None


def test_a_program_that_cannot_be_started_fails_with_the_reason(tmp_path: Path) -> None:
    done = programs(lambda name: program(tmp_path, 0o644), 10)(["tool"])
    assert done is not None
    assert done.rc == 126
    assert "Permission denied" in done.stderr
