# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cuda_toolkits
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: What is known of some CUDA toolkits
description:
  - Looks versions up in C(data/cuda.yml). A version that is not known there is refused, with those near it.
positional: _input, machine, used
options:
  _input:
    description: Versions, such as V(13.0), or V(13.0.3) where it must be that release.
    type: list
    elements: str
    required: true
  machine:
    description: The architecture of the node's processor.
    type: str
    default: x86_64
  used:
    description: Versions that shells or environments are to lead to; one that is not among the others is refused.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what a toolkit is called
  ansible.builtin.debug:
    msg: "{{ (['12.8'] | fromzero.deepspeed.cuda_toolkits)[0]['runfile'] }}"
"""

RETURN = r"""
_value:
  description:
    - An entry for each version with its minor version (minor), the newest release of it (release), the names of its
      package and runfile, the greatest gcc, the compute capabilities that it compiles for, the least driver and the
      one that it was made with (driver_made_with).
  type: list
  elements: dict
  sample:
    - version: "13.0"
      minor: "13.0"
      release: 13.0.3
      package: cuda-toolkit-13-0
      runfile: cuda_13.0.3_580.126.20_linux.run
      gcc: "15"
      capabilities: ["7.5", "8.0"]
      driver: 580.65.06
      driver_made_with: 580.126.20
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import CudaError, toolkits
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def cuda_toolkits(versions: Iterable[str], machine: str = "x86_64", used: Iterable[str] = ()) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    if isinstance(versions, str):
        raise AnsibleFilterError(f"cuda_toolkits wants a list of versions, and got '{versions}'; write ['{versions}'].")
    try:
        return toolkits(plain(list(versions)), rows("cuda"), str(machine), plain(list(used)))
    except CudaError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"cuda_toolkits": cuda_toolkits}
