# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A build installs what it needs, each thing as the account that may, and only where no wheel exists."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action import wheel_build
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal

ENVIRONMENT = {"prefix": "/env", "python": "3.11.2", "headers": False, "torch": "2.0.1+cu117"}
LOOK = {
    "key": "k1", "state": "absent", "wheel": {}, "log": "/log", "progress": {}, "environment": ENVIRONMENT,
}  # fmt: skip
NEEDS = {"user": "trainer", "needs": ["compiler", "headers"], "install_needs": True, "torch_extension": True}


class Become:
    """The account that modules run as."""

    def __init__(self) -> None:
        self.user = "root"

    def get_option(self, _name: str) -> str:
        return self.user

    def set_option(self, _name: str, value: str) -> None:
        self.user = value


class Node:
    """Answers in place of the modules of a node that builds, and remembers what they were asked, and as whom."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(wheel_build.time, "sleep", lambda seconds: None)
        self.artifacts = folder / "artifacts"
        self.file = folder / "x-1.0-py3-none-any.whl"
        self.file.write_bytes(b"wheel")
        self.wheel = {
            "name": "x", "version": "1.0", "key": "k1", "filename": self.file.name, "sha256": sum_of(self.file),
            "path_on_node": str(self.file),
        }  # fmt: skip
        self.become = Become()
        self.asked: list[tuple[str, str]] = []
        self.arguments: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, list[dict[str, Any]]] = {
            "look": [LOOK],
            "start": [{**LOOK, "state": "running"}],
            "watch": [{**LOOK, "state": "running"}, {**LOOK, "state": "finished", "wheel": self.wheel}],
            "package_transaction": [{"installed": {"g++": "12"}, "diff": {"after": "g++ 12\n"}}],
            "python_packages": [{"changed": True}],
        }

    def execute(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        name = module_name.rpartition(".")[2]
        name = module_args["step"] if name == "wheel_build" else name
        self.asked.append((name, self.become.user))
        self.arguments[name] = module_args
        answers = self.answers[name]
        return dict(answers.pop(0) if len(answers) > 1 else answers[0])

    def fetch(self, path: str, target: str) -> None:
        Path(target).write_bytes(Path(path).read_bytes())

    def run(self, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        action = wheel_build.ActionModule.__new__(wheel_build.ActionModule)
        given = {"name": "x", "source": "x==1.0", "prefix": "/env", "artifacts": str(self.artifacts), **arguments}
        action._task = SimpleNamespace(args=given, check_mode=check_mode, delegate_to="node1")
        shell = SimpleNamespace(tmpdir=None)
        action._connection = SimpleNamespace(become=self.become, _shell=shell, fetch_file=self.fetch)
        action._display = SimpleNamespace(display=lambda line: None)
        action._execute_module = self.execute
        facts = {"os_family": "Debian", "distribution_major_version": "12"}
        hostvars = {"node1": {"ansible_facts": facts}, "node2": {"ansible_facts": {"os_family": "RedHat"}}}
        found: dict[str, Any] = action.run(task_vars={"inventory_hostname": "node2", "hostvars": hostvars})
        return found


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_needs_are_installed_as_root_and_all_else_is_done_as_the_user(node: Node) -> None:
    built = node.run(**NEEDS, requirements=["psutil"], keep=["torch"], installer="pip")
    assert node.asked == [
        ("look", "trainer"),
        ("package_transaction", "root"),
        ("python_packages", "trainer"),
        ("start", "trainer"),
        ("watch", "trainer"),
        ("watch", "trainer"),
    ]
    assert node.arguments["package_transaction"]["install"] == ["g++", "make", "python3.11-dev"]
    assert "has no headers" in node.arguments["package_transaction"]["advice"]["python3.11-dev"]
    installation = node.arguments["python_packages"]
    assert {"setuptools<70", "ninja", "psutil"} < set(installation["packages"])
    assert (installation["keep"], installation["installer"], installation["prefix"]) == (["torch"], "pip", "/env")
    assert (built["changed"], built["host"], built["installed"]) == (True, "node1", {"g++": "12"})
    assert json.loads((Path(built["wheel"]["path"]).parent / "wheel.json").read_text())["built_on"] == "node1"
    assert node.become.user == "root"


def test_nothing_is_installed_where_the_control_node_keeps_the_wheel(node: Node) -> None:
    node.run(**NEEDS)
    node.asked.clear()
    again = node.run(**NEEDS)
    assert (again["changed"], [name for name, _user in node.asked]) == (False, ["look"])


def test_nothing_is_installed_where_the_node_has_the_wheel(node: Node) -> None:
    node.answers["look"] = [{**LOOK, "state": "finished", "wheel": node.wheel}]
    built = node.run(**NEEDS)
    assert (built["changed"], [name for name, _user in node.asked]) == (False, ["look"])
    assert Path(built["wheel"]["path"]).is_file()


def test_a_build_that_runs_already_is_waited_for(node: Node) -> None:
    node.answers["look"] = [{**LOOK, "state": "running"}]
    assert node.run(**NEEDS)["changed"]
    assert [name for name, _user in node.asked] == ["look", "watch", "watch"]


def test_without_needs_nothing_but_the_build_is_made(node: Node) -> None:
    node.run()
    assert {name for name, _user in node.asked} == {"look", "start", "watch"}


def test_what_may_not_be_installed_is_left_to_the_build_to_name(node: Node) -> None:
    node.run(needs=["compiler"], install_needs=False)
    assert "package_transaction" not in node.arguments


def test_check_mode_says_what_would_be_installed_and_built(node: Node) -> None:
    found = node.run(check_mode=True, **NEEDS)
    assert found["msg"] == "x would be built on node1. Packages to install there before: g++."
    assert (found["changed"], found["wheel"], found["diff"]) == (True, {}, {"after": "g++ 12\n"})
    assert "start" not in node.arguments


def test_check_mode_says_so_also_before_there_is_an_environment(node: Node) -> None:
    node.answers["look"] = [{**LOOK, "key": "", "environment": {}}]
    assert node.run(check_mode=True, **NEEDS)["msg"].startswith("x would be built on node1.")
    assert node.arguments["package_transaction"]["install"] == ["g++", "make"]


MISSING = {"failed": True, "msg": "git is missing on this node", "git_missing": True}


def test_git_is_installed_before_the_commit_of_a_tag_is_asked_for(node: Node) -> None:
    node.answers["look"] = [MISSING, LOOK]
    assert node.run(**NEEDS, source="git+https://host/x@v1")["changed"]
    assert [name for name, _user in node.asked][:3] == ["look", "package_transaction", "look"]
    node.answers["look"] = [MISSING]
    assert node.run(check_mode=True, **NEEDS, source="git+https://host/x@v2")["changed"]


def test_what_fails_on_the_builder_names_it(node: Node) -> None:
    node.answers["look"] = [MISSING]
    failed = node.run(source="git+https://host/x@v1")
    assert (failed["failed"], failed["msg"]) == (True, "node1: git is missing on this node")


def test_a_source_that_is_not_there_is_one_sentence(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^There is no /none on the control node; correct the path of the source.$"):
        node.run(source="/none")
