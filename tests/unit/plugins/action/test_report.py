# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action.report import ActionModule
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal


class Screen:
    """What was printed, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, text: str, color: str | None = None) -> None:
        self.lines.append(text)


@pytest.fixture
def screen() -> Screen:
    return Screen()


def report(screen: Screen, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args=arguments)
    action._display = screen
    found: dict[str, Any] = action.run()
    return found


def test_lines_are_printed_as_they_are(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(screen, monkeypatch, lines=["node   GPUs", "", "node1  8"]) == {"changed": False}
    assert screen.lines == ["node   GPUs", "", "node1  8"]


def test_lines_for_the_end_are_handed_to_the_callback(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(screen, monkeypatch, lines=["Next: a"], at_end=True) == {"at_end": ["Next: a"], "changed": False}
    assert screen.lines == []


REFUSALS = [
    ({"failure": "It cannot work.", "reasons": ["a", "b"]}, ["- a", "- b"], "It cannot work; the reasons are above."),
    ({"failure": "node1 is lost."}, [], "node1 is lost."),
]


@pytest.mark.parametrize(("arguments", "printed", "message"), REFUSALS)
def test_a_failure_is_told_once(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], printed: list[str], message: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        report(screen, monkeypatch, **arguments)
    assert screen.lines == printed
    assert refusal.value.result_contribution == {"failed": True, "msg": message}
    assert refusal.value.omit_exception_key


@pytest.mark.parametrize("arguments", [{"failure": "x", "reasons": []}, {"failure": "", "reasons": ["a"]}])
def test_nothing_fails_without_a_reason(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    assert report(screen, monkeypatch, **arguments) == {"changed": False}
    assert screen.lines == []
