#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_identity
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Make sure that an account has an ssh key that programs can use, and read the node's host keys
description:
  - Makes sure that the account has a key pair without a passphrase and that its C(~/.ssh) has the modes that sshd
    demands, and gives back all that other nodes need to know to trust this one.
  - A usable key that is there is adopted. One with a passphrase ends the module with what to do about it.
  - A new key never replaces one in use at once. It waits beside it, as C(id_ed25519.next), until the module is called
    with O(switch=true); both public keys are given back until then.
  - A key that nodes share is marked in its public file. Where neither O(private_key) nor O(return_private_key) is
    given, a new key of the node's own waits beside it.
  - Public host keys are read from the node's own files, so over the connection that Ansible trusts. Of these, only
    such are given back as the node's sshd offers.
  - Root acts with the rights of the account in its home.
options:
  user:
    description: The account. The one that the module runs as where this is empty.
    type: str
    default: ''
  key_type:
    description: The type of the key, which also names its file C(~/.ssh/id_<type>).
    type: str
    choices: [ed25519, ecdsa, rsa]
    default: ed25519
  private_key:
    description: The text of a private key to use instead of one of the node's own.
    type: str
  return_private_key:
    description: Give back the private key as well, for nodes that shall share it.
    type: bool
    default: false
  rotate:
    description: Have a new key wait beside the one in use.
    type: bool
    default: false
  roster:
    description:
      - The file of M(fromzero.deepspeed.ssh_roster) on the control node. Where a node in it is not in O(members) any
        more and has the key of this one, O(rotate) is true.
    type: path
  switch:
    description: Put the waiting key into use. Where the key in use was not made by this module, a copy of it is kept.
    type: bool
    default: false
  host_key_types:
    description: Types of host keys, the most wanted first. The keys of the first type that the node has are read.
    type: list
    elements: str
    choices: [ed25519, ecdsa, rsa]
    default: [ed25519, ecdsa, rsa]
  system:
    description:
      - Where the node remembers its cluster, as M(fromzero.deepspeed.ssh_trust) wrote it down, below C(/etc/ssh) or,
        where this is false, in the account's C(~/.ssh).
    type: bool
    default: true
  members:
    description: The names of all nodes in the inventory, to tell which nodes of the cluster it does not have.
    type: list
    elements: str
    default: []
  name:
    description: What the other nodes call this one.
    type: str
    required: true
  address:
    description: The node's address between nodes.
    type: str
    default: ''
  find_address:
    description:
      - Where O(address) is empty, look at the network as M(fromzero.deepspeed.network_info) does.
      - What was seen is given back as the fact of that module, so that nothing has to look again.
    type: bool
    default: false
  network:
    description: The network of O(address) in CIDR form, or the one in which to look for an address.
    type: str
    default: ''
  interface:
    description: The interface whose address to take, whatever O(network) says, where the module looks for one.
    type: str
    default: ''
  peer:
    description: The name or address of one other node, which helps to find the address.
    type: str
    default: ''
  also:
    description:
      - Other names and addresses under which the node is reached, first the one that Ansible connects to.
      - The first address among them stands in where no other is found, unless O(network) or O(interface) is given.
    type: list
    elements: str
    default: []
  port:
    description:
      - The port of the node's sshd as other nodes see it.
      - 0 means the one that this connection came to, else the one that sshd's configuration names. It is not that of
        Ansible where a port of another machine leads to the node, as into a container.
    type: int
    default: 0
  connection_port:
    description:
      - The port that Ansible connects to. Where it leads to another one on the node, the names in O(also) are left out,
        as they are those of the machine before it.
    type: int
    default: 22
attributes:
  check_mode:
    description: Says what would change. A key that is not there yet has no public key to give back.
    support: full
  diff_mode:
    description: Lists what changes.
    support: full
"""

EXAMPLES = r"""
- name: Make sure of the key pair and read the host keys
  fromzero.deepspeed.ssh_identity:
    user: trainer
    name: "{{ inventory_hostname }}"
    also: ["{{ ansible_host }}"]
    find_address: true
