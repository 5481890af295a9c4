# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as a whole: a file of variables to which a user adds lines, and files that nobody names any more."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fromzero.deepspeed.plugins.modules import owned_files


@pytest.fixture
def write(tmp_path, capsys):
    """Writes files below a folder and returns what the module says, as Ansible prints it."""

    def run(*files, **more):
        arguments = {"record": str(tmp_path / "record.json"), "files": list(files), **more}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            owned_files.main()
        return capsys.readouterr().out

    return run


def variables(path, text):
    return {"path": str(path), "content": text, "mode": "0600", "secret": True, "merge": True}


def test_lines_of_the_user_stay_from_run_to_run_and_are_never_shown(tmp_path, write):
    path = tmp_path / "env"
    write(variables(path, "A=1\nB=2\n"))
    with path.open("a") as file:
        file.write("HF_TOKEN=hf_of_the_user\n")
    for text, after in [
        ("A=1\nB=2\n", "A=1\nB=2\nHF_TOKEN=hf_of_the_user\n"),
        ("A=3\nC=long_enough\n", "A=3\nC=long_enough\nHF_TOKEN=hf_of_the_user\n"),
        ("A=3\n", "A=3\nHF_TOKEN=hf_of_the_user\n"),
    ]:
        said = write(variables(path, text))
        assert path.read_text() == after
        assert "hf_of_the_user" not in said
        assert "long_enough" not in said
        assert json.loads(said)["files"][0]["by_hand"] is False
    assert json.loads(write(variables(path, "A=3\n")))["changed"] is False
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [*tmp_path.glob("env.*~")]


def test_a_file_that_was_there_before_is_kept_as_a_copy_and_not_opened(tmp_path, write):
    path = tmp_path / "env"
    path.write_text("# mine\nHF_TOKEN=hf_of_the_user\n")
    path.chmod(0o400)
    said = write(variables(path, "A=1\n"))
    assert path.read_text() == "A=1\nHF_TOKEN=hf_of_the_user\n"
    assert "hf_of_the_user" not in said
    [copy] = tmp_path.glob("env.*~")
    assert copy.read_text() == "# mine\nHF_TOKEN=hf_of_the_user\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_a_change_by_hand_of_a_line_of_ours_is_reported_without_its_value(tmp_path, write):
    path = tmp_path / "env"
    write(variables(path, "A=1\n"))
    path.write_text("A=something_secret\n")
    said = write(variables(path, "A=1\n"))
    assert json.loads(said)["files"][0]["by_hand"] is True
    assert "something_secret" not in said
    [copy] = tmp_path.glob("env.*~")
    assert copy.read_text() == "A=something_secret\n"
    assert path.read_text() == "A=1\n"


def test_a_file_that_nobody_names_any_more_is_removed_from_a_whole_folder(tmp_path, write):
    folder = tmp_path / "program"
    old, new = Path(folder, "old.py"), Path(folder, "new.py")
    write({"path": str(old), "content": "1\n"}, {"path": str(new), "content": "2\n"})
    write({"path": str(new), "content": "2\n"}, whole_folders=[str(folder)])
    assert [*folder.iterdir()] == [new]
