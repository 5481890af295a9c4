# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node's facts and the role's variables, read into what the decision about its driver works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import Question
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.node import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.packages import System
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import rules_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

_NEEDED = {
    "distribution": "distribution",
    "family": "os_family",
    "release": "distribution_version",
    "kernel": "kernel",
}


class DriverRequestError(ValueError):
    """Facts are missing, or a request is none; the text is a sentence for the user."""


def question(facts: Mapping[str, Any], host: str, given: Mapping[str, Any]) -> Question:
    """What is asked about one node.

    :param facts: ansible_facts. given: name -> value, by the fields of Request.
    :raises DriverRequestError: there is too little to decide by.
    """
    gpus = plain(facts.get("fromzero_gpus"))
    missing = [name for name in _NEEDED.values() if name not in facts]
    if missing or not isinstance(gpus, dict) or "driver" not in gpus:
        lacking = [*missing, *([] if isinstance(gpus, dict) and "driver" in gpus else ["fromzero_gpus"])]
        raise DriverRequestError(
            f"The facts {', '.join(lacking)} of {host} are needed to decide on its driver; let the play gather them "
            "(gather_facts, gather_subset min) and run fromzero.deepspeed.gpu_info."
        )
    known = {field.name: field.type for field in fields(Request)}
    for name in given:
        if name not in known:
            raise DriverRequestError(f"'{name}' is no request for a driver; those are {', '.join(known)}.")
    request = Request(**{name: _value(known[name], plain(value)) for name, value in given.items()})
    node = Node(host, gpus)
    return Question(
        node,
        System(**{ours: str(facts[theirs]) for ours, theirs in _NEEDED.items()}),
        request,
        rules_of(node.kinds, str(facts.get("architecture", "x86_64")), request.bound),
        rows("driver_packages"),
    )


def _value(kind: object, value: Any) -> Any:
    """Versions that an inventory has without quotes arrive as numbers."""
    if kind == "bool":
        return bool(truth(value))
    return str(value) if kind == "str" else tuple(str(each) for each in value)
