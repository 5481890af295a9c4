# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: launch_machines
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: What torchrun and accelerate ask for, from a hostfile
description:
  - Counts the nodes of a hostfile as the launcher of DeepSpeed does, line by line, and finds the address of the first.
  - Lines that cannot be read are passed over. A text without any gives no nodes.
options:
  _input:
    description: The content of a hostfile.
    type: str
    required: true
  addresses:
    description: The table that P(fromzero.deepspeed.launch_addresses#filter) renders.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: The rank of node2
  ansible.builtin.debug:
    msg: "{{ ('node1 slots=2\nnode2 slots=4' | fromzero.deepspeed.launch_machines)['nodes']['node2']['rank'] }}"
"""

RETURN = r"""
_value:
  description:
    - For each of the C(nodes) its C(rank) and its C(slots); the number of C(processes) on all of them; the address of
      the C(master), empty where it is not known; whether all nodes have an C(equal) number of slots.
  type: dict
  sample:
    nodes: {node1: {rank: 0, slots: 2}, node2: {rank: 1, slots: 4}}
    processes: 6
    master: 192.0.2.11
    equal: false
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.hostfile import render_machines


def launch_machines(hostfile: str, addresses: str = "") -> dict[str, Any]:
    """See DOCUMENTATION."""
    return render_machines(str(hostfile or ""), str(addresses or ""))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"launch_machines": launch_machines}
