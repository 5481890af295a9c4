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
    a connection to any node.
  - A variable whose value cannot be evaluated before facts are gathered is passed over; its role judges it later.
  - Warns about variables that nothing reads but that are spelt almost like one of the collection's.
positional: groups, hosts
options:
  _input:
    description: The variable C(hostvars).
    type: dict
    required: true
  groups:
    description: The variable C(groups).
    type: dict
    required: true
  hosts:
    description: The hosts that the play may touch, to say so where C(--limit) leaves no node. All are judged anyway.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Refuse an inventory that cannot work
  ansible.builtin.assert:
    that: hostvars | fromzero.deepspeed.inventory_problems(groups) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each problem; empty where there is none.
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._hostvars import given
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import inventory_problems, misspelt
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knobs import ACCELERATOR_FACT, KNOBS
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._variables import role_options

_ROLES = Path(__file__).parents[2] / "roles"
_CONNECTION = ("ansible_host", "ansible_port", "ansible_ssh_host", "ansible_ssh_port")
_NOT_FROM_THE_INVENTORY = ("ansible_", "__", "fromzero_")


def judge(hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Any], hosts: Sequence[str] = ()) -> list[str]:
    members = {str(name): [str(host) for host in group] for name, group in groups.items()}
    nodes = members.get("nodes", [])
    options = role_options(_ROLES)
    wanted = {*options, *KNOBS, *_CONNECTION}
    values: dict[str, dict[str, Any]] = {}
    # A fact of ours may be among the variables of a host, too.
    wanted.add(ACCELERATOR_FACT)
    strangers: set[str] = set()
    for node in nodes:
        variables = hostvars[node]
        names = set(variables)
        strangers |= names - wanted
        values[node] = given(variables, names & wanted)
    known = {name for name in wanted if not name.startswith("ansible_")}
    candidates = {name for name in strangers if not name.startswith(_NOT_FROM_THE_INVENTORY)}
    prefixes = {"cluster_", *(f"{path.name}_" for path in _ROLES.iterdir() if path.is_dir())}
    for warning in misspelt(candidates, known, prefixes):
        Display().warning(warning)
    found = inventory_problems(members, values, options)
    if nodes and hosts and not {str(host) for host in hosts} & {"localhost", *nodes}:
        found.append("None of the hosts that --limit leaves is in group 'nodes'; name at least one node there.")
    return found


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"inventory_problems": judge}
