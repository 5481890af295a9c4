# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Nodes that belong to another cluster than the inventory, as sentences
description:
  - Compares the id of the cluster in C(cluster.json) on the control node with those that nodes reported to
    M(fromzero.deepspeed.node_info).
options:
  folder:
    description: The folder on the control node for what a run writes down.
    type: path
    required: true
  adopt:
    description: Nodes that shall belong to this cluster, whatever cluster they belong to now.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse nodes of another cluster
  ansible.builtin.assert:
    that: query('fromzero.deepspeed.cluster_problems', folder=inventory_dir ~ '/artifacts') | length == 0
"""

RETURN = r"""
_raw:
  description: One sentence for each problem; empty where there is none.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import (
    Membership,
    decide,
    read_identity,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View, plain


class LookupModule(LookupBase):
    """Hands what nodes remember to the one who decides which cluster this is."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        view = View(variables or {}, self._templar.template)
        reports = {node.name: node.report.get("membership") for node in view.nodes(view.hosts("ansible_play_hosts"))}
        held = {name: Membership(**plain(found)) for name, found in reports.items() if found}
        folder = Path(str(self.get_option("folder")))
        return decide(read_identity(folder), held, plain(self.get_option("adopt")), folder)[1]
