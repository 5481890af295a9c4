# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: training_libs_record
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What is written down about libraries that were proved
description:
  - As long as it stays the same, nothing is to do.
positional: asked, choice, sums
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned.
    type: dict
    required: true
  asked:
    description: What the user wrote beyond what the choice was made of.
    type: dict
    required: true
  choice:
    description: What P(fromzero.deepspeed.training_libs_choice#filter) returned.
    type: dict
    required: true
  sums:
    description: The sums of the wheels that were built or brought, by distribution, or those that were written down.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what would be written down
  ansible.builtin.debug:
    msg: "{{ environment_of_training | fromzero.deepspeed.training_libs_record({}, choice_of_libraries) }}"
"""

RETURN = r"""
_value:
  description: What was asked for, and what was found.
  type: dict
  sample: {"asked": {"packages": ["fire"], "pins": ""}, "python": "3.11.2", "found": {"fire": "0.7.1"}, "wheels": {}}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import record


def training_libs_record(
    environment: Mapping[str, Any],
    asked: Mapping[str, Any],
    choice: Mapping[str, Any],
    sums: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return record(plain(environment), plain(asked), plain(choice), plain(sums or {}))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"training_libs_record": training_libs_record}
