# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks that decide: once for a node, on the control node, by what the node reports; refused in one sentence."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from importlib import import_module
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.gpus import completed

_MODULES = "ansible_collections.fromzero.deepspeed.plugins.modules"
_OF_A_SPEC = ("type", "elements", "choices", "default", "required")


class ModuleFailed(Exception):
    """A module that a decision needs has failed."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(str(result.get("msg", "no reason given")))
        self.result = result


@cache
def documented_spec(name: str) -> dict[str, dict[str, Any]]:
    """The argument specification of an action, from the documentation of the module by the same name."""
    options = yaml.safe_load(import_module(f"{_MODULES}.{name}").DOCUMENTATION)["options"]
    return {
        option: {key: _type(value) if key == "type" else value for key, value in described.items() if key in _OF_A_SPEC}
        for option, described in options.items()
    }


def _type(documented: str) -> str:
    """The type by which the control node reads an option: the home in a path is that of the node."""
    return "str" if documented == "path" else documented


class DecisionAction(ActionBase):
    """An action that checks its arguments by its documentation, asks modules of the node, and decides.

    What C(decide) raises as a ValueError is a sentence for the user, and all that the task says.
    """

    _supports_check_mode = True
    _task_vars: dict[str, Any]
    # Facts that were gathered on the way, which the node keeps.
    _gathered: dict[str, Any] = {}  # noqa: RUF012  replaced, never changed

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        name = type(self).__module__.rpartition(".")[2]
        _checked, arguments = self.validate_argument_spec(argument_spec=documented_spec(name))
        try:
            decided = self.decide(plain(arguments))
        except ValueError as error:
            raise Refusal(str(error)) from error
        except ModuleFailed as failure:
            return {**result, **failure.result}
        facts = {"ansible_facts": self._gathered} if self._gathered else {}
        return {**result, "changed": False, **facts, **decided}

    @abstractmethod
    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of the task.

        :raises ValueError: it is refused; the text is a sentence for the user.
        """

    def module(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        """What a module of this collection returns on the node.

        :raises ModuleFailed: it has failed.
        """
        found: dict[str, Any] = self._execute_module(
            module_name=f"fromzero.deepspeed.{module}", module_args=arguments, task_vars=self._task_vars
        )
        if found.get("failed"):
            raise ModuleFailed(found)
        return found

    @property
    def host(self) -> str:
        """The name of the node in the inventory."""
        return str(self._task_vars["inventory_hostname"])

    def facts_with_gpus(self, again: bool = False) -> dict[str, Any]:
        """The facts of the node, with those of the module gpu_info, which is run where they are missing.

        :param again: whether it is run in any case.
        :raises ModuleFailed: it has failed.
        """
        facts = dict(self._task_vars.get("ansible_facts") or {})
        report = plain(facts.get("fromzero_gpus") or {})
        if again or "driver" not in report:
            found = self.module("gpu_info")["ansible_facts"]["fromzero_gpus"]
            report = completed(found, rows("gpus"), rows("drivers"))
            self._gathered = {"fromzero_gpus": report}
        return {**facts, "fromzero_gpus": report}
