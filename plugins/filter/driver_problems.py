# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: driver_problems
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: What an NVIDIA driver that was changed does not do yet
description:
  - nvidia-smi must answer and see as many GPUs as there were.
  - The module in the kernel must be of the libraries' version, which must be a wished one, and on disk for the running
    kernel.
  - Where there are NVSwitches the fabric manager must run.
positional: host, wishes, gpus
options:
  _input:
    description: The C(ansible_facts) of the node, those of M(fromzero.deepspeed.gpu_info) gathered afterwards.
    type: dict
    required: true
  host:
    description: The name of the node, for the sentences.
    type: str
    required: true
  wishes:
    description: As for P(fromzero.deepspeed.driver_step#filter).
    type: dict
    required: true
  gpus:
    description: How many GPUs there were before the change.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Refuse a driver that does not work
  ansible.builtin.assert:
    that: >-
      ansible_facts | fromzero.deepspeed.driver_problems(inventory_hostname, {'branch': '580'}, 8) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import DriverRequestError, question


def driver_problems(facts: Mapping[str, Any], host: str, wishes: Mapping[str, Any], gpus: int) -> list[str]:
    """See DOCUMENTATION."""
    try:
        asked = question(facts, host, wishes)
    except DriverRequestError as error:
        raise AnsibleFilterError(str(error)) from error
    return asked.node.unproven(asked.request, asked.rules, int(gpus))


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"driver_problems": driver_problems}
