#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What decides whether a node can take part in a cluster
description:
  - Room for what will be installed, how far the clock is off, whether the account that trains exists, and which
    machine this is.
  - Finds facts only; the lookup P(fromzero.deepspeed.node_problems#lookup) judges them for all nodes together.
options:
  path:
    description: The folder that things will be installed in; it need not exist.
    type: path
    required: true
  environment:
    description: The training environment, to see whether it is there already.
    type: path
    required: true
  user:
    description: The account that trains.
    type: str
    required: true
  system:
    description: >-
      Whether root sets up the node, so that it remembers its cluster below C(/etc/ssh). Where this is false, that is in
      the home of O(user).
    type: bool
    default: true
  members:
    description: The names of all nodes in the inventory.
    type: list
    elements: str
    default: []
  controller_time:
    description: The time on the control node at the start of the task, in seconds since 1970.
    type: float
    required: true
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the disk, the clock and the account
  fromzero.deepspeed.node_info:
    path: /opt/fromzero
    environment: /opt/fromzero/envs/train
    user: trainer
    controller_time: "{{ now(fmt='%s.%f') }}"
"""

RETURN = r"""
ansible_facts:
  description: What was read, as facts of the node.
  returned: success
  type: dict
  contains:
    fromzero_node:
      description: The node.
      returned: success
      type: dict
      contains:
        clock_offset:
          description: How far the node's clock is ahead of the controller's, in seconds, with the way there in it.
          returned: success
          type: float
          sample: 0.31
        disk:
          description:
            - The nearest folder to O(path) that exists, its free bytes, and whether it can be written to.
            - C(held_by) is the owner of O(path) where it is there and holds something, else null.
          returned: success
          type: dict
          sample: {path: /opt, free_bytes: 81920000000, writable: true, held_by: null}
        installed:
          description: Whether O(environment) is there.
          returned: success
          type: bool
        account:
          description: The account O(user), whether it exists, its home.
          returned: success
          type: dict
          sample: {name: trainer, exists: true, home: /home/trainer}
        home:
          description: A text that two nodes share only when the home of O(user) is one for both; null where unknown.
          returned: success
          type: str
          sample: nfs4 10.0.0.5:/export/home 1048612
        machine:
          description: A text that two nodes share only when they are one machine or container; null where unknown.
          returned: success
          type: str
          sample: 9b1f3d4e-8d3c-4f0e-9a1b-2f6f2f1d7c55/pid:[4026531836]
        glibc:
          description: The version of the GNU C library, on which wheels depend; null where the system has another one.
          returned: success
          type: str
          sample: "2.36"
        membership:
          description:
            - The cluster of the node, by the C(cluster) id that M(fromzero.deepspeed.ssh_trust) left there,
              empty where it belongs to none.
            - C(outsiders) are the nodes of that cluster that are not in O(members).
          returned: success
          type: dict
          sample: {cluster: 3f2a9c1b7d04, outsiders: []}
        processor:
          description: The level of the x86-64 psABI that the processor has, 1 to 4; 0 for other processors.
          returned: success
          type: int
          sample: 3
"""

import os
import time
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import (
    Membership,
    load_memory,
    membership,
    memory_path,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.facts import (
    account,
    disk,
    glibc,
    home_identity,
    identity,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.processor import level


def belongs(system: bool, home: str | None, members: list[str]) -> Membership:
    """The cluster that the node remembers; none where the file cannot be read, as the role ssh_mesh looks again."""
    try:
        return membership(*load_memory(memory_path(system, Path(home or "/nonexistent"))), members)
    except OSError:
        return Membership()


def main() -> None:
    now = time.time()
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "environment": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "system": {"type": "bool", "default": True},
            "members": {"type": "list", "elements": "str", "default": []},
            "controller_time": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    known = account(given["user"])
    node = {
        "clock_offset": round(now - given["controller_time"], 3),
        "disk": disk(Path(given["path"])),
        "installed": (Path(given["environment"]) / "bin").is_dir(),
        "account": known,
        "membership": asdict(belongs(given["system"], known["home"], given["members"])),
        "home": home_identity(Path("/"), Path(known["home"])) if known["home"] else None,
        "machine": identity(Path("/")),
        "glibc": glibc(os.confstr),
        "processor": level(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")),
    }
    module.exit_json(changed=False, ansible_facts={"fromzero_node": node})


if __name__ == "__main__":
    main()
