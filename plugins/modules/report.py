#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: report
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Print lines as they are, and end the task with a sentence where there is a reason
description:
  - Prints on the control node, one line for each text. The default output of Ansible shows a text of several lines as
    one line of JSON.
  - A failure is printed once, without the place in the task file.
options:
  lines:
    description: What to print.
    type: list
    elements: str
    default: []
  at_end:
    description:
      - Whether O(lines) are printed as the last of the run, by the callback
        P(fromzero.deepspeed.set_aside#callback).
    type: bool
    default: false
  failure:
    description: What cannot be, as a sentence. The task fails unless this or the list O(reasons) is empty.
    type: str
    default: ""
  reasons:
    description: The reasons for O(failure), printed before it as a list. Without this option there is no list.
    type: list
    elements: str
attributes:
  check_mode:
    description: Prints and fails in check mode too.
    support: full
  diff_mode:
    description: It changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Print a table
  fromzero.deepspeed.report:
    lines: ["node   GPUs", "node1  8"]

- name: Refuse what cannot work
  fromzero.deepspeed.report:
    failure: The inventory cannot work
    reasons: "{{ problems }}"
"""

RETURN = r"""
at_end:
  description: The lines that are printed at the end of the run.
  returned: when O(at_end) is V(true)
  type: list
  elements: str
"""
