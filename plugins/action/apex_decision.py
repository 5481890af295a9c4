# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.apex import ApexRequest, decide, due
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


class ActionModule(DecisionAction):
    """Decides how apex is built and installed; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        request = ApexRequest(**arguments)
        if not due(request, self.module("environment_info", prefix=request.prefix, gather=["packages"])):
            return {"due": False}
        # To import torch takes seconds, so only where it is needed.
        environment = self.module("environment_info", prefix=request.prefix, gather=["torch"])
        return decide(request, environment, rows("apex"), check=self._task.check_mode)
