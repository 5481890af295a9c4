# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: set_aside
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Why this run has lost nodes
description:
  - Ansible drops a node that fails or cannot be reached, and goes on with the others. This lookup says what happened to
    each of them until now.
  - It knows what the callback P(fromzero.deepspeed.set_aside#callback) has seen, and nothing where that is not loaded.
options: {}
seealso:
  - plugin: fromzero.deepspeed.set_aside
    plugin_type: callback
"""

EXAMPLES = r"""
- name: Say which nodes this run has lost
  ansible.builtin.debug:
    msg: "{{ lookup('fromzero.deepspeed.set_aside') }}"
"""

RETURN = r"""
_raw:
  description:
    - One dictionary. For each node that was lost, C(event) says at which task and why, and C(remedy) what to do. That
      is empty where it is not known.
  type: list
  elements: dict
  sample:
    - node2:
        event: "could not be reached at 'Gather facts': Connection timed out"
        remedy: check that it runs and that ansible_host and ansible_port are right
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.failures import LOSSES, as_data


class LookupModule(LookupBase):
    """Hands what the callback has seen to a task."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        return [as_data(LOSSES)]
