# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old").write_text("old\n")
    (tmp_path / "gone").write_text("gone\n")
    return tmp_path


def change(journal: Journal, folder: Path) -> None:
    journal.write(folder / "new" / "file", b"new\n")
    journal.write(folder / "old", b"changed\n", keep=True)
    journal.remove(folder / "gone", keep=True)


def state(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_change_and_what_was_there_is_kept_beside_them(folder: Path) -> None:
    journal = Journal()
    change(journal, folder)
    kept = {Path(path).name.split(".")[0]: Path(path).read_text() for path in journal.backups}
    assert kept == {"old": "old\n", "gone": "gone\n"}
    assert {name: text for name, text in state(folder).items() if not name.endswith("~")} == {
        "new/file": "new\n",
        "old": "changed\n",
    }
    assert (folder / "new/file").stat().st_mode & 0o777 == 0o644


def test_everything_comes_back(folder: Path) -> None:
    before = state(folder)
    journal = Journal()
    change(journal, folder)
    journal.undo()
    assert state(folder) == before


def test_a_file_that_another_program_has_made_goes_again(folder: Path) -> None:
    before = state(folder)
    journal = Journal()
    journal.witness(folder / "installed")
    (folder / "installed").write_text("by a package\n")
    journal.look_again()
    assert journal.changed
    assert journal.is_new(folder / "installed")
    journal.undo()
    assert state(folder) == before


def test_check_mode_shows_the_same_and_writes_nothing(folder: Path) -> None:
    before, journal, real = state(folder), Journal(dry=True), Journal()
    change(journal, folder)
    assert state(folder) == before
    change(real, folder)
    assert journal.diff == real.diff
    assert [each["after"] for each in journal.diff] == ["new\n", "changed\n", ""]


def test_the_same_again_is_no_change(folder: Path) -> None:
    journal = Journal()
    journal.write(folder / "old", b"old\n")
    journal.remove(folder / "nowhere")
    assert (journal.changed, journal.diff) == (False, [])


def test_there_and_back_is_no_change(folder: Path) -> None:
    journal = Journal()
    journal.write(folder / "old", b"other\n")
    journal.write(folder / "old", b"old\n")
    assert not journal.changed


def test_bytes_that_are_no_text_are_counted_in_a_difference(folder: Path) -> None:
    journal = Journal()
    journal.write(folder / "key", b"\x98\xff\x00")
    assert journal.diff[0]["after"] == "(3 bytes that are no text)\n"
