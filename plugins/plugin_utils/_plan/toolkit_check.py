# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role cuda_toolkit would refuse on a node, known as soon as the plan is: before anything changes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import CudaError, problems, toolkits
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

# The role's variables that say which toolkits there are and who uses which.
VARIABLES = ("cuda_toolkit_versions", "cuda_toolkit_default", "cuda_toolkit_environments")


def refusals(node: Node, planned: Mapping[str, Any], cuda: str, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each reason why a node cannot have the toolkits that are requested.

    :param planned: C(driver) of the node's part of the plan. cuda: the toolkit of the plan.
    :param values: what the node is given, of VARIABLES.
    """
    versions, environments = values.get("cuda_toolkit_versions"), values.get("cuda_toolkit_environments")
    versions = versions if isinstance(versions, list) and versions else [cuda]
    default = values.get("cuda_toolkit_default") or versions[0]
    used = [default, *(environments.values() if isinstance(environments, dict) else ())]
    table = rows("cuda")
    try:
        known = toolkits(versions, table, str(node.facts.get("architecture", "x86_64")), used)
    except CudaError as error:
        return [str(error)]
    found = problems(known, {"gpus": node.gpu_report.get("gpus")}, str(default), table)
    then = str(planned.get("then") or "")
    # A branch stands for its newest version.
    late = [row for row in known if "." in then or numbers(then) < numbers(major(row["driver"]))]
    found += problems(late, {"driver": {"library": then}}, "", table) if then else []
    return [f"{node.name}: {problem}" for problem in found]
