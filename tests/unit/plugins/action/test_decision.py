# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A deciding task asks the node once, and says no in one sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action import environment_proof, torch_decision
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import documented_spec
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal

ENVIRONMENT = {
    "exists": True, "prefix": "/env", "python": "3.11.9", "machine": "x86_64", "records": {}, "errors": [],
    "packages": {"torch": "2.13.0+cpu"}, "torch": {"version": "2.13.0+cpu", "cuda": None, "hip": None},
}  # fmt: skip


class Node:
    """Answers in place of the modules of a node, and remembers what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {"environment_info": ENVIRONMENT, "environment_record": {"changed": True}}

    def execute(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        name = module_name.rpartition(".")[2]
        self.asked.append((name, module_args))
        return dict(self.answers[name])

    def run(self, plugin: Any, **arguments: Any) -> dict[str, Any]:
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task = SimpleNamespace(args=arguments)
        action._execute_module = self.execute
        found: dict[str, Any] = action.run()
        return found


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def test_options_are_those_of_the_documentation() -> None:
    spec = documented_spec("torch_decision")
    assert spec["version"] == {"type": "str", "required": True}
    assert spec["wheels"] == {"type": "list", "elements": "str", "default": []}


def test_the_node_is_asked_once(node: Node) -> None:
    decided = node.run(torch_decision, prefix="/env", version="2.13.0+cpu", torchvision="none", torchaudio="none")
    assert (decided["packages"], decided["due"], decided["changed"]) == (["torch==2.13.0+cpu"], True, False)
    assert node.asked == [("environment_info", {"prefix": "/env", "gather": ["packages"]})]


def test_what_cannot_be_is_one_sentence_without_a_place_in_our_files(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^torch 2.0.1\+cu117 is not a build for cu118; give the tag once") as refusal:
        node.run(torch_decision, prefix="/env", version="2.0.1+cu117", build="cu118")
    assert refusal.value.omit_exception_key


def test_a_module_that_fails_is_the_failure_of_the_task(node: Node) -> None:
    node.answers["environment_info"] = {"failed": True, "msg": "no python"}
    assert node.run(torch_decision, prefix="/env", version="2.13.0") == {"failed": True, "msg": "no python"}


def test_what_is_proved_is_recorded_with_the_versions_that_were_found(node: Node) -> None:
    installed = {"packages": ["torch==2.13.0+cpu"]}
    proved = node.run(
        environment_proof, prefix="/env", torch=installed, record={"asked": ["x"]}, recorded_packages=["torch", "apex"]
    )
    assert proved["changed"]
    assert proved["environment"]["packages"] == {"torch": "2.13.0+cpu"}
    record = {"asked": ["x"], "found": {"torch": "2.13.0+cpu"}}
    assert node.asked[-1] == ("environment_record", {"prefix": "/env", "name": "torch", "record": record})


def test_what_is_not_what_was_asked_for_is_refused_and_not_recorded(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^/env has torch 2.13.0\+cpu, not torch==2.12.0\+cpu."):
        node.run(environment_proof, prefix="/env", torch={"packages": ["torch==2.12.0+cpu"]}, record={})
    assert [name for name, _arguments in node.asked] == ["environment_info"]


def test_one_kind_is_proved_at_a_time(node: Node) -> None:
    with pytest.raises(Refusal, match=r"takes one of torch, .*, and 0 are given"):
        node.run(environment_proof, prefix="/env")
