# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: All that is wrong with an inventory, as sentences
description:
  - Judges groups, names, addresses, C(cluster_*) variables and the variables of all roles of this collection, without
    a connection to any node. Variables that decide the one stack of the cluster must not contradict each other.
  - A variable whose value cannot be evaluated before facts are gathered is passed over; its role judges it later.
  - A value that ends in a comment is reported with its place, since C([nodes:vars]) of an INI inventory takes a comment
    behind a value as part of it. Passwords and arguments of ssh are left alone.
  - Warns about variables that nothing reads but that are spelt almost like one of the collection's.
  - Says so where C(--limit) leaves no node; all nodes are judged anyway.
options: {}
"""

EXAMPLES = r"""
- name: Refuse an inventory that cannot work
  ansible.builtin.assert:
    that: query('fromzero.deepspeed.inventory_problems') | length == 0
"""

RETURN = r"""
_raw:
  description: One sentence for each problem; empty where there is none.
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.checks import (
    CONNECTION,
    commented,
    inventory_problems,
    limit_problems,
    misspelt,
    without_comments,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import (
    ACCELERATOR_FACT,
    KNOBS,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES, role_options
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.fact import PLAN_FACT
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.user_requests import wishes

_NOT_FROM_THE_INVENTORY = ("ansible_", "__", "fromzero_", ACCELERATOR_FACT, PLAN_FACT)


class LookupModule(LookupBase):
    """Hands the variables of all hosts to the judge of inventories."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        view = View(variables or {}, self._templar.template)
        nodes = view.groups.get("nodes", [])
        options = role_options(ROLES)
        names = {name for node in nodes for name in view.names(node) if not name.startswith(_NOT_FROM_THE_INVENTORY)}
        prefixes = {"cluster_", *(f"{path.name}_" for path in ROLES.iterdir())}
        for warning in misspelt(names, {*options, *KNOBS}, prefixes):
            Display().warning(warning)
        known = {*options, *KNOBS, *CONNECTION}
        hosts = list(dict.fromkeys([*nodes, *view.groups.get("head", []), *view.groups.get("depot", [])]))
        given = view.values(hosts, known)
        return [
            *inventory_problems(view.groups, given, options, view.places(commented(given))),
            *wishes(nodes, without_comments(given))[1],
            *limit_problems(nodes, view.hosts("ansible_play_hosts_all")),
        ]
