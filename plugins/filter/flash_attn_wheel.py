# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: flash_attn_wheel
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: The finished wheel of flash-attn for an environment
description:
  - Computes the name under which the project offers it, from the torch, its CUDA and its ABI, and from the Python.
positional: release
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    required: true
  release:
    description: The wished release. Empty takes the newest that has a wheel for the environment.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show its name
  ansible.builtin.debug:
    msg: "{{ environment_of_training | fromzero.deepspeed.flash_attn_wheel }}"
"""

RETURN = r"""
_value:
  description: Empty where the project has none.
  type: dict
  sample: {"release": "2.8.3", "filename": "flash_attn-2.8.3+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl",
           "installed_name": "flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl", "glibc": "2.35", "torch": "2.8.0+cu128",
           "python": "3.11"}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.flash_attn import wheel


def flash_attn_wheel(environment: Mapping[str, Any], release: str = "") -> dict[str, str]:
    """See DOCUMENTATION."""
    return wheel(plain(environment), str(release))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"flash_attn_wheel": flash_attn_wheel}
