#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deepspeed_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: How a requested DeepSpeed is built and installed, and whether it is proved there already
description:
  - Looks at the packages of an environment on the node and decides on the control node, once. Where something is to
    do, torch and the installed DeepSpeed are imported too.
  - Turns ops by their names into switches of the build, by C(data/deepspeed_ops.yml), and says what the build and the
    nodes need for them. An op that is requested by V(auto) and cannot be built is left out, with the reason.
  - Fails with a sentence for each switch that is none, for each op that is requested and cannot be built, and for what
    prevents an installation in this environment. In check mode the last does not count, since the roles before may have
    installed nothing.
  - The facts of the node must have been gathered, C(gather_subset=min) is sufficient.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  version:
    description: Version of DeepSpeed.
    type: str
    required: true
  source:
    description: The source to build in place of O(version), as M(fromzero.deepspeed.wheel_build) takes it.
    type: str
    default: ""
  wheel:
    description: A wheel in place of O(version), as an URL or a path. Nothing is compiled then.
    type: str
    default: ""
  wheel_on_node:
    description: Whether O(wheel) is a path on the node. Otherwise it is one on the control node.
    type: bool
    default: false
  find_links:
    description: Folders on the node, or URLs of pages, with wheels. Where they are given nothing is compiled.
    type: list
    elements: str
    default: []
  ops:
    description:
      - Names of ops with V(true), V(false) or V(auto) each; C(all) with V(auto) means every op that is not named.
    type: dict
    default: {}
  switches:
    description: Switches of the build as DeepSpeed calls them, such as C(DS_BUILD_CPU_ADAM), with V(1) or V(0) each.
    type: dict
    default: {}
  variables:
    description: Further variables of the build, such as C(CXX).
    type: dict
    default: {}
  architectures:
    description: Compute capabilities of the cluster, to compile for.
    type: list
    elements: str
    default: []
  accelerator:
    description: What the nodes compute on. V(auto) is what torch was built for.
    type: str
    choices: [auto, cuda, rocm, cpu]
    default: auto
  cuda_home:
    description: Folder of the CUDA toolkit that compiles, as M(fromzero.deepspeed.wheel_build) takes it.
    type: str
    default: auto
  system:
    description: Whether packages of the system can be installed.
    type: bool
    default: true
  compiler:
    description: Whether a compiler is installed.
    type: str
    choices: [auto, always, never]
    default: auto
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide how DeepSpeed is built for two kinds of GPUs
  fromzero.deepspeed.deepspeed_decision:
    prefix: /opt/fromzero/envs/train
    version: 0.19.8
    ops: {fused_adam: true, async_io: auto}
    architectures: ["7.0", "8.0"]
  register: deepspeed_of_training
"""

RETURN = r"""
due:
  description: Whether this has not been proved yet with the versions that are installed.
  returned: success
  type: bool
build:
  description: Options of M(fromzero.deepspeed.wheel_build); empty where nothing is built.
  returned: when due
  type: dict
  sample:
    source: deepspeed==0.19.8
    environment: {DS_ENABLE_NINJA: "1", DS_BUILD_FUSED_ADAM: "1"}
    cuda_home: auto
    nvcc: true
    nvcc_versions: ["13.0"]
    architectures: ["7.0", "8.0"]
    native: false
    needs: [compiler, headers, ninja]
    requirements: [psutil, py-cpuinfo]
copied:
  description: Path on the control node of a wheel that has to be copied to the node; empty where there is none.
  returned: when due
  type: str
package:
  description: What to install where no wheel was built or copied.
  returned: when due
  type: str
  sample: deepspeed==0.19.8
reinstall:
  description: Whether it has to be installed again where the version matches.
  returned: when due
  type: bool
version:
  description: The version that has to be installed; empty where a wheel or a source decides it.
  returned: when due
  type: str
  sample: 0.19.8
switches:
  description: The ops that must be installed, as variables of the build.
  returned: when due
  type: dict
  sample: {DS_BUILD_FUSED_ADAM: "1"}
compatible:
  description: Switches of ops that DeepSpeed does not use on a node where C(ds_report) calls them incompatible.
  returned: when due
  type: list
  elements: str
  sample: [DS_BUILD_AIO]
left_out:
  description: A sentence for each op that V(auto) leaves out.
  returned: when due
  type: list
  elements: str
run_packages:
  description: Packages of the system that every node needs to load the ops; empty where none can be installed.
  returned: when due
  type: list
  elements: str
  sample: [libaio-dev]
run_python_packages:
  description: Packages that the ops import.
  returned: when due
  type: list
  elements: str
compile_packages:
  description: Packages of the system that a node needs where a run compiles ops; empty where none can be installed.
  returned: when due
  type: list
  elements: str
  sample: [g++, make, python3.11-dev, ninja-build]
headers_advice:
  description: What to do where the headers of the environment's Python are not offered, a sentence by their package.
  returned: when due
  type: dict
record:
  description: What was asked for, which M(fromzero.deepspeed.environment_record) writes down with what is found.
  returned: when due
  type: dict
"""
