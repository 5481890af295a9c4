# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_toolkit import (
    decided,
    gccs,
    sources,
)


class ActionModule(DecisionAction):
    """Decides what requested toolkits take on a node; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        facts = self.facts_with_gpus()
        if arguments["driver_planned"] and self._task.check_mode:
            facts["fromzero_gpus"] = {**facts["fromzero_gpus"], "driver": {}}
        wanted = sources(facts, arguments)
        found = self.module(
            "cuda_toolkit_info",
            toolkits=gccs(wanted.rows, arguments),
            environments=list(arguments["environments"]),
            users=[arguments["user"]] if arguments["user"] else [],
            own_files=[arguments["profile_path"]],
            link=arguments["link_path"],
            **{name: arguments[name] for name in ("prefix", "search", "default", "record")},
        )
        result = decided(found, facts, self.host, wanted, arguments)
        for remark in result.pop("remarks"):
            self._display.warning(remark)
        return {**result, "warnings": found.get("warnings", [])}
