from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files import landing as files


def landing(path: Path, text: str | None, mode: int | None = None, ours: bool = False) -> files.Landing:
    return files.Landing(before=files.see(path), text=text, mode=mode, ours=ours)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("before\n", encoding="utf-8")
    path.chmod(0o640)
    return path


def test_a_new_file_gets_its_mode_and_no_copy(tmp_path: Path) -> None:
    step = landing(tmp_path / "new", "text\n", mode=0o600)
    assert step.changed
    assert files.land(step) is None
    assert (step.before.path.read_text(encoding="utf-8"), mode(step.before.path)) == ("text\n", 0o600)
    assert not landing(tmp_path / "new", "text\n", mode=0o600).changed


def test_a_file_of_others_keeps_its_mode_and_a_copy_of_it_stays(file: Path) -> None:
    copy = files.land(landing(file, "after\n"))
    assert copy is not None
    assert Path(copy).read_text(encoding="utf-8") == "before\n"
    assert (file.read_text(encoding="utf-8"), mode(file), mode(Path(copy))) == ("after\n", 0o640, 0o640)


def test_a_file_of_ours_is_replaced_without_a_copy(file: Path) -> None:
    assert files.land(landing(file, "after\n", ours=True)) is None
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_mode_alone_is_a_change_without_a_copy(file: Path) -> None:
    step = landing(file, "before\n", mode=0o600)
    assert step.changed
    assert (step.diff["before"], step.diff["after"]) == ("mode 0640\n", "mode 0600\n")
    assert files.land(step) is None
    assert mode(file) == 0o600


def test_a_file_that_should_not_be_goes(file: Path) -> None:
    files.land(landing(file, None, ours=True))
    assert not file.exists()


def test_a_link_is_followed_and_stays_a_link(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    files.land(landing(link, "after\n"))
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == "after\n"


def test_bytes_that_are_not_utf8_survive(file: Path) -> None:
    file.write_bytes(b"caf\xe9\n")
    seen = files.see(file)
    assert seen.text is not None
    files.land(files.Landing(before=seen, text=seen.text + "after\n", mode=None, ours=True))
    assert file.read_bytes() == b"caf\xe9\nafter\n"


@pytest.mark.parametrize("reason", [errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EROFS])
def test_a_file_that_is_a_mount_is_written_in_place(file: Path, monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    inode = file.stat().st_ino

    def refuse(self: Path, target: Any) -> Path:
        raise OSError(reason, "no")

    monkeypatch.setattr(Path, "replace", refuse)
    files.land(landing(file, "a\n"))
    assert (file.read_text(encoding="utf-8"), file.stat().st_ino) == ("a\n", inode)
    assert not list(file.parent.glob(".file.*"))


def test_a_disk_that_is_full_is_no_reason_to_write_in_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Any) -> Path:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        files.land(landing(file, "a\n"))
    assert file.read_text(encoding="utf-8") == "before\n"
