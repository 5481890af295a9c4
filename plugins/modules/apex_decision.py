#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apex_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: How NVIDIA apex is built for the torch of an environment, and whether it is proved there already
description:
  - Looks at the packages of an environment on the node and decides on the control node, once. Where something is to
    do, torch is imported too.
  - Chooses the ref that fits torch, and turns what is asked for into the switches, options and replacements that this
    ref wants, by C(data/apex.yml).
  - Fails with a sentence for each reason for which apex cannot be built for this torch. In check mode only what is
    wrong in O(contrib) counts, since the roles before may have installed nothing.
  - Warns of another package named apex, and of a ref for a different torch.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  ref:
    description: A tag or a commit of apex's repository. Empty takes the one that fits torch.
    type: str
    default: ""
  build:
    description: What is compiled, C++ and CUDA, C++ alone, or nothing.
    type: str
    choices: [full, cpp, python]
    default: full
  contrib:
    description: Further switches of apex, such as V(xentropy).
    type: list
    elements: str
    default: []
  allow_cuda_minor_mismatch:
    description: Whether nvcc may be of another minor version than torch's CUDA.
    type: bool
    default: false
  source:
    description: Where apex comes from, as M(fromzero.deepspeed.wheel_build) takes it. The ref is added to one by git.
    type: str
    default: git+https://github.com/NVIDIA/apex
  wheel:
    description: A wheel in place of a build, as an URL or a path.
    type: str
    default: ""
  wheel_on_node:
    description: Whether O(wheel) is a path on the node. Otherwise it is one on the control node.
    type: bool
    default: false
  architectures:
    description: Compute capabilities to compile for.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide how apex is built
  fromzero.deepspeed.apex_decision:
    prefix: /opt/fromzero/envs/train
    architectures: ["8.0", "9.0"]
  register: apex_of_training
"""

RETURN = r"""
due:
  description: Whether this has not been proved yet with the versions that are installed.
  returned: success
  type: bool
build:
  description: Options of M(fromzero.deepspeed.wheel_build); empty where a wheel is given.
  returned: when due
  type: dict
  sample:
    source: git+https://github.com/NVIDIA/apex@25.09
    submodules: false
    environment: {APEX_CPP_EXT: "1", APEX_CUDA_EXT: "1"}
    build_options: []
    build_options_scope: command
    substitutions: []
    nvcc: true
    nvcc_versions: ["13.0"]
    needs: [compiler, headers]
copied:
  description: Path on the control node of a wheel that has to be copied to the node; empty where there is none.
  returned: when due
  type: str
package:
  description: What to install where no wheel was built or copied.
  returned: when due
  type: str
  sample: https://mirror.example/apex-0.1-cp311-cp311-linux_x86_64.whl
reinstall:
  description: Whether it has to be installed again where the version matches.
  returned: when due
  type: bool
extensions:
  description: The modules that must import, for M(fromzero.deepspeed.environment_proof).
  returned: when due
  type: list
  elements: str
  sample: [apex_C, amp_C, fused_layer_norm_cuda]
record:
  description: What was asked for, which M(fromzero.deepspeed.environment_proof) records with what it finds.
  returned: when due
  type: dict
"""
