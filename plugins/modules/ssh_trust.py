#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_trust
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Land all files that make a node trust the other nodes
description:
  - Writes known hosts, authorized keys, aliases, the ports of sshd and the limits of sshd in one step, each only where
    it differs.
  - In files that others write too, only one marked block belongs to this module; all other lines stay. A copy of such
    a file is kept before its first change, where somebody has edited the block, which has a sum of its lines, and where
    other lines change. Two kinds of lines outside the block are touched, both in C(/etc/hosts) and
    only by O(hostname_on_loopback=false), C(127.0.1.1) lines with the node's own name, and its name on other loopback
    addresses.
  - A file that cannot be replaced, such as C(/etc/hosts) in a container, is written in place.
  - What of sshd's own configuration keeps the other nodes out of the account is named in warnings, as C(sshd -T) has
    it.
  - Limits of sshd go to a file in C(/etc/ssh/sshd_config.d) after C(sshd -t) accepted them, and only where the main
    configuration includes that folder. The module does not reload sshd, and says where that is still to be done.
options:
  user:
    description: The account of the mesh. The one that the module runs as where this is empty.
    type: str
    default: ''
  system:
    description:
      - Write C(/etc/ssh/ssh_known_hosts), C(/etc/hosts) and the drop-ins below C(/etc/ssh), which takes root.
      - Where this is false, C(~/.ssh/known_hosts) and C(~/.ssh/config) are written instead.
    type: bool
    default: true
  known_hosts:
    description: Lines for known hosts.
    type: str
    required: true
  authorized_keys:
    description: Lines for authorized keys.
    type: str
    required: true
  ssh_config:
    description: Lines for the configuration of ssh. Empty where its defaults lead to every node.
    type: str
    default: ''
  key:
    description:
      - The account's private key. Ssh is then asked, C(ssh -G), what it would do for every name of O(known_hosts).
        Where other lines of its configuration undo the mesh's, such as a C(Host *) with an C(IdentityFile) of the
        user's, lines for the nodes are put at the top of C(~/.ssh/config), and a warning names what they overrule.
      - Empty leaves this out.
    type: str
    default: ''
  memory:
    description:
      - What the node shall remember of its cluster, RV(fromzero.deepspeed.ssh_roster#module:memory). It lands in
        C(fromzero-cluster.json) in C(/etc/ssh) or in C(~/.ssh). Empty leaves that file alone.
    type: str
    default: ''
  hosts:
    description: Lines for C(/etc/hosts). That file is left alone where this is not given.
    type: str
  address:
    description: The node's own address between nodes, which its own name shall mean.
    type: str
    default: ''
  hostname_on_loopback:
    description: Keep lines of C(/etc/hosts) that give the node's own name to a loopback address.
    type: bool
    default: false
  sshd_nodes:
    description: How many nodes may connect at once. 0 leaves the limits of sshd alone.
    type: int
    default: 0
  sshd_networks:
    description: Networks of the cluster in CIDR form, which sshd 9.8 and later shall not penalise.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says what would change. Limits of sshd are checked by C(sshd -t) in check mode too.
    support: full
  diff_mode:
    description: Shows each file.
    support: full
"""

EXAMPLES = r"""
- name: Trust the other nodes
  fromzero.deepspeed.ssh_trust:
    user: trainer
    known_hosts: "{{ records | fromzero.deepspeed.known_hosts }}"
    authorized_keys: "{{ records | fromzero.deepspeed.authorized_keys }}"
    hosts: "{{ records | fromzero.deepspeed.hosts_file }}"
    address: 10.0.0.11
"""

RETURN = r"""
files:
  description: The files that were written, or would be without check mode.
  returned: success
  type: list
  elements: str
  sample: [/home/trainer/.ssh/authorized_keys, /etc/hosts]
backup_files:
  description: Copies of files as they were before.
  returned: success
  type: list
  elements: str
  sample: ['/etc/hosts.2026-11-21@03:00:00~']
sshd_service:
  description:
    - The service to reload so that its limits count, empty where it has read them, or where no systemd runs the node.
    - A service that was not reloaded since an earlier run wrote them counts too, and is a change.
  returned: success
  type: str
  sample: ssh
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import account_named
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.trust import (
    Trust,
    carry_out,
    plan,
    reads_old_limits,
    sshd_service,
)


def trust(module: AnsibleModule) -> dict[str, Any]:
    """Does the work and says what to give back."""
    given = dict(module.params)
    account = account_named(given.pop("user"))
    work = plan(account, Trust(**given), module.run_command, module.check_mode)
    changed = [landing for landing in work.landings if landing.changed]
    copies = [] if module.check_mode else carry_out(account, work)
    if changed and not module.check_mode and module.selinux_enabled():
        for landing in changed:
            if landing.text is not None and landing.before.text is None:
                module.set_default_selinux_context(str(landing.before.path), False)
    for warning in work.warnings:
        module.warn(warning)
    service = sshd_service() if work.sshd else ""
    if work.sshd and service and not work.sshd.changed:
        service = service if reads_old_limits(module.run_command, service, work.sshd.before.path) else ""
    return {
        "changed": bool(changed or service or work.left) or work.folder_changed,
        "files": [str(landing.before.path) for landing in changed],
        "backup_files": copies,
        "sshd_service": service,
        "diff": [landing.diff for landing in changed],
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "default": ""},
            "system": {"type": "bool", "default": True},
            "known_hosts": {"type": "str", "required": True},
            "authorized_keys": {"type": "str", "required": True, "no_log": False},
            "ssh_config": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": False},
            "memory": {"type": "str", "default": ""},
            "hosts": {"type": "str"},
            "address": {"type": "str", "default": ""},
            "hostname_on_loopback": {"type": "bool", "default": False},
            "sshd_nodes": {"type": "int", "default": 0},
            "sshd_networks": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C"}
    try:
        result = trust(module)
    except SshError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=complaint(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
