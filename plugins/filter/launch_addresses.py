# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: launch_addresses
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The table of node addresses that C(ds-launch) takes the master address from
description:
  - Renders one line C(name address) for each node whose address is known.
  - Which node is the master depends on the hostfile and on C(--include) at the moment of the launch, so the launcher
    needs the addresses of all of them.
options:
  _input:
    description: The address between nodes of each node in this run, by the node's alias; empty where it is not known.
    type: dict
    required: true
  order:
    description: Every node of the inventory, in its order. By default the nodes of the input.
    type: list
    elements: str
    default: []
  present:
    description: The table as it is now; read only for the lines of the nodes in O(away).
    type: str
    default: ""
  away:
    description: Nodes that this run leaves alone because of C(--limit). They keep the line they have.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The table for two nodes
  ansible.builtin.debug:
    msg: "{{ {'node1': '192.0.2.11', 'node2': '192.0.2.12'} | fromzero.deepspeed.launch_addresses }}"
"""

RETURN = r"""
_value:
  description: The content of the table.
  type: str
  sample: "node1 192.0.2.11\nnode2 192.0.2.12\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.hostfile import render_addresses


def launch_addresses(
    measured: Mapping[str, Any],
    order: Sequence[str] = (),
    present: str = "",
    away: Sequence[str] = (),
) -> str:
    """See DOCUMENTATION."""
    if not isinstance(measured, Mapping):
        raise AnsibleFilterError("launch_addresses wants a mapping of node names to addresses.")
    return render_addresses(
        {str(name): str(value or "") for name, value in measured.items()},
        order=[str(name) for name in order],
        present=str(present),
        away=frozenset(str(name) for name in away),
    )


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"launch_addresses": launch_addresses}
