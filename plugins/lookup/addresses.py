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

from collections.abc import Callable
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import documented_spec
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import given, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.task import decided
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_toolkit import all_sources
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


# The options of a decision that have the names of a role's variables, and those that the role derives from another one.
_DERIVED = {"cuda_toolkit_root": "cuda_toolkit_system"}


def _options(role: str) -> dict[str, str]:
    """The variables of a role that its decision takes, by the names of the options."""
    defaults = role_defaults(ROLES)
    names = {option: f"{role}_{option}" for option in documented_spec(f"{role}_decision")}
    names = {option: _DERIVED.get(name, name) for option, name in names.items()}
    return {option: name for option, name in names.items() if name in defaults}


def _decided(values: dict[str, Any], host: str, facts: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """What the roles decide where it needs no look at the node; what is refused there is left out here."""
    wanted: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
    if ((plan.get("node") or {}).get("driver") or {}).get("action", "none") != "none":
        wanted["driver"] = ("nvidia_driver", lambda options: decided(facts, host, options))
    if (plan.get("cuda") or {}).get("version"):
        wanted["toolkits"] = ("cuda_toolkit", lambda options: all_sources(facts, options))
    found = {}
    for part, (role, decide) in wanted.items():
        try:
            known = {option: values[name] for option, name in _options(role).items() if name in values}
            found[part] = decide(known)
        except (KeyError, ValueError):
            # A variable that could not be evaluated, or a request that is refused; the role says why.
            continue
    return found


class LookupModule(LookupBase):
    """Evaluates the variables of the roles for the current host."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        seen = variables or {}
        every = {**_trusted(role_defaults(ROLES)), **_trusted(role_vars(ROLES)), **seen}
        templar = self._templar.copy_with_new_env(available_variables=every)
        names = {*VARIABLES, *_options("nvidia_driver").values(), *_options("cuda_toolkit").values()}
        values = given(lambda name: templar.template(every[name]), names & set(every))
        facts, host = seen.get("ansible_facts") or {}, str(seen["inventory_hostname"])
        plan = plain(facts.get(PLAN_FACT) or {})
        more = _decided(values, host, facts, plan)
        return list(addresses(values, host, {"os_family": facts.get("os_family", "")}, plan, more))
