#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_plan
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Decides one software stack for all nodes, or says all that stands against one
description:
  - Runs on the control node, once for a play over the nodes, after M(ansible.builtin.setup),
    M(fromzero.deepspeed.network_info), M(fromzero.deepspeed.gpu_info) and M(fromzero.deepspeed.node_info).
  - Takes wishes from the variables that nodes are given, C(cluster_stack), C(cluster_accelerator), C(torch_version),
    C(torch_build), C(torch_wheels), C(conda_python_version), C(deepspeed_version), C(deepspeed_wheel),
    C(cuda_toolkit_versions), C(hostfile_precision), C(hostfile_config) and C(nvidia_driver_*). Defaults of roles wish
    for nothing.
  - Nodes that the run leaves alone (C(--limit)) or has lost count as the last run that looked at them wrote them down.
  - Fails with every reason at once where there is no plan, and names the nearest that works.
options:
  path:
    description: The file on the control node that holds the plan from one run to the next. Its folder is made.
    type: path
    required: true
  problems:
    description: Sentences about what else is wrong with the nodes, to be told together with what stands against a plan.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Decides the same, and writes nothing down.
    support: full
  diff_mode:
    description: The file tells of a run and is no state that changes, so no difference is shown.
    support: none
"""

EXAMPLES = r"""
- name: Decide the stack
  fromzero.deepspeed.cluster_plan:
    path: "{{ inventory_dir }}/artifacts/plan.yml"
  register: decided
  run_once: true

- name: Take the plan
  ansible.builtin.set_fact:
    preflight_plan: "{{ decided.plan | combine({'node': decided.nodes[inventory_hostname]}) }}"
    cacheable: true
"""

RETURN = r"""
plan:
  description: What all nodes have in common, such as C(stack), C(python), C(torch), C(cuda) and C(deepspeed).
  returned: success
  type: dict
  sample: {stack: torch-2.13-cpu, accelerator: cpu, python: "3.11", torch: {version: 2.13.0, build: cpu}, cuda: null}
nodes:
  description: What is planned for each node of the play, by its name.
  returned: success
  type: dict
  sample: {node1: {driver: {now: 470.182.03, then: "580", action: upgrade}, gpus: 2 x Tesla V100S-PCIE-32GB}}
brings:
  description: The interface, the address and the slots of each node of the play, by its name.
  returned: success
  type: dict
  sample: {node1: {interface: eth1, address: 10.0.0.11, slots: 2}}
why:
  description: Sentences that say what decided.
  returned: success
  type: list
  elements: str
  sample: ["Wished for: torch 2.0.1."]
remarks:
  description: Sentences that are shown as warnings, too.
  returned: success
  type: list
  elements: str
  sample: ["The plan is made without node3, which no run has looked at yet."]
"""
