"""Which commands of .ci/quick look at which files."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from sandbox.shell import ROOT


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, in a folder with a few files."""
    loader = SourceFileLoader("ci_quick", str(ROOT / ".ci" / "quick"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    for name in (
        *("roles/conda/tasks/main.yml", "roles/conda/files/run.py", "molecule/conda/converge.yml", "data/gpus.yml"),
        *(".ci/scenarios", "changelogs/fragments/1-a.yml", "docs/testing.md"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.mark.parametrize(
    ("changed", "commands"),
    [
        ("docs/testing.md", []),
        ("roles/conda/tasks/gone.yml", []),
        ("data/gpus.yml", ["yamllint data/gpus.yml"]),
        ("roles/conda/tasks/main.yml", ["yamllint roles/conda/tasks/main.yml", "ansible-lint roles/conda"]),
        ("molecule/conda/converge.yml", ["yamllint molecule/conda/converge.yml", "ansible-lint molecule/conda"]),
        ("roles/conda/files/run.py", ["ruff check roles/conda/files/run.py", "ruff format roles/conda/files/run.py"]),
        (".ci/scenarios", ["ruff check .ci/scenarios", "ruff format .ci/scenarios"]),
        ("changelogs/fragments/1-a.yml", ["yamllint changelogs/fragments/1-a.yml", "antsibull-changelog lint"]),
    ],
)
def test_each_file_is_read_by_what_lints_its_kind(ci: Any, changed: str, commands: list[str]) -> None:
    words = [
        " ".join(word for word in command if word not in (".config/yamllint.yml",) and not word.startswith("--"))
        for command in ci.lint([changed])
        if command[0] != "mypy"
    ]
    assert words == commands


def test_types_are_checked_as_a_whole_where_python_changed(ci: Any) -> None:
    assert "mypy" in [command[0] for command in ci.lint(["roles/conda/files/run.py"])]
    assert "mypy" not in [command[0] for command in ci.lint(["data/gpus.yml"])]


def test_the_change_is_what_differs_and_what_git_does_not_know(ci: Any) -> None:
    for words in (
        *(["init", "--quiet"], ["add", "data", "docs"]),
        ["-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message=one"],
    ):
        ci.git(*words)
    (ci.ROOT / "data" / "gpus.yml").write_text("---\n")
    found = ci.changed("HEAD")
    assert "data/gpus.yml" in found
    assert "roles/conda/tasks/main.yml" in found
    assert "docs/testing.md" not in found
