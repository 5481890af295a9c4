#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The interfaces and RDMA devices of a node, and the address that other nodes should use
description:
  - Reads the interfaces from sysfs, their addresses from C(ip -json), and from procfs where iproute2 is missing or
    too old to speak JSON. RDMA devices come from sysfs.
  - Chooses the link, the one address for traffic between nodes. The first of these that applies decides. O(interface);
    the interface with an address in O(network); the interface with the address O(own_address); the interface that the
    route to O(peer) leaves from; the interface with the default route; the only usable interface.
  - Never chosen are the loopback, bridges and veth ends of containers and virtual machines, overlays, tunnels, members
    of a bond or bridge (their master is chosen), and what is down or has no carrier. What counts is the name and the
    role, not the driver, because inside a container C(eth0) is a veth and the right choice.
    O(interface) overrules the name, not the state.
  - A node where no link can be chosen is not a failure of this module; RV(ansible_facts.fromzero_network.problem) says
    why, and the caller decides.
options:
  network:
    description:
      - The network between nodes in CIDR form, IPv4 or IPv6. Empty means that the other ways decide.
      - Where several interfaces are in it, the one with O(own_address) is taken, else the fastest, else the first by
        name; the reason of the link says so.
    type: str
    default: ''
  interface:
    description: The interface to use on this node, whatever the other options say.
    type: str
    default: ''
  own_address:
    description:
      - The name or address that Ansible connects to, resolved on the node.
      - An address of the loopback is passed over, because it says nothing about other nodes.
    type: str
    default: ''
  peer:
    description: The name or address of one other node, resolved on the node.
    type: str
    default: ''
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the network
  fromzero.deepspeed.network_info:
    network: 10.0.0.0/24
    own_address: "{{ ansible_host }}"

- name: Show the address for traffic between nodes
  ansible.builtin.debug:
    var: ansible_facts['fromzero_network']['link']
"""

RETURN = r"""
ansible_facts:
  description: What was read, as facts of the node.
  returned: success
  type: dict
  contains:
    fromzero_network:
      description: The network of the node.
      returned: success
      type: dict
      contains:
        link:
          description: The address for traffic between nodes, or null where none can be chosen.
          returned: success
          type: dict
          contains:
            interface:
              description: Name of the interface.
              returned: success
              type: str
              sample: eth0
            address:
              description: The address.
              returned: success
              type: str
              sample: 10.0.0.11
            prefix:
              description: Length of the network part in bits.
              returned: success
              type: int
              sample: 24
            network:
              description: The network of the address in CIDR form.
              returned: success
              type: str
              sample: 10.0.0.0/24
            mtu:
              description: The largest packet in bytes.
              returned: success
              type: int
              sample: 9000
            speed:
              description: Speed in Mb/s, null where the driver tells none.
              returned: success
              type: int
              sample: 100000
            reason:
              description: Why this address was chosen, and what was passed over.
              returned: success
              type: str
              sample: eth0 has 10.0.0.11 in cluster_network 10.0.0.0/24
        problem:
          description: A sentence that says why there is no link and what to do; null where there is one.
          returned: success
          type: str
          sample: >-
            cluster_network 10.9.0.0/24 is on no interface of this node (it has eth0 10.77.0.2/24); correct
            cluster_network, give the node an address in it, or leave it out to use the network that the nodes are
            reached by.
        hostname_resolves_to:
          description:
            - The addresses that the node's own hostname resolves to on the node.
            - Gloo listens on the first one unless C(GLOO_SOCKET_IFNAME) is set; one in C(127.0.0.0/8) cannot be
              reached by other nodes.
          returned: success
          type: list
          elements: str
          sample: [10.0.0.11]
        interfaces:
          description: Every interface in the order of its index.
          returned: success
          type: list
          elements: dict
          contains:
            name:
              description: Name of the interface.
              returned: success
              type: str
              sample: eth0
            kind:
              description:
                - One of V(physical), V(bond), V(vlan), V(bridge), V(container_bridge), V(veth), V(overlay), V(tunnel),
                  V(infiniband), V(loopback), V(virtual).
              returned: success
              type: str
              sample: physical
            up:
              description: Whether the interface is switched on.
              returned: success
              type: bool
            carrier:
              description: Whether the other end of the cable answers.
              returned: success
              type: bool
            state:
              description: The operational state as the kernel names it.
              returned: success
              type: str
              sample: up
            mtu:
              description: The largest packet in bytes.
              returned: success
              type: int
              sample: 1500
            speed:
              description: Speed in Mb/s, null where the driver tells none.
              returned: success
              type: int
              sample: 100000
            mac:
              description: The hardware address.
              returned: success
              type: str
              sample: 02:42:0a:4d:00:02
            driver:
              description: The driver of the device, empty for what is not a device.
              returned: success
              type: str
              sample: mlx5_core
            master:
              description: The bond or bridge that the interface is a member of, or empty.
              returned: success
              type: str
              sample: bond0
            addresses:
              description: The addresses, each with its prefix, network and family.
              returned: success
              type: list
              elements: dict
              sample: [{address: 10.0.0.11, prefix: 24, network: 10.0.0.0/24, family: ipv4}]
            refused:
              description: Why the interface never carries traffic between nodes, null where it may.
              returned: success
              type: str
              sample: is a tunnel
        rdma:
          description: Every RDMA device (InfiniBand, RoCE) by name.
          returned: success
          type: list
          elements: dict
          contains:
            name:
              description: Name of the device.
              returned: success
              type: str
              sample: mlx5_0
            driver:
              description: The driver of the device, empty for one in software.
              returned: success
              type: str
              sample: mlx5_core
            active:
              description: Whether NCCL can use a port of the device.
              returned: success
              type: bool
            netdevs:
              description: The interfaces that belong to the device.
              returned: success
              type: list
              elements: str
              sample: [ib0]
            ports:
              description: The ports; C(rate) is in Gb/s, C(active) says whether NCCL can use the port.
              returned: success
              type: list
              elements: dict
              sample: [{port: 1, state: active, active: true, link_layer: InfiniBand, rate: 200.0}]
        locked_memory:
          description: How much memory a process may lock, as RDMA has to.
          returned: success
          type: dict
          contains:
            hard:
              description: The hard limit of the account that the module runs as in bytes, null for no limit.
              returned: success
              type: int
              sample: 8388608
            raisable:
              description: Whether a login may be given a higher limit; false in most containers.
              returned: success
              type: bool
"""

import platform
from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.link import NetworkError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reader import (
    Readers,
    gather,
    resolve,
    source,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "network": {"type": "str", "default": ""},
            "interface": {"type": "str", "default": ""},
            "own_address": {"type": "str", "default": ""},
            "peer": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    ip = module.get_bin_path("ip")

    def run(arguments: Sequence[str]) -> str:
        code, output, _errors = module.run_command([ip, *arguments]) if ip else (1, "", "")
        return str(output) if code == 0 else ""

    readers = Readers(root=Path("/"), run=run, resolve=resolve, source=source, hostname=platform.node())
    wanted = module.params
    try:
        network = gather(readers, wanted["network"], wanted["interface"], wanted["own_address"], wanted["peer"])
    except NetworkError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, ansible_facts={"fromzero_network": network})


if __name__ == "__main__":
    main()
