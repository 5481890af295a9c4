# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hands a wheel that the control node keeps to a node that lacks it, where no depot does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.transfer import handed_over, sweep


class ActionModule(ActionBase):
    """Runs the module of the same name; its documentation is there."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._arguments()
        if not self._task.check_mode:
            sweep(self)
        found: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        wheel = arguments.get("wheel")
        if found.get("failed") or found.get("present") or not wheel or self._task.check_mode:
            return {**result, **found}
        with handed_over(self, Path(str(wheel["path"])), str(wheel["filename"])) as path:
            arguments = {**arguments, "source": path}
            return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}

    def _arguments(self) -> dict[str, Any]:
        """The arguments of the module, a file that the user names described as a wheel."""
        given = dict(self._task.args)
        file = str(given.get("file") or "")
        if not file:
            return given
        try:
            # Where Ansible's own copy looks for it.
            path = Path(self._find_needle("files", file))
        except AnsibleError:
            raise Refusal(f"There is no wheel {file} on the control node; correct its path.") from None
        wheel = {"filename": path.name, "path": str(path), "sha256": sum_of(path)}
        return {**given, "wheel": wheel, "depot_url": ""}
