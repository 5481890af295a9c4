# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_hostfile
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The hostfile of a cluster, from the slots of its nodes
description:
  - Renders one line C(name slots=N) for each node that brings slots, without comments or blank lines, because
    C(ds_ssh) takes every line for a host.
  - The line of O(head) comes first, since the first line is rank 0; the others keep the order of O(order).
  - A node without slots, and a node of O(order) that was not measured and is not in O(away), is left out with a
    warning.
  - The result is read back with DeepSpeed's own grammar before it is returned.
options:
  _input:
    description: The number of slots of each node that is healthy in this run, by the node's alias.
    type: dict
    required: true
  order:
    description: Every node of the inventory, in its order. By default the nodes of the input.
    type: list
    elements: str
    default: []
  head:
    description: The node where C(deepspeed) is typed.
    type: str
  present:
    description: The hostfile as it is now; read only for the lines of the nodes in O(away).
    type: str
    default: ""
  away:
    description: Nodes that this run leaves alone because of C(--limit). They keep the line they have.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Two nodes, one of which this run leaves alone
  ansible.builtin.debug:
    msg: >-
      {{ {'node1': 2} | fromzero.deepspeed.deepspeed_hostfile(
           order=['node1', 'node2'], present='node2 slots=4', away=['node2']) }}
"""

RETURN = r"""
_value:
  description: The content of the hostfile.
  type: str
  sample: "node1 slots=2\nnode2 slots=4\n"
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import HostfileError
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.hostfile import render_hostfile


def deepspeed_hostfile(
    measured: Mapping[str, Any],
    order: Sequence[str] = (),
    head: str | None = None,
    present: str = "",
    away: Sequence[str] = (),
) -> str:
    """See DOCUMENTATION."""
    if not isinstance(measured, Mapping):
        raise AnsibleFilterError("deepspeed_hostfile wants a mapping of node names to slots.")
    try:
        rendering = render_hostfile(
            {str(name): value for name, value in measured.items()},
            order=[str(name) for name in order],
            head=None if head is None else str(head),
            present=str(present),
            away=frozenset(str(name) for name in away),
        )
    except HostfileError as error:
        raise AnsibleFilterError(str(error)) from error
    for remark in rendering.remarks:
        Display().warning(remark)
    return rendering.text


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"deepspeed_hostfile": deepspeed_hostfile}
