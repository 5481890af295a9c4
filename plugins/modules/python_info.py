#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: python_info
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Says whether a node has a Python that Ansible and this collection can use
description:
  - Asks the shell of the node, so it works where there is no Python, or one that is too old to run any module.
  - Looks where Ansible does, C(ansible_python_interpreter) first.
  - Never fails for a Python; RV(problem) says what is wrong, so that all nodes can be told of at once.
options:
  systems:
    description: Supported versions by distribution, as Ansible names them in its facts.
    type: dict
    required: true
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at Python
  fromzero.deepspeed.python_info:
    systems: {Debian: ["12", "13"], Rocky: ["8", "9"]}
  register: result
"""

RETURN = r"""
python:
  description: The Python that Ansible would use; null where it finds none.
  returned: success
  type: dict
  sample: {path: /usr/bin/python3, version: 3.11.2}
problem:
  description: Why Ansible cannot work there and what to do, as a sentence; empty where it can.
  returned: success
  type: str
  sample: "node2 has a Python at /usr/bin/python3 that does not run; install one: sudo dnf install -y python3."
"""
