# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: known_hosts
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Lines of known_hosts for the nodes of a mesh
description:
  - Renders each host key under every name and address of its node, with the port where it is not 22.
  - A name that several nodes have, such as a host name that came with an image, is left out.
options:
  _input:
    description: Records of nodes, as RV(fromzero.deepspeed.ssh_identity#module:record) gives them back.
    type: list
    elements: dict
    required: true
  names:
    description: Use these names instead of the records' own, as for C(localhost).
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show what every node shall know
  ansible.builtin.debug:
    msg: "{{ records | fromzero.deepspeed.known_hosts }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
  sample: "node1,gpu1,10.0.0.11 ssh-ed25519 AAAAC3Nz...\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ssh import texts


def known_hosts(records: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> str:
    """See DOCUMENTATION."""
    try:
        return texts.known_hosts(records, names=names)
    except texts.RecordError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"known_hosts": known_hosts}
