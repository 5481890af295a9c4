# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed import (
    DeepSpeedRequest,
    decide,
    due,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


class ActionModule(DecisionAction):
    """Decides how DeepSpeed is built and installed; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        request = DeepSpeedRequest(**arguments)
        if not due(request, self.module("environment_info", prefix=request.prefix, gather=["packages"])):
            return {"due": False}
        # To import torch and DeepSpeed takes seconds, so only where it is needed.
        environment = self.module(
            "environment_info",
            prefix=request.prefix,
            gather=["torch", "deepspeed"],
            accelerator=request.accelerator,
        )
        tables = {"ops": rows("deepspeed_ops"), "packages": rows("build_packages")}
        facts = self._task_vars.get("ansible_facts", {})
        return decide(request, environment, facts, tables, check=self._task.check_mode)
