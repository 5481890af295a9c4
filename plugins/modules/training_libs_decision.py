#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: training_libs_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Which libraries a request stands for in an environment, and whether they are proved there already
description:
  - Looks at the environment on the node and decides on the control node, once. Sets and their pins are those of
    C(data/libraries.yml) that fit the installed torch and Python.
  - Where flash-attn is among them and something is to be done, torch is imported and the GPUs are looked at.
  - Fails with a sentence for each thing that does not fit. In check mode it does not, since the roles before have
    installed nothing then.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  sets:
    description: Names of sets.
    type: list
    elements: str
    default: []
  packages:
    description: Further requirements.
    type: list
    elements: str
    default: []
  projects:
    description: Projects that are built on one node, as in the variable C(training_libs_projects).
    type: list
    elements: dict
    default: []
  constrained:
    description: Whether the pins of the sets count.
    type: bool
    default: true
  constraints:
    description: Files of constraints on the control node. What they name overrides the pins of the sets.
    type: list
    elements: path
    default: []
  flash_attn_version:
    description: The requested release of flash-attn. Empty leaves it open.
    type: str
    default: ""
  accelerator:
    description: What the node computes on.
    type: str
    choices: [auto, cuda, rocm, cpu]
    default: auto
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide what the set nlp takes
  fromzero.deepspeed.training_libs_decision:
    prefix: /opt/fromzero/envs/train
    sets: [nlp]
  register: libraries_of_training
"""

RETURN = r"""
packages:
  description: Requirements, one for each package.
  returned: success
  type: list
  elements: str
pins:
  description: The text of a file of constraints.
  returned: success
  type: str
keep:
  description: Names of packages that must not move.
  returned: success
  type: list
  elements: str
imports:
  description: Modules that must import afterwards, also on a node without a GPU.
  returned: success
  type: list
  elements: str
flash_attn:
  description: Whether flash-attn is among them.
  returned: success
  type: bool
projects:
  description: The projects with all their values, and a sum over those that lie on the control node.
  returned: success
  type: list
  elements: dict
environment:
  description: What M(fromzero.deepspeed.environment_info) returned.
  returned: success
  type: dict
record:
  description: What was asked for, which M(fromzero.deepspeed.environment_proof) records with what it finds.
  returned: success
  type: dict
recorded_packages:
  description: The packages whose versions are recorded.
  returned: success
  type: list
  elements: str
recorded_wheels:
  description: The sums of the wheels that were installed before, by distribution.
  returned: success
  type: dict
due:
  description: Whether this has not been proved yet with the versions that are installed.
  returned: success
  type: bool
"""
