#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_lock
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Lets one run at a time change a cluster
description:
  - Takes a lock on the control node, in the artifacts of the inventory, and on the host of the task, which is the head
    of the cluster by C(delegate_to). It says who runs which playbook, and since when.
  - Fails where another run has one of the two, and says which run that is.
  - The lock lasts until the run of Ansible ends, however it ends. A process on the control node renews it meanwhile and
    gives it back; the callback P(fromzero.deepspeed.cluster_lock#callback) waits for that.
  - A lock that a run left behind is taken over. On the same control node that is seen at once, from any other one when
    the lock has not been renewed for 90 s.
  - Where the head cannot be used, a warning says so, and the control node alone has the lock.
options:
  folder:
    description: The folder on the control node for C(lock.json). It is created.
    type: path
    required: true
  playbook:
    description: The name of the playbook, as others shall see it.
    type: str
    required: true
  reachable:
    description: Whether the head can be reached; with V(false) it is not asked.
    type: bool
    default: true
attributes:
  check_mode:
    description: Takes no lock in check mode, and does not look for one.
    support: partial
    details: A run that changes nothing is in nobody's way.
  diff_mode:
    description: The lock is no state that changes, so no difference is shown.
    support: none
"""

EXAMPLES = r"""
- name: Lock the cluster
  fromzero.deepspeed.cluster_lock:
    folder: "{{ inventory_dir }}/artifacts"
    playbook: my_site
  delegate_to: "{{ groups['nodes'][0] }}"
  run_once: true
"""

RETURN = r"""
lock:
  description: The folder of the lock and what it says, for the callback.
  returned: success
  type: dict
  sample: {"folder": "/home/ann/cluster/artifacts", "run": "{\"user\": \"ann\", \"playbook\": \"site\"}"}
"""
