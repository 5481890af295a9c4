# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.roster import left_with_key_of


class ActionModule(ActionBase):
    """Runs the module; what fails before it answers, as sudo that wants a password does, is a result like any other.

    A node is also asked by another one, by delegate_to; an error would then end the node that asks, whatever
    failed_when says. The roster is on the control node, so its part of the module's work is done here.
    """

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        left = self._left(arguments)
        if left:
            arguments["rotate"] = True
            nodes = ", ".join(left)
            sentence = f"{nodes} left the cluster with the key of {arguments['name']}, which a new one replaces."
            result["warnings"] = [*result.get("warnings", []), sentence]
        try:
            return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}
        except AnsibleConnectionFailure:
            # Ansible makes "unreachable" of it.
            raise
        except AnsibleError as error:
            return {**result, "failed": True, "msg": str(error)}

    @staticmethod
    def _left(arguments: dict[str, Any]) -> list[str]:
        """Former nodes that have the key of this one; nobody where there is no roster yet."""
        if not arguments.get("roster"):
            return []
        try:
            stored = Path(arguments["roster"]).read_text(encoding="utf-8")
        except OSError:
            return []
        return left_with_key_of(arguments["name"], arguments.get("members", []), stored)
