# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.proof import (
    KINDS,
    import_command,
    import_problem,
    recorded,
)


class ActionModule(DecisionAction):
    """Proves an environment; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in KINDS if arguments[name] is not None]
        if len(given) != 1:
            raise ValueError(f"environment_proof takes one of {', '.join(KINDS)}, and {len(given)} are given.")
        kind = KINDS[given[0]]
        prefix, installed = arguments["prefix"], arguments[given[0]]
        environment = self.module(
            "environment_info", prefix=prefix, gather=list(kind.gather), accelerator=arguments["accelerator"]
        )
        problems = [*kind.problems(environment, installed), *self._import(prefix, kind.imports(installed))]
        if problems:
            raise ValueError(" ".join(problems))
        result: dict[str, Any] = {"environment": environment}
        if arguments["record"] is None:
            return result
        record = recorded(arguments["record"], environment, arguments["recorded_packages"])
        result["record"] = record
        if not arguments["write"]:
            return result
        written = self.module("environment_record", prefix=prefix, name=given[0], record=record)
        return {**result, "changed": written["changed"], "diff": written.get("diff", {})}

    def _import(self, prefix: str, modules: list[str]) -> list[str]:
        if not modules:
            return []
        found = self._execute_module(
            module_name="ansible.legacy.command",
            module_args={"argv": import_command(prefix, modules)},
            task_vars=self._task_vars,
        )
        return [import_problem(prefix, modules, str(found.get("stderr", "")))] if found.get("failed") else []
