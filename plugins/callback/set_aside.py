# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: set_aside
type: notification
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Names at the end of a run each node that failed or was lost, with its reason, and what to do next
description:
  - Ansible drops a node that fails or cannot be reached, and goes on with the others.
  - At the end of the run this callback says which nodes that were, at which task, and why.
  - Below that it prints what M(fromzero.deepspeed.report) was given for the end of the run.
  - During the run, the lookup P(fromzero.deepspeed.set_aside#lookup) hands the same to tasks.
  - The playbooks of this collection load it by themselves; other playbooks name it in C(callbacks_enabled).
"""

from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.failures import LOSSES, Loss, farewell, reason


class CallbackModule(CallbackBase):
    """Keeps the first unhandled failure of each host, and prints them once all is over."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "fromzero.deepspeed.set_aside"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._last_lines: list[str] = []

    def _keep(self, result: Any, kind: str) -> None:
        task = result.task
        LOSSES.setdefault(
            str(result.host.get_name()),
            Loss(
                kind=kind, task=str(task.name or task.action), reason=reason(result.result), for_all=bool(task.run_once)
            ),
        )

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._keep(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not result.task.ignore_unreachable:
            self._keep(result, "lost")

    def v2_runner_on_ok(self, result: Any) -> None:
        lines = result.result.get("at_end")
        if isinstance(lines, list):
            self._last_lines = [str(line) for line in lines]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        # A failure that a rescue handled is in none of these counts.
        gone = {*stats.failures, *stats.dark}
        # The control node is in a run for itself.
        others = set(stats.processed) - gone - {"localhost"}
        for line in farewell({host: loss for host, loss in LOSSES.items() if host in gone}, bool(others)):
            self._display.display(line, color="red")
        for line in self._last_lines:
            self._display.display(line)
