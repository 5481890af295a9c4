# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_switches
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Switches of a DeepSpeed build as its variables
description:
  - Checks names and turns values into V(1) and V(0), as DeepSpeed's build reads them from its environment.
  - Fails with a sentence where a name or a value is not that of a switch.
options:
  _input:
    description: Names such as C(DS_BUILD_CPU_ADAM) with a truth value each.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the variables of a build
  ansible.builtin.debug:
    msg: "{{ {'DS_BUILD_SHM_COMM': true} | fromzero.deepspeed.deepspeed_switches }}"
"""

RETURN = r"""
_value:
  description: The variables.
  type: dict
  sample: {DS_BUILD_SHM_COMM: "1"}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import (
    SwitchError,
    switches,
)


def deepspeed_switches(wish: Mapping[str, Any]) -> dict[str, str]:
    """See DOCUMENTATION."""
    try:
        return switches({str(name): value for name, value in wish.items()})
    except SwitchError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deepspeed_switches": deepspeed_switches}
