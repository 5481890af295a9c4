# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: node_problems
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: All that is wrong with the nodes, as sentences
description:
  - Judges what nodes reported to M(ansible.builtin.setup), M(fromzero.deepspeed.network_info),
    M(fromzero.deepspeed.gpu_info) and M(fromzero.deepspeed.node_info), each alone and all together.
  - A node that did not report is passed over, since Ansible has dropped it, unless what it lacks is a usable Python,
    as M(fromzero.deepspeed.python_info) or M(ansible.builtin.setup) said.
  - Where only single nodes are at fault, the last sentence says how to go on without them.
  - Warns about nodes without a GPU among nodes with one, and about what is wrong with GPUs and drivers.
options:
  systems:
    description: Supported versions by distribution, as Ansible names them in its facts.
    type: dict
    required: true
  python:
    description: The oldest Python on a node.
    type: str
    required: true
  disk:
    description: GB (10^9 bytes) that must be free before the first installation, by accelerator.
    type: dict
    required: true
  clock_skew:
    description: Seconds that the clocks of two nodes may differ.
    type: float
    required: true
"""

EXAMPLES = r"""
- name: Refuse nodes that cannot work
  ansible.builtin.assert:
    that: >-
      query('fromzero.deepspeed.node_problems', systems={'Debian': ['12', '13']}, python='3.9',
      disk={'cpu': 4, 'cuda': 25}, clock_skew=60) | length == 0
"""

RETURN = r"""
_raw:
  description: One sentence for each problem; empty where there is none.
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.checks import variable_problems
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import KNOBS, resolve
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import (
    Needs,
    broken_nodes,
    home_problems,
    lost_problems,
    shared_problems,
    twin_problems,
    warnings,
    way_without,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES, role_options


class LookupModule(LookupBase):
    """Hands the reports of the nodes to the judge of nodes."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        view = View(variables or {}, self._templar.template)
        reached = view.hosts("ansible_play_hosts")
        lost = [host for host in view.hosts("ansible_play_hosts_all") if host not in reached]
        without_python = {
            host: str(result["problem"])
            for host, result in view.results(reached, "__preflight_python").items()
            if result.get("problem")
        }
        here = [host for host in reached if host not in without_python]
        nodes = view.nodes(here)
        for warning in warnings(nodes):
            Display().warning(warning)
        needs = Needs(**{name: plain(self.get_option(name)) for name in ("systems", "python", "disk", "clock_skew")})
        options = role_options(ROLES)
        # Values that hang on facts could not be judged with the inventory.
        given = view.values(here, {*options, *KNOBS})
        without_python |= lost_problems(view.failures(lost, "__preflight_facts"), needs)
        common = [
            *variable_problems(here, given, options, view.groups.get("nodes", [])),
            *twin_problems(nodes),
            *shared_problems(nodes),
            *home_problems(nodes, given),
        ]
        broken = broken_nodes(nodes, needs)
        names = [*without_python, *broken]
        head = resolve("cluster_head", {**(nodes[0].values if nodes else {}), "groups": view.groups})
        limit = str((variables or {}).get("ansible_limit") or "")
        return [
            *common,
            *without_python.values(),
            *(problem for problems in broken.values() for problem in problems),
            # What all nodes have in common is not repaired by leaving some out.
            *([] if common else way_without(names, reached, str(head), limit)),
        ]
