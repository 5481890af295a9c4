# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import (
    LibrariesError,
    LibrariesRequest,
    decide,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.accelerators import computing
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.gpus import completed


class ActionModule(DecisionAction):
    """Decides which libraries a request stands for; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        prefix = arguments.pop("prefix")
        request = LibrariesRequest(
            **{**arguments, "constraints": [self._text(name) for name in arguments["constraints"]]}
        )
        host = str(self._task_vars["inventory_hostname"])
        found = decide(request, self.module("environment_info", prefix=prefix, gather=["packages"]), host)
        facts: dict[str, Any] = {}
        if found["due"] and found["flash_attn"]:
            environment = self.module("environment_info", prefix=prefix, gather=["torch"])
            report = self._gpus()
            facts = {"ansible_facts": {"fromzero_gpus": report}}
            found = decide(request, environment, host, list(computing(report, request.accelerator)))
        if found["due"] and found["problems"] and not self._task.check_mode:
            raise LibrariesError(" ".join(found["problems"]))
        return {**found, **facts}

    def _text(self, name: str) -> str:
        path = Path(self._find_needle("files", name))
        return path.read_text(encoding="utf-8")

    def _gpus(self) -> dict[str, Any]:
        known: dict[str, Any] = self._task_vars.get("ansible_facts", {}).get("fromzero_gpus", {})
        if known:
            return known
        report: dict[str, Any] = self.module("gpu_info")["ansible_facts"]["fromzero_gpus"]
        return completed(report, rows("gpus"), rows("drivers"))
