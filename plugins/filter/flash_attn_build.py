# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: flash_attn_build
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What a build of flash-attn is made of
description:
  - Finds the release that goes with a torch, and what its C(setup.py) calls the architectures of GPUs.
positional: capabilities, release
options:
  _input:
    description: The version of torch.
    type: str
    required: true
  capabilities:
    description: Compute capabilities of the GPUs that it is for.
    type: list
    elements: str
    default: []
  release:
    description: The wished release.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what would be built
  ansible.builtin.debug:
    msg: "{{ '2.13.0+cu130' | fromzero.deepspeed.flash_attn_build(['8.6', '9.0']) }}"
"""

RETURN = r"""
_value:
  description: C(memory) is in GiB, for one compiler. Empty where no release is known for the torch.
  type: dict
  sample: {"release": "2.8.3.post2", "architectures": ["80", "90"], "memory": 9.0}
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.flash_attn import build


def flash_attn_build(torch: str, capabilities: Iterable[str] = (), release: str = "") -> dict[str, Any]:
    """See DOCUMENTATION."""
    return build(str(torch), [str(text) for text in plain(list(capabilities))], str(release))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"flash_attn_build": flash_attn_build}
