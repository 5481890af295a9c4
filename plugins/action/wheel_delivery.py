# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hands a wheel that the control node keeps to a node that lacks it, where no depot does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.transfer import handed_over


class ActionModule(ActionBase):
    """Runs the module of the same name; its documentation is there."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        found: dict[str, Any] = self._execute_module(task_vars=task_vars)
        wheel = self._task.args.get("wheel")
        if found.get("failed") or found.get("present") or not wheel or self._task.check_mode:
            return {**result, **found}
        with handed_over(self, Path(str(wheel["path"])), str(wheel["filename"])) as path:
            arguments = {**self._task.args, "source": path}
            return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}
