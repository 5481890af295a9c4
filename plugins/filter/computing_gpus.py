# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: computing_gpus
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Which GPUs of a node an accelerator computes on
description:
  - Takes the fact C(fromzero_gpus) of M(fromzero.deepspeed.gpu_info), and leaves out GPUs of another vendor than that
    of the accelerator. So graphics inside an AMD processor give no slot, and neither do GPUs where a cluster trains on
    CPUs.
options:
  _input:
    description: The fact; empty where it was not gathered.
    type: dict
    required: true
  accelerator:
    description:
      - What the cluster computes on.
      - V(auto) stands for what the GPUs of the node compute with.
    type: str
    choices: [auto, cuda, rocm, cpu]
    required: true
"""

EXAMPLES = r"""
- name: How many processes a node can start
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_gpus'] | fromzero.deepspeed.computing_gpus('cuda') | length }}"
"""

RETURN = r"""
_value:
  description: Those of RV(fromzero.deepspeed.gpu_info#module:ansible_facts.fromzero_gpus.gpus) that compute.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.accelerators import computing


def computing_gpus(report: Any, accelerator: str) -> list[Any]:
    """See DOCUMENTATION."""
    return list(computing(plain(report), str(accelerator)))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"computing_gpus": computing_gpus}
