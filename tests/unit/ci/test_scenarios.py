"""What .ci/scenarios promises: each scenario has a budget, the exit code is right, and time alone never fails a run."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from sandbox.shell import ROOT


def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program as a module; its name does not end as those of modules do."""
    loader = SourceFileLoader("ci_scenarios", str(ROOT / ".ci" / "scenarios"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, loader.name, module)
    loader.exec_module(module)
    return module


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, in a folder with two scenarios; `make` and `molecule` do what a test puts there."""
    module = load(monkeypatch)
    for scenario in ("quick", "slow"):
        (tmp_path / "molecule" / scenario).mkdir(parents=True)
        (tmp_path / "molecule" / scenario / "molecule.yml").write_text("---\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUDGETS", {"quick": 60, "slow": 600})
    monkeypatch.setattr(module, "sys", type("sys", (), {"executable": program(tmp_path, "python", "exit 0")}))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return module


def program(folder: Path, name: str, script: str) -> str:
    """A program that others find."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_every_scenario_has_a_budget_and_every_budget_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(load(monkeypatch).BUDGETS) == {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}


def test_the_longest_begins_first_and_one_without_a_budget_before_all(ci: Any) -> None:
    assert [job.name for job in ci.jobs_of([], ["quick", "slow", "new"])] == ["slow", "new", "quick"]
    assert [job.name for job in ci.jobs_of(["quick"], ["quick", "slow"])] == ["quick"]


def test_all_passes_with_a_line_for_each_and_a_table(
    ci: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path, "molecule", "echo noise")
    program(tmp_path, "make", "echo noise")
    assert ci.main(["--beside", "unit", "lint"]) == 0
    output = capsys.readouterr().out
    assert "noise" not in output
    assert all(f"{name:<24} passed in " in output for name in ("image", "prepare", "lint", "unit", "quick", "slow"))
    assert "budget s" in output
    assert output.endswith("6 passed, 0 failed\n")


@pytest.mark.parametrize(
    ("failing", "script"),
    [("slow", '[ "$3" = quick ] || { echo slow broke; exit 1; }'), ("lint", "exit 0")],
)
def test_what_fails_is_shown_with_its_log_and_the_rest_goes_on(
    ci: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], failing: str, script: str
) -> None:
    program(tmp_path, "molecule", script)
    program(tmp_path, "make", f"echo lint broke; [ {failing} != lint ]")
    assert ci.main(["--beside", "lint"]) == 1
    output = capsys.readouterr().out
    assert f"{failing:<24} FAILED in " in output
    assert f"{failing} broke" in output
    assert output.endswith(f"4 passed, 1 failed: {failing}\n")


def test_no_scenario_begins_where_what_all_share_cannot_be_made(
    ci: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path, "molecule", "exit 0")
    program(tmp_path, "python", "echo no engine; exit 1")
    assert ci.main([]) == 1
    output = capsys.readouterr().out
    assert "no engine" in output
    assert output.endswith("0 passed, 1 failed: image\n")


def test_what_needs_nothing_prepared_begins_at_once_and_alone_where_that_fails(
    ci: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "molecule" / "slow" / "molecule.yml").write_text("ansible: {env: {SANDBOX_WITH: wheels}}\n")
    program(tmp_path, "molecule", f"echo $3 >> {tmp_path}/begun")
    # What is prepared waits for a scenario, so it would never end if scenarios waited for it.
    wait = f"for second in 1 2 3 4 5 6 7 8; do [ -e {tmp_path}/begun ] && exit 1; sleep 1; done"
    program(tmp_path, "python", f'[ "$4" = --bare ] || {{ {wait}; }}')
    assert ci.main([]) == 1
    assert (tmp_path / "begun").read_text() == "quick\n"
    assert capsys.readouterr().out.endswith("2 passed, 1 failed: prepare\n")


def test_over_budget_is_said_and_fails_nothing(
    ci: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "molecule", "sleep 0.2")
    monkeypatch.setattr(ci, "BUDGETS", {"quick": 0, "slow": 600})
    assert ci.main([]) == 0
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines() if line.endswith("  over budget")] == ["quick"]
    assert [line.split()[0] for line in output.splitlines() if line.endswith("(over budget)")] == ["quick"]
