# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_targets
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Every name by which the nodes of a cluster should be reached
description:
  - Lists the alias, the address and the own name of each node for M(fromzero.deepspeed.ssh_probe).
  - A name that is not known, or the same as the alias, is passed over, and so is an own name that several nodes share.
options:
  _input:
    description: The aliases of the nodes.
    type: list
    elements: str
    required: true
  addresses:
    description: The address between nodes of each of them, in the same order; empty where it is not known.
    type: list
    elements: str
    required: true
  hostnames:
    description: What each of them calls itself, in the same order; empty where it is not known.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The names of one node
  ansible.builtin.debug:
    msg: "{{ ['node1'] | fromzero.deepspeed.ssh_targets(['192.0.2.11'], ['gpu-a']) }}"
"""

RETURN = r"""
_value:
  description: The value of O(fromzero.deepspeed.ssh_probe#module:targets).
  type: list
  elements: dict
  sample:
    - {node: node1, name: node1, hostname: gpu-a}
    - {node: node1, name: 192.0.2.11, hostname: gpu-a}
    - {node: node1, name: gpu-a, hostname: gpu-a}
"""

from collections.abc import Callable, Sequence
from typing import Any


def ssh_targets(nodes: Sequence[str], addresses: Sequence[str], hostnames: Sequence[str]) -> list[dict[str, str]]:
    """See DOCUMENTATION."""
    hostnames = [str(hostname or "") for hostname in hostnames]
    targets = []
    for node, address, hostname in zip(nodes, addresses, hostnames, strict=True):
        own = hostname if hostnames.count(hostname) == 1 and not hostname.startswith("localhost") else ""
        for name in dict.fromkeys((node, address, own)):
            if name:
                targets.append({"node": str(node), "name": str(name), "hostname": hostname})
    return targets


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"ssh_targets": ssh_targets}
