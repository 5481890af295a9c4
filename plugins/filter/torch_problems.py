# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: torch_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: How the torch of an environment differs from the wished one
description:
  - Compares what an environment says with what was asked for, the build that torch was made with included.
positional: packages
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    required: true
  packages:
    description: What P(fromzero.deepspeed.torch_packages#filter) returned.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Prove torch
  ansible.builtin.assert:
    that: environment_of_training | fromzero.deepspeed.torch_problems(['torch==2.13.0+cpu']) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each difference.
  type: list
  elements: str
  sample: ["torch is not installed in /opt/fromzero/envs/train."]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import problems


def torch_problems(environment: Mapping[str, Any], packages: Sequence[str]) -> list[str]:
    """See DOCUMENTATION."""
    return [str(problem) for problem in problems(environment, [str(package) for package in packages])]


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"torch_problems": torch_problems}
