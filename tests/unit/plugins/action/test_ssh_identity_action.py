# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node that cannot be asked is a failed result, which a task may ignore."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action.ssh_identity import ActionModule
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.roster import write_roster


@pytest.fixture
def ask(monkeypatch):
    """Runs the action on a node whose module answers, or fails, in the given way."""

    def run(answer, **arguments):
        def execute(self, module_args, **_arguments):
            if isinstance(answer, Exception):
                raise answer
            return {**answer, "arguments": module_args} if arguments else answer

        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        monkeypatch.setattr(ActionModule, "_execute_module", execute)
        action = ActionModule.__new__(ActionModule)
        action._task = SimpleNamespace(args=arguments)
        return action.run(None, {})

    return run


def test_the_answer_of_the_module_is_the_result(ask):
    assert ask({"changed": False, "record": {"name": "node1"}}) == {"changed": False, "record": {"name": "node1"}}


def test_sudo_that_wants_a_password_is_a_failed_result(ask):
    assert ask(AnsibleError("Missing sudo password")) == {"failed": True, "msg": "Missing sudo password"}


def test_a_node_out_of_reach_stays_unreachable(ask):
    with pytest.raises(AnsibleConnectionFailure):
        ask(AnsibleConnectionFailure("no route"))


RECORD = {"address": "", "network": "", "names": [], "also": [], "port": 22, "public_keys": ["shared"], "host_keys": []}


@pytest.fixture
def roster(tmp_path):
    path = tmp_path / "ssh_mesh.json"
    path.write_text(write_roster([{**RECORD, "name": "node1"}, {**RECORD, "name": "node2"}]), encoding="utf-8")
    return path


def test_the_key_that_a_node_left_with_is_rotated_and_the_node_is_named(ask, roster):
    result = ask({"changed": True}, name="node1", members=["node1"], roster=str(roster), rotate=False)
    assert result["arguments"]["rotate"] is True
    assert result["warnings"] == ["node2 left the cluster with the key of node1, which a new one replaces."]


@pytest.mark.parametrize(("members", "there"), [(["node1", "node2"], True), (["node1"], False)])
def test_nothing_is_rotated_where_nobody_left_or_no_roster_is_there(ask, roster, members, there):
    path = str(roster) if there else "/nowhere/ssh_mesh.json"
    result = ask({"changed": False}, name="node1", members=members, roster=path, rotate=False)
    assert result["arguments"]["rotate"] is False
    assert "warnings" not in result
