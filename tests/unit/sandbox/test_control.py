# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a control node makes its environment anew, and what it takes for a failure; without a container."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.control import Node
from sandbox.shell import SandboxError


class Engine:
    """Stands for Docker: notes what is executed, and ends it as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = 0, output: str = "") -> None:
        self.ran: list[list[str]] = []
        self.code, self.output = code, output
        monkeypatch.setattr("sandbox.control.subprocess.run", self._run)

    def _run(self, argv: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(list(argv))
        return subprocess.CompletedProcess(argv, self.code, self.output)


def node(folder: Path) -> Node:
    return Node(folder, read_only=[])


def test_an_environment_is_made_once_for_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    node(tmp_path).install("ansible-core==2.21.5")
    made = len(engine.ran)
    assert made == 2
    node(tmp_path).install("ansible-core==2.21.5")
    assert len(engine.ran) == made
    node(tmp_path).install("ansible-core==2.21.6")
    assert len(engine.ran) == 2 * made


def test_an_environment_that_could_not_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, code=1, output="no such package")
    with pytest.raises(SandboxError, match="no such package"):
        node(tmp_path).install("ansible-core==2.21.5")
    engine = Engine(monkeypatch)
    node(tmp_path).install("ansible-core==2.21.5")
    assert engine.ran


def test_commands_are_those_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    node(tmp_path).run("ansible", "--version", env={"HOME": "/root"}, cwd=Path("/srv"))
    [argv] = engine.ran
    assert argv[-2:] == ["ansible", "--version"]
    assert argv[argv.index("--workdir") + 1] == "/srv"
    assert "HOME=/root" in argv
    assert any(word.startswith(f"PATH={tmp_path}/venv/bin:") for word in argv)


RUNS: dict[str, tuple[int, str, dict[str, Any], str | None]] = {
    "as expected": (0, "fine", {}, None),
    "a failure": (1, "", {}, "ansible ended with 1 in place of 0"),
    "a failure that is expected": (4, "Set aside", {"ends": 4, "says": "Set aside"}, None),
    "a success where a failure is expected": (0, "Set aside", {"ends": 4}, "ansible ended with 0 in place of 4"),
    "a failure for another reason": (4, "Permission denied", {"ends": 4, "says": "Set aside"}, "did not print"),
}


@pytest.mark.parametrize("case", RUNS.values(), ids=RUNS)
def test_a_command_ends_as_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[int, str, dict[str, Any], str | None]
) -> None:
    code, output, expected, problem = case
    Engine(monkeypatch, code, output)
    if problem is None:
        node(tmp_path).run("ansible", **expected)
    else:
        with pytest.raises(SandboxError, match=problem):
            node(tmp_path).run("ansible", **expected)


def test_what_a_quiet_command_printed_is_shown_once_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Engine(monkeypatch, output="much")
    node(tmp_path).run("ansible-doc", quiet=True)
    assert "much" not in capsys.readouterr().out
    Engine(monkeypatch, code=1, output="much")
    with pytest.raises(SandboxError):
        node(tmp_path).run("ansible-doc", quiet=True)
    assert "much" in capsys.readouterr().out
