# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role nvidia_driver would refuse on a node, known as soon as the plan is: before anything changes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import DriverRequestError, question
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import resolve
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node

_PREFIX = "nvidia_driver_"
# The role's variables that its decision hangs on.
VARIABLES = tuple(f"{_PREFIX}{field.name}" for field in fields(Request))


def refusals(node: Node, planned: Mapping[str, Any], least: str, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each reason why the driver of a node cannot become what is planned.

    :param planned: C(driver) of the node's part of the plan. least: the oldest driver that does for the plan.
    :param values: what the node is given, of VARIABLES and C(cluster_become).
    """
    if planned["action"] == "none" or not resolve("cluster_become", values):
        return []
    # As the defaults of the role read the plan.
    of_plan = {
        "branch": planned["branch"] or "",
        "version": planned["version"] or "",
        "flavour": planned["flavour"] or "auto",
        "least": least,
    }
    given = {name.removeprefix(_PREFIX): values[name] for name in VARIABLES if name in values}
    try:
        return list(decide(question(node.facts, node.name, {**of_plan, **given})).problems)
    except DriverRequestError as error:
        return [str(error)]
