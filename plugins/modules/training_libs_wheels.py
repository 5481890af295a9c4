#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: training_libs_wheels
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Which wheels are installed together, and which by themselves
description:
  - A project that was changed often has the same version, so an installer would take the old one for it. Therefore the
    sums of the wheels are compared with what was written down.
  - Runs on the control node alone.
options:
  wheels:
    description: Wheels as M(fromzero.deepspeed.wheel_build) returns them.
    type: list
    elements: dict
    required: true
  paths:
    description: Where each of them is on the node. Empty where they are not there yet, as in check mode.
    type: list
    elements: str
    default: []
  alone:
    description: Names of projects whose dependencies are not wanted.
    type: list
    elements: str
    default: []
  recorded:
    description: The sums of the wheels that were installed before, by distribution.
    type: dict
    default: {}
  installed:
    description: The packages of the environment before.
    type: dict
    default: {}
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide what is installed again
  fromzero.deepspeed.training_libs_wheels:
    wheels: "{{ wheels_of_projects }}"
    paths: "{{ paths_on_node }}"
"""

RETURN = r"""
together:
  description: Paths of those that take part in one installation.
  returned: success
  type: list
  elements: str
again:
  description: Paths of those that are installed without what they need.
  returned: success
  type: list
  elements: str
sums:
  description: The sums of all, by distribution.
  returned: success
  type: dict
"""
