# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: accelerator
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What the cluster computes on
description:
  - The value of C(cluster_accelerator); where it is V(auto), V(cuda) if any node of the play has reported an
    NVIDIA GPU, else V(rocm) if any has reported an AMD GPU that ROCm can compute on.
options: {}
"""

EXAMPLES = r"""
- name: Say what the cluster computes on
  ansible.builtin.debug:
    msg: "{{ lookup('fromzero.deepspeed.accelerator') }}"
"""

RETURN = r"""
_raw:
  description: One of V(cuda), V(rocm), V(cpu), and V(auto) where no node has a GPU.
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import accelerator


class LookupModule(LookupBase):
    """Hands the reports of the nodes to the one who decides."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        view = View(variables or {}, self._templar.template)
        return [accelerator(view.nodes(view.hosts("ansible_play_hosts")))]
