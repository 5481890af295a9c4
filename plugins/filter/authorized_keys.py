# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: authorized_keys
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Lines of authorized_keys for the nodes of a mesh
description:
  - Renders every public key once, with the name of its node as the comment.
options:
  _input:
    description: Records of nodes, as RV(fromzero.deepspeed.ssh_identity#module:record) gives them back.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the keys that every node shall accept
  ansible.builtin.debug:
    msg: "{{ records | fromzero.deepspeed.authorized_keys }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
  sample: "ssh-ed25519 AAAAC3Nz... fromzero.deepspeed@node1\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ssh import texts


def authorized_keys(records: Sequence[Mapping[str, Any]]) -> str:
    """See DOCUMENTATION."""
    try:
        return texts.authorized_keys(records)
    except texts.RecordError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"authorized_keys": authorized_keys}
