# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: apex_problems
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What the apex of an environment lacks
description:
  - Names each compiled extension that is missing, and each that does not import, with the reason.
positional: _input, extensions
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(apex) gathered.
    type: dict
    required: true
  extensions:
    description: The modules that must be there.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Prove apex
  ansible.builtin.assert:
    that: environment_of_training | fromzero.deepspeed.apex_problems(['amp_C']) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
  sample: ["apex is not installed in /opt/fromzero/envs/train."]
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.apex import shortcomings


def apex_problems(environment: Mapping[str, Any], extensions: Iterable[str]) -> list[str]:
    """See DOCUMENTATION."""
    return shortcomings(plain(environment), [str(name) for name in extensions])


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"apex_problems": apex_problems}
