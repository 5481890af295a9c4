# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import refuse
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_addresses import (
    address_problems,
    unknown_addresses,
)

_TITLE = "What is missing on the nodes cannot be fetched, and nothing was changed"


class ActionModule(DecisionAction):
    """Reports addresses that do not answer; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        reports = arguments["reports"]
        problems = address_problems(reports, list(reports))
        for line in unknown_addresses(reports, list(reports)) + ([] if arguments["refuse"] else problems):
            self._display.display(line)
        if problems and arguments["refuse"]:
            raise refuse(self._display, _TITLE, problems)
        return {"problems": problems}
