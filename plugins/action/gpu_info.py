# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Completes what a node tells of its GPUs by what the collection knows, so that nodes need no tables."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.gpus import completed


class ActionModule(ActionBase):
    """Runs the module of the same name; its documentation is there."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        report = result.get("ansible_facts", {}).get("fromzero_gpus")
        if report:
            result["ansible_facts"]["fromzero_gpus"] = completed(report, rows("gpus"), rows("drivers"))
        return result
