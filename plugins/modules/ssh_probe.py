#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_probe
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Whether a node reaches other hosts by ssh without a prompt
description:
  - Runs C(ssh) in batch mode to each name, a few at once, and tells for each that failed why.
  - Never fails because a host cannot be reached, and writes nothing, not even to known_hosts.
options:
  targets:
    description: The names to try.
    type: list
    elements: dict
    required: true
    suboptions:
      node:
        description: The node that the name should lead to.
        type: str
        required: true
      name:
        description: A host name or an address.
        type: str
        required: true
      hostname:
        description: What the node calls itself. Empty where that is not known.
        type: str
        default: ""
  outside:
    description:
      - Nodes that are tried by their names besides, and that must reach O(node) in turn. These are nodes outside the
        limit of a run, which are asked for nothing else.
    type: list
    elements: str
    default: []
  node:
    description: The name of this node. Required where O(outside) names nodes.
    type: str
    default: ""
  first:
    description: The number of the target to begin with; nodes that probe at the same time should differ.
    type: int
    default: 0
  timeout:
    description: Seconds after which a connection counts as failed.
    type: int
    default: 10
  at_once:
    description: How many connections are open at the same time.
    type: int
    default: 8
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Reach two nodes
  fromzero.deepspeed.ssh_probe:
    targets:
      - {node: node1, name: node1}
      - {node: node2, name: 192.0.2.12, hostname: gpu-b}
"""

RETURN = r"""
tried:
  description: The number of names that were tried.
  returned: always
  type: int
  sample: 6
broken:
  description: The names that did not lead to their node, in the order of O(targets), then of O(outside).
  returned: always
  type: list
  elements: dict
  contains:
    node: {description: The node that was meant., type: str, sample: node2}
    name: {description: The name that was tried., type: str, sample: 192.0.2.12}
    back: {description: Whether the way there is good and that back to O(node) is not., type: bool, sample: false}
    kind:
      description:
        - The kind of failure, one of V(host_key), V(refused_key), V(name), V(closed), V(busy), V(network), V(config),
          V(other_host) and V(other).
      type: str
      sample: host_key
    reason: {description: The failure in a clause., type: str, sample: its host key is not in known_hosts}
    seconds: {description: How long the attempt took., type: float, sample: 0.21}
seconds:
  description: How long all of it took.
  returned: always
  type: float
  sample: 1.4
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.probe import broken_targets, run_command


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "targets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "node": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "hostname": {"type": "str", "default": ""},
                },
            },
            "outside": {"type": "list", "elements": "str", "default": []},
            "node": {"type": "str", "default": ""},
            "first": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 10},
            "at_once": {"type": "int", "default": 8},
        },
        supports_check_mode=True,
    )
    given = module.params
    back = given["node"]
    targets = [
        *given["targets"],
        *({"node": node, "name": node, "hostname": "", "back": back} for node in given["outside"]),
    ]
    started = time.monotonic()
    # ConnectTimeout ends with the connection; a host that hangs after it is bounded here.
    broken = broken_targets(
        targets,
        given["first"],
        given["timeout"],
        given["at_once"],
        lambda argv: run_command(argv, given["timeout"] * 3),
    )
    module.exit_json(changed=False, tried=len(targets), broken=broken, seconds=round(time.monotonic() - started, 2))


if __name__ == "__main__":
    main()
