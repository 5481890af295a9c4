# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.task import unproven


class ActionModule(DecisionAction):
    """Proves a driver that was changed; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        problems = unproven(self.facts_with_gpus(again=True), self.host, arguments["request"], arguments["gpus"])
        if problems:
            raise ValueError(" ".join(problems))
        return {}
