# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: network_report
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What a person should know of a node's network
description:
  - One line for the link and why it was chosen, one for each RDMA device, one for each thing that will go wrong, with
    what to do about it.
options:
  _input:
    description: The fact C(fromzero_network) as M(fromzero.deepspeed.network_info) returns it.
    type: dict
    required: true
  limit_lifted:
    description: Whether the accounts that train may lock as much memory as they want, however little this one may.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Report the choice
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_network'] | fromzero.deepspeed.network_report }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "Between nodes: eth0 10.0.0.11/24 (eth0 has the default route)."
    - "RDMA device mlx5_0 with ib0: port 1 InfiniBand active, 200 Gb/s; NCCL uses it."
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any


def _device(device: Mapping[str, Any]) -> str:
    ports = [
        f"port {port['port']} {port['link_layer']} {port['state']}"
        + (f", {port['rate']:g} Gb/s" if port["rate"] else "")
        for port in device["ports"]
    ]
    owner = f" with {', '.join(device['netdevs'])}" if device["netdevs"] else ""
    use = "NCCL uses it" if device["active"] else "NCCL leaves it aside while no port is active"
    return f"RDMA device {device['name']}{owner}: {'; '.join(ports) or 'no port'}; {use}."


def network_report(network: Mapping[str, Any], limit_lifted: bool = False) -> list[str]:
    """See DOCUMENTATION."""
    link, memory = network["link"], network["locked_memory"]
    lines = [
        f"Between nodes: {link['interface']} {link['address']}/{link['prefix']} ({link['reason']})."
        if link
        else str(network["problem"])
    ]
    lines += [_device(device) for device in network["rdma"]]
    if any(device["active"] for device in network["rdma"]) and memory["hard"] is not None and not limit_lifted:
        lines.append(
            f"Warning: RDMA locks memory, and no more than {memory['hard'] // 1024} KiB may be locked here; have an "
            "administrator set memlock to unlimited in /etc/security/limits.d, or start a container with "
            "--ulimit memlock=-1."
        )
    loopback = [
        text for text in network["hostname_resolves_to"] if ipaddress.ip_address(text.split("%")[0]).is_loopback
    ]
    if loopback:
        lines.append(
            f"Warning: the node's own hostname resolves to {', '.join(loopback)}, which no other node can reach; Gloo "
            "listens there wherever GLOO_SOCKET_IFNAME is not set. Run the role ssh_mesh, or give the hostname "
            f"{link['address'] if link else 'the address between nodes'} in /etc/hosts."
        )
    return lines


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"network_report": network_report}
