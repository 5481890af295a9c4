# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.task import decided

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ActionModule(DecisionAction):
    """Decides what happens to a node's driver; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        found = decided(self.facts_with_gpus(), self.host, arguments)
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
        return {**found, "controller_boot_id": boot_id}
