# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal, refuse
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.cluster import Cluster, decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.nodes import VARIABLES as OF_A_NODE
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.record import (
    RecordError,
    claim,
    recall,
    store,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.user_requests import VARIABLES as OF_ALL
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack

_TITLE = "The nodes cannot work together, and nothing was changed"
_SPEC = {
    "path": {"type": "path", "required": True},
    "problems": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """Hands the reports of the nodes and the wishes of the user to the one who decides."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=_SPEC)
        path = Path(arguments["path"])
        view = View(task_vars or {}, self._templar.template)
        told = plain(arguments["problems"])
        try:
            before = recall(path)
        except RecordError as error:
            raise refuse(self._display, _TITLE, [*told, str(error)]) from error
        decided = decide(_cluster(view, before), resolve_stack)
        problems = [*told, *decided["problems"]]
        if problems:
            raise refuse(self._display, _TITLE, problems, decided["nearest"])
        for remark in decided["remarks"]:
            self._display.warning(remark)
        record = decided.pop("record")
        try:
            if not self._task.check_mode:
                claim(path.parent, [str(source) for source in (task_vars or {}).get("ansible_inventory_sources") or ()])
                store(path, record)
        except RecordError as error:
            raise Refusal(str(error)) from error
        # What the control node writes down tells of this run; it is no state of a node that changes.
        return {**result, **decided, "changed": False}


def _cluster(view: View, before: dict[str, Any]) -> Cluster:
    members = view.groups.get("nodes", [])
    here = view.hosts("ansible_play_hosts")
    asked = set(view.hosts("ansible_play_hosts_all"))
    return Cluster(
        members=members,
        # In a play with serial, the nodes of later batches are there and have not been looked at.
        nodes=[node for node in view.nodes([name for name in members if name in here]) if node.gpu_report],
        outside=[name for name in members if name not in asked],
        values=view.values(members, (*OF_ALL, *OF_A_NODE)),
        before=before,
    )
