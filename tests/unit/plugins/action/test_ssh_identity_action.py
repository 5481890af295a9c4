# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node that cannot be asked is a failed result, which a task may ignore."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action.ssh_identity import ActionModule


@pytest.fixture
def ask(monkeypatch):
    """Runs the action on a node whose module answers, or fails, in the given way."""

    def run(answer):
        def execute(self, **_arguments):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        monkeypatch.setattr(ActionModule, "_execute_module", execute)
        return ActionModule.__new__(ActionModule).run(None, {})

    return run


def test_the_answer_of_the_module_is_the_result(ask):
    assert ask({"changed": False, "record": {"name": "node1"}}) == {"changed": False, "record": {"name": "node1"}}


def test_sudo_that_wants_a_password_is_a_failed_result(ask):
    assert ask(AnsibleError("Missing sudo password")) == {"failed": True, "msg": "Missing sudo password"}


def test_a_node_out_of_reach_stays_unreachable(ask):
    with pytest.raises(AnsibleConnectionFailure):
        ask(AnsibleConnectionFailure("no route"))
