#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: address_report
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Report addresses that nodes cannot install from, or refuse to go on
description:
  - Prints what nodes cannot fetch, each sentence once with all nodes that it is about.
  - Run it once for all nodes.
options:
  reports:
    description: What M(fromzero.deepspeed.address_info) returned, by node.
    type: dict
    required: true
  refuse:
    description: Whether the task fails where a node cannot fetch something. If not, it only says so.
    type: bool
    default: true
attributes:
  check_mode:
    description: Prints and fails in check mode too.
    support: full
  diff_mode:
    description: It changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Report what the nodes cannot fetch
  fromzero.deepspeed.address_report:
    reports: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'address_reports'))) }}"
    refuse: false
  run_once: true
"""

RETURN = r"""
problems:
  description: The sentences about what cannot be fetched.
  returned: success
  type: list
  elements: str
"""
