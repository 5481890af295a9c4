#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_memory
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What a node remembers of other nodes of its cluster
description:
  - Reads what M(fromzero.deepspeed.ssh_trust) wrote on the node, its option
    O(fromzero.deepspeed.ssh_trust#module:memory).
  - So a control node that has never seen a node, and that cannot reach it now, learns of it from the others.
options:
  user:
    description: The account of the mesh. The one that the module runs as where this is empty.
    type: str
    default: ''
  system:
    description: Read the file of the system, which is below C(/etc/ssh). Where this is false, that of the account.
    type: bool
    default: true
  names:
    description: The nodes to tell of.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Read what a node remembers of one that is down
  fromzero.deepspeed.ssh_memory:
    user: trainer
    names: [node7]
"""

RETURN = r"""
cluster:
  description: The id of the cluster that the node belongs to, empty where it belongs to none.
  returned: success
  type: str
  sample: 3f2a9c1b7d04
records:
  description: What it remembers of O(names), as RV(fromzero.deepspeed.ssh_identity#module:record).
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import load_memory, memory_path
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import account_named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "default": ""},
            "system": {"type": "bool", "default": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        cluster, records = load_memory(memory_path(given["system"], account_named(given["user"]).home))
    except SshError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=complaint(error))
    names = set(given["names"])
    module.exit_json(
        changed=False, cluster=cluster, records=[record for record in records if record.get("name") in names]
    )


if __name__ == "__main__":
    main()
