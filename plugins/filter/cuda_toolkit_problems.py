# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cuda_toolkit_problems
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Why CUDA toolkits cannot serve a node
description:
  - Compares toolkits with the driver and the GPUs of a node. A toolkit whose driver is merely older than the one it was
    made with serves; a warning says what does not run.
positional: _input, gpus, default
options:
  _input:
    description: The toolkits, as the filter P(fromzero.deepspeed.cuda_toolkits#filter) returns them.
    type: list
    elements: dict
    required: true
  gpus:
    description: The fact C(fromzero_gpus) of the node.
    type: dict
    required: true
  default:
    description: The version that programs get by default; it must compile for all GPUs of the node.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: __problems | length == 0
    fail_msg: "{{ __problems | join(' ') }}"
  vars:
    __problems: >-
      {{ ['13.0'] | fromzero.deepspeed.cuda_toolkits
         | fromzero.deepspeed.cuda_toolkit_problems(ansible_facts['fromzero_gpus'], '13.0') }}
"""

RETURN = r"""
_value:
  description: A sentence for each problem; none where all is well.
  type: list
  elements: str
  sample: []
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import problems, remarks
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def cuda_toolkit_problems(toolkits: Iterable[Mapping[str, Any]], gpus: Mapping[str, Any], default: str) -> list[str]:
    """See DOCUMENTATION."""
    wished, facts = plain(list(toolkits)), plain(dict(gpus))
    found = problems(wished, facts, str(default), rows("cuda"))
    for remark in remarks(wished, facts):
        Display().warning(remark)
    return found


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"cuda_toolkit_problems": cuda_toolkit_problems}
