# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: A value of the plan of the software stack, or a default where nothing is planned
description:
  - Role defaults read through this lookup what the role C(preflight) has settled for the cluster and for the current
    node (the fact C(preflight_plan)), so that all roles follow one plan and each still works alone.
options:
  _terms:
    description: Places in the plan, as keys with dots between them, such as V(torch.version) or V(node.driver.branch).
    required: true
  default:
    description: The value where there is no plan, and where the plan leaves the place empty.
    type: raw
    default: null
"""

EXAMPLES = r"""
- name: A role default
  ansible.builtin.debug:
    msg: "{{ lookup('fromzero.deepspeed.plan', 'torch.version', default='2.13.0') }}"
"""

RETURN = r"""
_raw:
  description: One value for each place.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.fact import PLAN_FACT, PlanError, read


class LookupModule(LookupBase):
    """Hands the plan of the current host to its reader."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        facts = (variables or {}).get("ansible_facts") or {}
        default = self.get_option("default")
        try:
            return [plain(read(facts.get(PLAN_FACT), str(term), default)) for term in terms]
        except PlanError as error:
            raise AnsibleLookupError(str(error)) from error
