# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes when each task starts and ends on each host, one JSON object in a line, to the file that SOAK_EVENTS names."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: soak_events
type: notification
short_description: Writes when tasks start and end
description: For bench.soak alone.
"""

# These run on the control node alone, whatever the host.
ANSIBLE_ITSELF = (
    "assert",
    "debug",
    "include_role",
    "include_tasks",
    "include_vars",
    "set_fact",
    "validate_argument_spec",
)


class CallbackModule(CallbackBase):
    """Each line reaches the file at once: the tool strikes by what it reads there."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "soak_events"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, event: str, host: Any, task: Any) -> None:
        delegate = str(task.delegate_to or "")
        line = {
            "event": event,
            "at": time.time(),
            "host": str(host.get_name()),
            "task": str(task.name or task.action),
            "control": delegate == "localhost" or str(task.action).rpartition(".")[2] in ANSIBLE_ITSELF,
        }
        with open(os.environ["SOAK_EVENTS"], "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps(line) + "\n")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._write("start", host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result.host, result.task)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result.host, result.task)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result.host, result.task)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result.host, result.task)