"""

RETURN = r"""
record:
  description: What other nodes need to know of this one. All of it is public.
  returned: success
  type: dict
  contains:
    name: {description: What the other nodes call it., type: str}
    address: {description: Its address between nodes., type: str}
    network: {description: The network of that address., type: str}
    names: {description: What it calls itself., type: list, elements: str}
    also: {description: Other names and addresses of it., type: list, elements: str}
    port: {description: The port of its sshd., type: int}
    public_keys: {description: 'The public key of the account, and of the one that waits.', type: list, elements: str}
    host_keys: {description: Its public host keys., type: list, elements: str}
    membership:
      description: The cluster that it belongs to.
      type: dict
      contains:
        cluster: {description: 'Its id, empty where it belongs to none.', type: str}
        outsiders: {description: Nodes of that cluster that are not in O(members)., type: list, elements: str}
  sample:
    name: node1
    address: 10.0.0.11
    network: 10.0.0.0/24
    names: [gpu1.example.org, gpu1]
    also: [203.0.113.11]
    port: 22
    public_keys: [ssh-ed25519 AAAAC3Nz...]
    host_keys: [ssh-ed25519 AAAAC3Nz...]
    membership: {cluster: 3f2a9c1b7d04, outsiders: []}
ansible_facts:
  description: The fact C(fromzero_network) of M(fromzero.deepspeed.network_info).
  returned: where O(find_address=true) and O(address) is empty
  type: dict
path:
  description: The private key.
  returned: success
  type: str
  sample: /home/trainer/.ssh/id_ed25519
private_key:
  description: The text of the newest private key, empty in check mode where there is none yet.
  returned: when O(return_private_key=true)
  type: str
"""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import (
    load_memory,
    membership,
    memory_path,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.link import NetworkError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reader import (
    Network,
    Readers,
    gather,
    resolve,
    source,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import account_named, acting_as
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.identity import (
    Wish,
    ensure_key_pair,
    node_record,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import HOST_KEY_ALGORITHMS, SshError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.listener import find_door

TYPES = list(HOST_KEY_ALGORITHMS)


def look_at_network(module: AnsibleModule) -> Network:
    """What the module network_info would say."""
    ip = module.get_bin_path("ip")

    def run(arguments: Sequence[str]) -> str:
        code, output, _errors = module.run_command([ip, *arguments]) if ip else (1, "", "")
        return str(output) if code == 0 else ""

    readers = Readers(root=Path("/"), run=run, resolve=resolve, source=source, hostname=platform.node())
    given = module.params
    own = given["also"][0] if given["also"] else ""
    return gather(readers, given["network"], given["interface"], own, given["peer"])


def identity(module: AnsibleModule) -> dict[str, Any]:
    """Does the work and says what to give back."""
    given = module.params
    account = account_named(given["user"])
    wish = Wish(
        key_type=given["key_type"],
        private_key=given["private_key"] or "",
        rotate=given["rotate"],
        switch=given["switch"],
        shared=bool(given["private_key"]) or given["return_private_key"],
    )
    look = look_at_network(module) if given["find_address"] and not given["address"] else None
    pair = ensure_key_pair(account, wish, module.run_command, module.check_mode)
    if pair.changes and not module.check_mode and module.selinux_enabled():
        for file in [account.ssh, *account.ssh.glob("id_*")]:
            module.set_default_selinux_context(str(file), False)
    door = find_door(module.run_command)
    record = node_record(given, pair.public_keys, door, look["link"] if look else None)
    remembered = load_memory(memory_path(given["system"], account.home))
    result: dict[str, Any] = {
        "changed": bool(pair.changes),
        "path": str(pair.path),
        "record": {**record, "membership": asdict(membership(*remembered, given["members"]))},
        "diff": {"before": "", "after": "".join(f"{change}\n" for change in pair.changes)},
    }
    if look:
        result["ansible_facts"] = {"fromzero_network": look}
    if given["return_private_key"]:
        with acting_as(account):
            result["private_key"] = pair.newest.read_text(encoding="utf-8") if pair.newest.exists() else ""
    problem = look["problem"] if look else None
    for warning in [*pair.warnings, *([problem] if problem else [])]:
        module.warn(warning)
    return result


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "default": ""},
            "key_type": {"type": "str", "choices": TYPES, "default": "ed25519", "no_log": False},
            "private_key": {"type": "str", "no_log": True},
            "return_private_key": {"type": "bool", "default": False, "no_log": False},
            "rotate": {"type": "bool", "default": False},
            "roster": {"type": "path"},
            "switch": {"type": "bool", "default": False},
            "host_key_types": {"type": "list", "elements": "str", "choices": TYPES, "default": TYPES, "no_log": False},
            "system": {"type": "bool", "default": True},
            "members": {"type": "list", "elements": "str", "default": []},
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "find_address": {"type": "bool", "default": False},
            "network": {"type": "str", "default": ""},
            "interface": {"type": "str", "default": ""},
            "peer": {"type": "str", "default": ""},
            "also": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int", "default": 0},
            "connection_port": {"type": "int", "default": 22},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C"}
    try:
        result = identity(module)
    except (SshError, NetworkError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=complaint(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
