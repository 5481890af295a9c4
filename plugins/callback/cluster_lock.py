# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_lock
type: notification
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Gives the lock of the cluster back before the run ends
description:
  - Tells the process that keeps the lock which M(fromzero.deepspeed.cluster_lock) took that the run is over, and waits
    until the lock is free. In a container that ends with the run, that process could not do it any more.
  - Without this callback, that process notices the end of the run by itself.
  - The playbooks of this collection load it by themselves.
"""

from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import record
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import read_owner


class CallbackModule(CallbackBase):
    """Remembers the lock of this run, and gives it back once all is over."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "fromzero.deepspeed.cluster_lock"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._locks: dict[str, str] = {}

    def v2_runner_on_ok(self, result: Any) -> None:
        lock = result.result.get("lock")
        if isinstance(lock, dict) and {"folder", "run"} <= set(lock):
            self._locks[str(lock["folder"])] = str(lock["run"])

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for folder, text in self._locks.items():
            run = read_owner(text)
            if run:
                record.dismiss(Path(folder), run)
