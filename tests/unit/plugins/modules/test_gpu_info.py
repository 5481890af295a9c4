# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fromzero.deepspeed.plugins.modules import gpu_info


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        gpu_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def documented(contains: dict[str, Any]) -> dict[str, Any]:
    """The keys that the documentation promises, one within another."""
    return {
        name: documented(value.get("contains", {})) if value["type"] == "dict" else {}
        for name, value in contains.items()
    }


def told(value: dict[str, Any], promised: dict[str, Any]) -> dict[str, Any]:
    return {name: told(part, promised.get(name, {})) if promised.get(name) else {} for name, part in value.items()}


def test_this_machine_is_described_without_a_change_and_as_documented(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys)
    report = result["ansible_facts"]["fromzero_gpus"]
    promised = documented(yaml.safe_load(gpu_info.RETURN)["ansible_facts"]["contains"]["fromzero_gpus"]["contains"])
    assert result["changed"] is False
    assert told(report, promised) == promised


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_an_nvidia_smi_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path, "nvidia-smi", "sleep 30")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    before = time.monotonic()
    report = run(capsys, timeout=1)["ansible_facts"]["fromzero_gpus"]
    assert report["error"] == "nvidia-smi does not answer."
    assert time.monotonic() - before < 10


def test_programs_speak_english_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path, "nvidia-smi", 'echo "$LC_ALL and $CUDA_VISIBLE_DEVICES"; exit 9')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    report = run(capsys)["ansible_facts"]["fromzero_gpus"]
    assert report["error"] == "nvidia-smi ended with 9: C and"
