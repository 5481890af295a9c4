# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs the module; what fails before it answers, as sudo that wants a password does, is a result like any other.

    A node is also asked by another one, by delegate_to; an error would then end the node that asks, whatever
    failed_when says.
    """

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            return {**result, **self._execute_module(task_vars=task_vars)}
        except AnsibleConnectionFailure:
            # Ansible makes "unreachable" of it.
            raise
        except AnsibleError as error:
            return {**result, "failed": True, "msg": str(error)}
