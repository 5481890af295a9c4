# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: accelerator
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What the cluster computes on
description:
  - The value of C(cluster_accelerator); where it is V(auto), V(cuda) if any of the nodes has an NVIDIA GPU.
positional: hosts
options:
  _input:
    description: The variable C(hostvars).
    type: dict
    required: true
  hosts:
    description: The nodes of the run.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what the cluster computes on
  ansible.builtin.debug:
    msg: "{{ hostvars | fromzero.deepspeed.accelerator(groups['nodes']) }}"
"""

RETURN = r"""
_value:
  description: One of V(cuda), V(rocm), V(cpu), and V(auto) where no node has a GPU.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._hostvars import nodes_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._nodes import accelerator


def settle(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> str:
    return accelerator(nodes_of(hostvars, hosts))


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"accelerator": settle}
