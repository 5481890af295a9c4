# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wheel of the user's own goes the same way to a node as one that was built."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action import wheel_delivery
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal

BUILT = {"filename": "x.whl", "path": "/artifacts/x.whl", "sha256": "0" * 64, "key": "k", "needs": {}}


class Node:
    """Lacks the wheel until it is handed over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.swept: list[Any] = []
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(wheel_delivery, "handed_over", self.handed_over)
        monkeypatch.setattr(wheel_delivery, "sweep", self.swept.append)
        self.asked: list[dict[str, Any]] = []
        self.handed: list[Path] = []

    @contextmanager
    def handed_over(self, _action: Any, path: Path, name: str) -> Any:
        self.handed.append(path)
        yield f"/tmp/{name}"

    def execute(self, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.asked.append(module_args)
        return {"present": "source" in module_args}

    def find(self, _folder: str, name: str) -> str:
        if not Path(name).exists():
            raise AnsibleError("could not find or access")
        return name

    def run(self, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        action = wheel_delivery.ActionModule.__new__(wheel_delivery.ActionModule)
        action._task = SimpleNamespace(args={"prefix": "/env", "dest": "/d", **arguments}, check_mode=check_mode)
        action._execute_module, action._find_needle = self.execute, self.find
        found: dict[str, Any] = action.run()
        return found


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def test_a_wheel_that_the_node_lacks_is_handed_over(node: Node) -> None:
    assert node.run(wheel=BUILT)["present"]
    assert node.handed == [Path("/artifacts/x.whl")]


def test_a_file_of_the_user_is_known_by_its_sum_and_does_not_come_from_the_depot(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "apex-0.1-py3-none-any.whl"
    file.write_bytes(b"wheel")
    assert node.run(file=str(file), wheel=BUILT, depot_url="http://depot")["present"]
    assert node.asked[0]["wheel"] == {"filename": file.name, "path": str(file), "sha256": sum_of(file)}
    assert node.asked[0]["depot_url"] == ""
    assert node.handed == [file]


def test_nothing_is_handed_over_in_check_mode_or_without_a_wheel(node: Node) -> None:
    node.run(check_mode=True, wheel=BUILT)
    assert node.swept == []
    node.run(wheel={})
    assert node.handed == []


def test_a_file_that_does_not_exist_is_one_sentence(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^There is no wheel /none\.whl on the control node; correct its path\.$"):
        node.run(file="/none.whl")
