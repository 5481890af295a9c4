# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cuda_architectures
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: The compute capabilities that CUDA toolkits have to compile for
description:
  - Takes those that are wished for, else those of the node's GPUs, and of these what each toolkit knows.
positional: _input, wished, gpus
options:
  _input:
    description: The toolkits, as the filter P(fromzero.deepspeed.cuda_toolkits#filter) returns them.
    type: list
    elements: dict
    required: true
  wished:
    description: Compute capabilities. Other words, such as architectures of AMD's, do not count.
    type: list
    elements: str
    required: true
  gpus:
    description: The fact C(fromzero_gpus) of the node.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what a toolkit is proved for
  ansible.builtin.debug:
    msg: >-
      {{ ['12.8'] | fromzero.deepspeed.cuda_toolkits
         | fromzero.deepspeed.cuda_architectures(['7.0', '8.0'], ansible_facts['fromzero_gpus']) }}
"""

RETURN = r"""
_value:
  description: The compute capabilities by the version of the toolkit.
  type: dict
  sample: {"12.8": ["7.0", "8.0"]}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import architectures


def cuda_architectures(
    rows: Iterable[Mapping[str, Any]], wished: Iterable[str], gpus: Mapping[str, Any]
) -> dict[str, list[str]]:
    """See DOCUMENTATION."""
    return architectures(plain(list(rows)), plain(list(wished)), plain(dict(gpus)))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"cuda_architectures": cuda_architectures}
