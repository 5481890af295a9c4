"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files import atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "asked", "after"), [(None, None, 0o644), (0o600, None, 0o600), (0o644, 0o640, 0o640)]
)
def test_a_file_has_the_mode_asked_for_or_keeps_its_own(
    tmp_path: Path, before: int | None, asked: int | None, after: int
) -> None:
    path = tmp_path / "hostfile"
    if before is not None:
        path.write_text("old")
        path.chmod(before)
    atomic.write(path, "new\n", asked)
    assert (path.read_text(), mode(path)) == ("new\n", after)
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_never_more_open_than_it_shall_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _file: seen.extend(mode(path) for path in tmp_path.iterdir()))
    atomic.write(tmp_path / "key", b"secret", 0o600)
    assert seen == [0o600]


def test_what_cannot_be_finished_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hostfile"
    path.write_text("old")

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        atomic.write(path, "new")
    assert error.value.filename == str(path)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_a_group_that_may_not_be_given_is_no_failure_and_another_owner_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "env"
    path.write_text("old")

    def denied(*_arguments: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", denied)
    monkeypatch.setattr(os, "getegid", lambda: path.stat().st_gid + 1)
    atomic.write(path, "new")
    assert path.read_text() == "new"
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        atomic.write(path, "newer")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("new", [path])


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(b"caf\xe9\n")
    atomic.write(path, path.read_text(encoding="utf-8", errors="surrogateescape") + "x")
    assert path.read_bytes() == b"caf\xe9\nx"


def test_copies_are_as_closed_as_the_original_and_never_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("theirs")
    path.chmod(0o600)
    copies = [atomic.keep_copy(path) for _ in range(3)]
    assert len(set(copies)) == 3
    assert {(copy.read_text(), mode(copy), copy.name[-1]) for copy in copies} == {("theirs", 0o600, "~")}


def test_what_a_killed_process_of_this_node_has_left_is_found(tmp_path: Path) -> None:
    path, node = tmp_path / "key", os.uname().nodename
    dead = [tmp_path / f".key.{node}.{pid}" for pid in (4194300, 4194301)] + [tmp_path / f".key.{node}.4194300.pub"]
    others = [tmp_path / f".key.{node}.{os.getpid()}", tmp_path / ".key.another.4194300", tmp_path / ".other.1"]
    for file in (*dead, *others):
        file.touch()
    assert sorted(atomic.left_behind(path)) == sorted(dead)
