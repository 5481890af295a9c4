# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import TorchRequest, decide


class ActionModule(DecisionAction):
    """Decides what a requested torch takes; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        environment = self.module("environment_info", prefix=arguments["prefix"], gather=["packages"])
        return decide(TorchRequest(**arguments), environment)
