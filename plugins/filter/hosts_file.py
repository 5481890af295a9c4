# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts_file
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Lines of /etc/hosts for the nodes of a mesh
description:
  - Renders one line for each node with its address between nodes, what it calls itself, and its alias.
  - A name that several nodes have is left out, and so is a node without an address.
options:
  _input:
    description: Records of nodes, as RV(fromzero.deepspeed.ssh_identity#module:record) gives them back.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the aliases
  ansible.builtin.debug:
    msg: "{{ records | fromzero.deepspeed.hosts_file }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
  sample: "10.0.0.11 gpu1.example.org gpu1 node1\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ssh import texts


def hosts_file(records: Sequence[Mapping[str, Any]]) -> str:
    """See DOCUMENTATION."""
    try:
        return texts.hosts_file(records)
    except texts.RecordError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"hosts_file": hosts_file}
