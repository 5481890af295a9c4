# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: resolve_stack
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: One stack for all nodes, or all that stands in its way
description:
  - Decides driver, CUDA toolkit, python, torch, DeepSpeed and apex for a cluster from what is wished for, what the
    nodes reported, and the tables in the folder C(data) of this collection.
  - Finds every conflict before it gives up, and the nearest set that would work.
  - It is a pure function of what it is given, the tables and the month.
positional: nodes
options:
  _input:
    description:
      - What is wished for. Every key may be missing, empty or V(auto).
      - C(stack) is a name of C(data/stacks.yml) or one that a plan had, C(accelerator) V(cuda), V(rocm) or V(cpu).
      - C(python), C(torch), C(torch_build), C(cuda), C(deepspeed), C(driver_branch) and C(driver_version) are versions
        as text. C(torch) may have the build as its tag.
      - C(apex) is a ref of its repository, V(true) for whichever fits, V(false) for none. C(bf16) says whether training
        uses it.
    type: dict
    required: true
  nodes:
    description:
      - What each node reported, by its name.
      - C(gpus) and C(driver) as M(fromzero.deepspeed.gpu_info) returns them, C(machine), C(glibc), C(distribution),
        C(distribution_version), C(driver_manage), C(driver_branch), C(driver_version), C(driver_flavour).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    decided: "{{ {'torch': '2.0.1'} | fromzero.deepspeed.resolve_stack(reports) }}"
"""

RETURN = r"""
_value:
  description: The plan, or the conflicts.
  type: dict
  contains:
    plan:
      description: One stack for all, and under C(nodes) the driver of each. Null where there are conflicts.
      type: dict
    conflicts:
      description: Each with its C(hosts), its C(subject) (the wish that it is about) and its C(reason), a sentence.
      type: list
      elements: dict
    nearest:
      description: What would work, as C(text) and as C(wishes). Null where there is a plan, or where nothing works.
      type: dict
    warnings:
      description: Sentences about what is to be known though nothing stops.
      type: list
      elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack as decide


def _plain(value: Any) -> Any:
    """Without Ansible's tags and lazy containers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def resolve_stack(wishes: Mapping[str, Any] | None, nodes: Mapping[str, Any] | None) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not isinstance(wishes or {}, Mapping):
        raise AnsibleFilterError(f"resolve_stack needs wishes as a dictionary, and was given {type(wishes).__name__}.")
    if not isinstance(nodes, Mapping) or not nodes:
        raise AnsibleFilterError(
            "resolve_stack needs nodes as a dictionary of reports by name, with one node at least."
        )
    odd = [str(name) for name, node in nodes.items() if not isinstance(node, Mapping)]
    if odd:
        raise AnsibleFilterError(f"resolve_stack was given no report of {', '.join(odd)}, but something else.")
    return decide(_plain(wishes or {}), _plain(nodes))


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"resolve_stack": resolve_stack}
