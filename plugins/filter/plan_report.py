# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_report
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: A plan as people read it
description:
  - A table with a line for each node, the changes that a run of the site would make, what decided, and warnings.
positional: environments, toolkits
options:
  _input:
    description: What M(fromzero.deepspeed.cluster_plan) returned.
    type: dict
    required: true
  environments:
    description: What M(fromzero.deepspeed.environment_info) returned, packages gathered, by node.
    type: dict
    default: {}
  toolkits:
    description: The toolkits that M(fromzero.deepspeed.cuda_toolkit_info) returned, by node.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Tell the plan
  ansible.builtin.debug:
    msg: "{{ decided | fromzero.deepspeed.plan_report(environments) }}"
"""

RETURN = r"""
_value:
  description: The report, in lines.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.report import Planned, report

_PARTS = ("plan", "nodes", "brings", "why", "remarks")


def plan_report(
    decided: Mapping[str, Any],
    environments: Mapping[str, Any] | None = None,
    toolkits: Mapping[str, Any] | None = None,
) -> str:
    """See DOCUMENTATION."""
    if not isinstance(decided, Mapping) or not set(_PARTS) <= set(decided):
        raise AnsibleFilterError("plan_report wants what the module cluster_plan returned.")
    found = {"environments": environments or {}, "toolkits": toolkits or {}}
    return report(Planned(**plain({name: decided[name] for name in _PARTS}), **plain(found)))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"plan_report": plan_report}
