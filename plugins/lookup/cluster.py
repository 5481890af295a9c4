# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The value of a collection-wide variable, or its default
description:
  - Role defaults read the C(cluster_*) variables through this lookup, so that each default is defined once.
  - C(cluster_user), the account that trains, defaults to the account that Ansible connects as.
  - C(cluster_become), whether the play may use root, defaults to V(true).
  - C(cluster_prefix), where conda, environments and tools go, defaults to V(/opt/fromzero); where C(cluster_become)
    is false, to C(fromzero) in the home of the account that Ansible connects as.
  - C(cluster_environment), the prefix of the training environment, defaults to C(envs/train) under C(cluster_prefix).
  - C(cluster_accelerator), one of V(auto), V(cuda), V(rocm), V(cpu), defaults to V(auto). For V(auto) the lookup
    returns what the role C(preflight) found on the nodes (the fact C(preflight_accelerator)), and V(auto) where it has
    not run.
  - C(cluster_stack), the name of a stack in C(data/stacks.yml), defaults to V(auto), the newest that all nodes can run.
  - C(cluster_network), the CIDR of the network that NCCL and ssh use between nodes, is empty by default, which means
    the network that the nodes share.
  - C(cluster_interface), a variable of one host, names the interface to use on it whatever C(cluster_network) says; it
    is empty by default.
  - C(cluster_head), the host where C(deepspeed) is typed, defaults to the host in group C(head), else to the first
    host in group C(nodes).
  - C(cluster_artifacts), the folder on the control node for what a run writes down, defaults to C(artifacts) beside
    the inventory, be that a file or a folder. The first inventory of a folder takes it, as C(cluster.json) in it says;
    any other one gets C(artifacts/inventories/) with its name.
  - C(cluster_adopt), the nodes that this cluster takes over from another one, as a list or with commas, is empty by
    default.
  - C(cluster_depot_url), the address at which the first host of group C(depot) serves files to the nodes, is empty by
    default, which means that each node gets them from the control node.
  - C(cluster_depot_folder), the folder that this host serves there, defaults to V(/srv/fromzero).
  - C(cuda_toolkit_record), a variable of the role C(cuda_toolkit) that other roles follow, is the file with what was
    proved of the toolkits. It defaults to C(etc/cuda_toolkit.json) under C(cluster_prefix), also where it is empty.
options:
  _terms:
    description: Names of collection-wide variables.
    required: true
"""

EXAMPLES = r"""
- name: A role default
  ansible.builtin.debug:
    msg: "{{ lookup('fromzero.deepspeed.cluster', 'cluster_prefix') }}/conda"
"""

RETURN = r"""
_raw:
  description: One value for each name.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import (
    KNOBS,
    KnobError,
    resolve,
)

# Facts and magic variables hold no templates; rendering them at each use would cost more than all the rest.
_CONTEXT = ("ansible_facts", "ansible_inventory_sources", "groups", "inventory_dir", "playbook_dir")


class LookupModule(LookupBase):
    """Hands the variables of the current host to the resolver of the collection-wide variables."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        given = variables or {}
        values = {name: given[name] for name in _CONTEXT if name in given}
        values |= {name: self._templar.template(given[name]) for name in (*KNOBS, "ansible_user") if name in given}
        try:
            return [resolve(term, values) for term in terms]
        except KnobError as error:
            raise AnsibleLookupError(str(error)) from error
