# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_config
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Host blocks of ssh_config for the nodes of a mesh
description:
  - Renders blocks only for what the defaults of ssh do not know, so nothing where every node listens on port 22 and
    other files lead to its address.
options:
  _input:
    description: Records of nodes, as RV(fromzero.deepspeed.ssh_identity#module:record) gives them back.
    type: list
    elements: dict
    required: true
  addresses:
    description: Lead each name to its address, where no line of C(/etc/hosts) does.
    type: bool
    default: false
  names:
    description: Use these names instead of the records' own, as for C(localhost).
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show what ssh has to be told
  ansible.builtin.debug:
    msg: "{{ records | fromzero.deepspeed.ssh_config }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
  sample: "Host node1 gpu1\n    HostName 10.0.0.11\n    Port 2222\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ssh import texts


def ssh_config(
    records: Sequence[Mapping[str, Any]], addresses: bool = False, names: Sequence[str] | None = None
) -> str:
    """See DOCUMENTATION."""
    try:
        return texts.ssh_config(records, addresses=addresses, names=names)
    except texts.RecordError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"ssh_config": ssh_config}
