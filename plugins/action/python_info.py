# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.python import problem, read, script

_SPEC = {"systems": {"type": "dict", "required": True}}


class ActionModule(ActionBase):
    """Asks the node's shell, since a module needs the Python that is in question."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=_SPEC)
        variables = task_vars or {}
        listed = constants.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=variables)
        asked = script(self._given(variables), [str(name) for name in listed])
        # As Ansible does when it looks for a Python: by the account that it connects as.
        report = read(self._low_level_execute_command(asked, sudoable=False)["stdout"])
        why = problem(str(variables["inventory_hostname"]), report, plain(arguments["systems"]))
        taken = report.taken
        python = {"path": taken.path, "version": taken.version} if taken else None
        return {**result, "changed": False, "python": python, "problem": why}

    def _given(self, variables: dict[str, Any]) -> str:
        """The interpreter that Ansible takes without looking for one; empty where it looks."""
        facts = variables.get("ansible_facts") or {}
        own = variables.get("ansible_python_interpreter")
        given = self._templar.template(own) if own else constants.config.get_config_value("INTERPRETER_PYTHON")
        if str(given or "auto").startswith("auto"):
            return str(facts.get("discovered_interpreter_python") or "")
        return str(given)
