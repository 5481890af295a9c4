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


class ActionModule(DecisionAction):
    """Decides which libraries a request stands for; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        prefix = arguments.pop("prefix")
        request = LibrariesRequest(
            **{**arguments, "constraints": [self._text(name) for name in arguments["constraints"]]}
        )
        found = decide(request, self.module("environment_info", prefix=prefix, gather=["packages"]), self.host)
        if found["due"] and found["flash_attn"]:
            environment = self.module("environment_info", prefix=prefix, gather=["torch"])
            gpus = list(computing(self.facts_with_gpus()["fromzero_gpus"], request.accelerator))
            found = decide(request, environment, self.host, gpus)
        if found["due"] and found["problems"] and not self._task.check_mode:
            raise LibrariesError(" ".join(found["problems"]))
        return found

    def _text(self, name: str) -> str:
        path = Path(self._find_needle("files", name))
        return path.read_text(encoding="utf-8")
