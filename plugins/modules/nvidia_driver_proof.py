#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_proof
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Prove that an NVIDIA driver that was changed works
description:
  - Runs M(fromzero.deepspeed.gpu_info) on the node, and compares what it reports with what was requested.
  - C(nvidia-smi) must answer and see as many GPUs as there were. The module in the kernel must have the version of the
    libraries, which must be a requested one, and lie on the disk for the running kernel. Where there are NVSwitches
    the fabric manager must run.
  - Fails with one sentence for each difference.
options:
  request:
    description: What was requested, as M(fromzero.deepspeed.nvidia_driver_decision) returned it.
    type: dict
    required: true
  gpus:
    description: How many GPUs there were before the change.
    type: int
    required: true
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Prove the driver
  fromzero.deepspeed.nvidia_driver_proof:
    request: "{{ driver_of_the_node.request }}"
    gpus: "{{ driver_of_the_node.gpus }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts of M(fromzero.deepspeed.gpu_info), gathered after the change.
  returned: success
  type: dict
"""
