# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import documented_spec
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import refuse


class ActionModule(ActionBase):
    """Prints lines as they are, and ends the task where there is a reason."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=documented_spec("report"))
        lines = plain(arguments["lines"])
        if arguments["at_end"]:
            result["at_end"] = lines
        else:
            for line in lines:
                self._display.display(line)
        reasons = plain(arguments["reasons"])
        if arguments["failure"] and reasons != []:
            raise refuse(self._display, str(arguments["failure"]), reasons or [])
        return {**result, "changed": False}
