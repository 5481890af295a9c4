# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal, refuse
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock import head, keeper, record
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import Owner, this_run

_TITLE = "Another run is changing this cluster, and nothing was changed"
_SPEC = {
    "folder": {"type": "path", "required": True},
    "playbook": {"type": "str", "required": True},
    "reachable": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):
    """Takes the lock on the control node, then on the head, and leaves a process that keeps both until the run ends."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=_SPEC)
        if self._task.check_mode:
            return {**result, "changed": False, "lock": None}
        folder = Path(arguments["folder"])
        # Ansible's main process, which this one is forked from.
        asks = this_run(os.getppid(), str(arguments["playbook"]))
        run = self._control_node(folder, asks)
        if run.keeper:
            # An earlier playbook of this same run has the lock already.
            return {**result, "changed": False, "lock": {"folder": str(folder), "run": run.text()}}
        try:
            is_kept = arguments["reachable"] and self._head(run, result)
            run = self._kept(folder, run, is_kept)
        except BaseException:
            record.release(folder, run)
            raise
        return {**result, "changed": False, "lock": {"folder": str(folder), "run": run.text()}}

    def _control_node(self, folder: Path, asks: Owner) -> Owner:
        try:
            holder = record.take(folder, asks)
        except OSError as error:
            raise Refusal(
                f"{folder} cannot be written ({error.strerror}); set cluster_artifacts to a folder that can."
            ) from error
        is_own = (holder.pid, holder.started, holder.boot, holder.space) == (
            asks.pid, asks.started, asks.boot, asks.space,
        )  # fmt: skip
        if not is_own:
            raise refuse(self._display, _TITLE, [holder.refusal(asks)])
        return holder

    def _head(self, run: Owner, result: dict[str, Any]) -> bool:
        """Whether the head has the lock. A head that cannot be used has its own messages later."""
        try:
            answer = head.read(self._execute(head.take(run)))
            if answer.holder and answer.holder.has_gone(run):
                answer = head.read(self._execute(head.take(run, gone=answer.holder.token)))
        except AnsibleError as error:
            answer, why = head.Answer(taken=False, holder=None), error.message
        else:
            why = "it has a lock that cannot be read, or its shell does not answer"
        if answer.holder:
            raise refuse(self._display, _TITLE, [answer.holder.refusal(run)])
        if not answer.taken:
            name = self._task.delegate_to or "The head"
            result.setdefault("warnings", []).append(
                f"{name} is not locked ({why}), so a run from another control node is not noticed."
            )
        return answer.taken

    def _execute(self, script: str) -> str:
        return str(self._low_level_execute_command(script)["stdout"])

    def _kept(self, folder: Path, run: Owner, is_on_head: bool) -> Owner:
        """Start the process that keeps the lock, and write down which one that is."""
        # The keeper uses the connection that the tasks keep open, and leaves none behind.
        lost = not is_on_head

        def renew() -> None:
            nonlocal lost
            record.renew(folder, run)
            lost = lost or head.is_lost(self._execute(head.renew(run)))

        def release() -> None:
            if not lost:
                self._execute(head.release(run))
            record.release(folder, run)

        def is_alive() -> bool:
            return run.is_alive

        process = keeper.start(is_alive, renew, release, self._detach)
        kept = replace(run, keeper=process)
        record.write(folder, kept)
        return kept

    def _detach(self) -> None:
        """In the keeper: say nothing through Ansible's main process, and use no connection but as a guest."""
        self._display.verbosity = 0
        if self._connection.transport == "ssh":
            given = self._connection.get_option("ssh_args") or ""
            self._connection.set_option("ssh_args", f"-o ControlMaster=no {given}")
