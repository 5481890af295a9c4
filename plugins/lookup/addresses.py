# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: addresses
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: The addresses that a run of the site installs from on a node
description:
  - For M(fromzero.deepspeed.address_info). The addresses are those of the variables of this collection's roles, with
    the plan of the node, their defaults included.
  - What a role installs from the distribution's own package sources is not among them.
options: {}
"""

EXAMPLES = r"""
- name: Look whether all addresses answer
  fromzero.deepspeed.address_info:
    addresses: "{{ query('fromzero.deepspeed.addresses') }}"
"""

RETURN = r"""
_raw:
  description: One dictionary for each thing to install, as the option C(addresses) of the module has it.
  type: list
  elements: dict
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import given, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_addresses import VARIABLES, addresses
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import (
    ROLES,
    role_defaults,
    role_vars,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.fact import PLAN_FACT


def _trusted(value: Any) -> Any:
    """What stands in the files of our roles, to be evaluated as Ansible would evaluate it there."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: _trusted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_trusted(part) for part in value]
    return value


class LookupModule(LookupBase):
    """Evaluates the variables of the roles for the current host."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        seen = variables or {}
        every = {**_trusted(role_defaults(ROLES)), **_trusted(role_vars(ROLES)), **seen}
        templar = self._templar.copy_with_new_env(available_variables=every)
        values = given(lambda name: templar.template(every[name]), set(VARIABLES) & set(every))
        facts = seen.get("ansible_facts") or {}
        plan = plain(facts.get(PLAN_FACT) or {})
        return list(addresses(values, str(seen["inventory_hostname"]), {"os_family": facts.get("os_family", "")}, plan))
