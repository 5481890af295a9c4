# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: How the DeepSpeed of an environment differs from the wished one
description:
  - Compares what C(ds_report) says with the version and the ops that were asked for. For an op that is missing the
    reason is the one that DeepSpeed gives.
  - An op that is built in has to load, where it is asked for and where every run uses it. An op that DeepSpeed does not
    use while C(ds_report) calls it incompatible has to be compatible.
  - Ops that were built with another torch or CUDA than the environment has now are named too; C(ds_report) does not.
positional: version, switches, compatible
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) and C(deepspeed) gathered.
    type: dict
    required: true
  version:
    description: The wished version. Empty takes any.
    type: str
    default: ""
  switches:
    description: What P(fromzero.deepspeed.deepspeed_switches#filter) returned.
    type: dict
    default: {}
  compatible:
    description: Switches of ops that have to be compatible, of P(fromzero.deepspeed.deepspeed_ops#filter).
    type: list
    elements: str
    default: []
    version_added: 0.4.0
"""

EXAMPLES = r"""
- name: Prove DeepSpeed
  ansible.builtin.assert:
    that: environment_of_training | fromzero.deepspeed.deepspeed_problems('0.19.8') | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each difference.
  type: list
  elements: str
  sample: ["deepspeed is not installed in /opt/fromzero/envs/train."]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import problems


def deepspeed_problems(
    environment: Mapping[str, Any],
    version: str = "",
    switches: Mapping[str, str] | None = None,
    compatible: Sequence[str] = (),
) -> list[str]:
    """See DOCUMENTATION."""
    return [str(problem) for problem in problems(environment, str(version), switches or {}, compatible)]


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deepspeed_problems": deepspeed_problems}
