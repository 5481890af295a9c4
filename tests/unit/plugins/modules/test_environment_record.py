# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import read_records
from ansible_collections.fromzero.deepspeed.plugins.modules import environment_record


def run(capsys: pytest.CaptureFixture[str], prefix: Path, **more: Any) -> dict[str, Any]:
    arguments = {"prefix": str(prefix), "name": "torch", "record": {"asked": ["torch==2.13.0"]}, **more}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        environment_record.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_record_is_written_once_and_read_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = run(capsys, tmp_path)
    assert (first["changed"], first["diff"]["before"]) == (True, "")
    assert read_records(str(tmp_path)) == {"torch": {"asked": ["torch==2.13.0"]}}
    assert run(capsys, tmp_path)["changed"] is False


def test_the_wheels_that_were_brought_go(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, tmp_path)
    wheels = tmp_path / ".fromzero" / "wheels"
    wheels.mkdir()
    (wheels / "a.whl").touch()
    assert run(capsys, tmp_path)["changed"] is True
    assert not wheels.exists()


def test_check_mode_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, tmp_path, _ansible_check_mode=True)["changed"] is True
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path / "none") in run(capsys, tmp_path / "none")["msg"]
