# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: flash_attn_sum
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: The sha256 sum of a wheel, from whoever says it
description:
  - Looks among sums that were given, then in a text, which is lines as C(sha256sum) writes them or the JSON by which
    GitHub describes a release.
positional: checksums, told
options:
  _input:
    description: The name of the file.
    type: str
    required: true
  checksums:
    description: Sums by the names of files.
    type: dict
    default: {}
  told:
    description: The text.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the sum of a file
  ansible.builtin.debug:
    msg: "{{ 'x-1.0-py3-none-any.whl' | fromzero.deepspeed.flash_attn_sum({}, text_of_sums) }}"
"""

RETURN = r"""
_value:
  description: The sum; empty where nobody says it.
  type: str
  sample: 0d1c3f9e0b1e4a7f8f3f5a1f6c0de8fbb1a94ce2b2e2a06d3c0c62a0b7f1d2aa
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.flash_attn import sum_of_wheel


def flash_attn_sum(filename: str, checksums: Mapping[str, Any] | None = None, told: str = "") -> str:
    """See DOCUMENTATION."""
    return sum_of_wheel(str(filename), plain(checksums or {}), str(told))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"flash_attn_sum": flash_attn_sum}
