#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: torch_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: What a requested torch takes to install in an environment, and whether it is proved there already
description:
  - Looks at the packages of an environment on the node and decides on the control node, once.
  - Replaces V(auto) by the version that belongs to the torch (C(data/torch.yml)), and leaves out, each in a sentence,
    what has no wheel for the torch, its build, the Python or the machine.
  - Fails with one sentence where a version or a build cannot be read, or where they contradict each other.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  version:
    description: Version of torch, with or without a local tag such as C(2.0.1+cu117).
    type: str
    required: true
  torchvision:
    description: Version of torchvision. V(auto) is the one that belongs to the torch. V(none) and empty leave it out.
    type: str
    default: auto
  torchaudio:
    description: The same for torchaudio.
    type: str
    default: auto
  build:
    description: Local tag of the versions that have none, such as V(cpu) or V(cu130). Empty takes any build.
    type: str
    default: ""
  wheels:
    description: Files or URLs that take the place of the versions of what they hold.
    type: list
    elements: str
    default: []
  wheels_on_node:
    description: Whether paths in O(wheels) are paths on the node. If not, they are copied below the environment before.
    type: bool
    default: false
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide what the requested torch takes
  fromzero.deepspeed.torch_decision:
    prefix: /opt/fromzero/envs/train
    version: 2.0.1+cu117
  register: torch_of_training
"""

RETURN = r"""
packages:
  description: What to install, for M(fromzero.deepspeed.python_packages).
  returned: success
  type: list
  elements: str
  sample: [torch==2.0.1+cu117, torchvision==0.15.2+cu117]
left_out:
  description: One sentence for each of torchvision and torchaudio that is left out.
  returned: success
  type: list
  elements: str
copied:
  description: Paths on the control node that have to be copied into the folder C(.fromzero/wheels) of the environment.
  returned: success
  type: list
  elements: str
record:
  description: What was asked for, which M(fromzero.deepspeed.environment_proof) records with what it finds.
  returned: success
  type: dict
due:
  description: Whether this has not been proved yet with the versions that are installed.
  returned: success
  type: bool
"""
