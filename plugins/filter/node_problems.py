# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: node_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: All that is wrong with the nodes, as sentences
description:
  - Judges what nodes reported to M(ansible.builtin.setup), M(fromzero.deepspeed.network_info),
    M(fromzero.deepspeed.gpu_info) and M(fromzero.deepspeed.node_info), each alone and all together.
  - A node that did not report is passed over, since Ansible has dropped it, unless what it lacks is a usable Python.
  - Warns about nodes without a GPU among nodes with one, and about an C(nvidia-smi) that fails.
positional: hosts, lost, needs
options:
  _input:
    description: The variable C(hostvars).
    type: dict
    required: true
  hosts:
    description: The nodes that reported.
    type: list
    elements: str
    required: true
  lost:
    description: The nodes that Ansible has dropped since the run began.
    type: list
    elements: str
    required: true
  needs:
    description: What nodes must have.
    type: dict
    required: true
    suboptions:
      systems:
        description: Supported versions by distribution, as Ansible names them in its facts.
        type: dict
        required: true
      python:
        description: The oldest Python on a node.
        type: str
        required: true
      disk:
        description: GB (10^9 bytes) that must be free before the first installation, by accelerator.
        type: dict
        required: true
      clock_skew:
        description: Seconds that the clocks of two nodes may differ.
        type: float
        required: true
"""

EXAMPLES = r"""
- name: Refuse nodes that cannot work
  ansible.builtin.assert:
    that: hostvars | fromzero.deepspeed.node_problems(ansible_play_hosts, [], needs) | length == 0
  vars:
    needs:
      systems: {Debian: ["12", "13"]}
      python: "3.9"
      disk: {cpu: 4, cuda: 25}
      clock_skew: 60
"""

RETURN = r"""
_value:
  description: One sentence for each problem; empty where there is none.
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._hostvars import failures_of, nodes_of, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._nodes import (
    Needs,
    lost_problems,
    node_problems,
    warnings,
)


def judge(
    hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str], lost: Sequence[str], needs: Mapping[str, Any]
) -> list[str]:
    nodes = nodes_of(hostvars, hosts)
    wanted = Needs(**plain(needs))
    for warning in warnings(nodes):
        Display().warning(warning)
    return [*lost_problems(failures_of(hostvars, lost, "__preflight_facts"), wanted), *node_problems(nodes, wanted)]


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"node_problems": judge}
