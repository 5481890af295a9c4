#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_proof
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Prove that what was installed in a Python environment is what was asked for, and works
description:
  - Imports it on the node by M(fromzero.deepspeed.environment_info), and compares what it says of itself with what was
    asked for.
  - Fails with one sentence for each difference. Where there is none, the proof is recorded by
    M(fromzero.deepspeed.environment_record), if O(record) is given.
  - Give one of O(torch), O(apex), O(deepspeed) and O(training_libs). Its name is that of the record.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  torch:
    description: What was installed, as M(fromzero.deepspeed.torch_decision) returned it.
    type: dict
  apex:
    description: What was built, C(extensions) with the compiled extensions and the modules that need each.
    type: dict
  deepspeed:
    description: What was installed, C(version), C(switches) of ops, and C(compatible) with switches that must be so.
    type: dict
  training_libs:
    description: What was installed, C(imports) with the modules that must import, also on a node without a GPU.
    type: dict
  accelerator:
    description: The accelerator that DeepSpeed is asked about.
    type: str
    choices: [auto, cuda, rocm, cpu]
    default: auto
  record:
    description:
      - What is recorded where the proof holds, and with it in C(found) the installed versions of O(recorded_packages).
      - Without it nothing is recorded.
    type: dict
  recorded_packages:
    description: Packages whose versions are recorded.
    type: list
    elements: str
    default: []
  write:
    description:
      - Whether the record is written. Turn it off where more has to hold first, and give RV(record) to
        M(fromzero.deepspeed.environment_record) then.
    type: bool
    default: true
attributes:
  check_mode:
    description: Looks, and says what would be recorded.
    support: full
  diff_mode:
    description: Shows the record as it was and as it is.
    support: full
"""

EXAMPLES = r"""
- name: Prove torch
  fromzero.deepspeed.environment_proof:
    prefix: /opt/fromzero/envs/train
    torch:
      packages: [torch==2.13.0+cpu]
"""

RETURN = r"""
environment:
  description: What M(fromzero.deepspeed.environment_info) returned.
  returned: success
  type: dict
record:
  description: O(record) with the installed versions.
  returned: if O(record) is given
  type: dict
"""
