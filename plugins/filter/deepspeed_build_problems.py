# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_build_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What stands in the way of installing DeepSpeed into an environment
description:
  - Names what would make an installation fail after minutes of compiling, before it begins.
positional: switches, variables
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    required: true
  switches:
    description: Switches of a build that is to be made on the node; empty where none is.
    type: dict
    default: {}
  variables:
    description: Further variables of that build.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse an environment that DeepSpeed cannot be installed into
  ansible.builtin.assert:
    that: environment_of_training | fromzero.deepspeed.deepspeed_build_problems | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each obstacle.
  type: list
  elements: str
  sample: ["torch is not installed in /opt/fromzero/envs/train; DeepSpeed needs it before. Run the role torch first."]
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import build_problems


def deepspeed_build_problems(
    environment: Mapping[str, Any],
    switches: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> list[str]:
    """See DOCUMENTATION."""
    return [str(problem) for problem in build_problems(environment, switches or {}, variables or {})]


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deepspeed_build_problems": deepspeed_build_problems}
