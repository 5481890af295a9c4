# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: membership_problems
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Hosts of a play that are no nodes of the cluster, as sentences
description:
  - Roles that work over all nodes at once take them from group C(nodes). Applied to another group, they cannot work;
    the sentence says how that group becomes a child of C(nodes).
options:
  _input:
    description: The groups of the inventory, C(groups).
    type: dict
    required: true
  hosts:
    description: The hosts of the play, C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse other groups
  fromzero.deepspeed.report:
    failure: This role works on group 'nodes'
    reasons: "{{ groups | fromzero.deepspeed.membership_problems(ansible_play_hosts_all) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: What is wrong, at most one sentence.
  type: list
  elements: str
  sample:
    - >-
      gpu1 and gpu2 are not in group 'nodes'; list every machine that trains there, or make it of the groups that there
      are: the line [nodes:children], and below it gpus.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import checks


def membership_problems(groups: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> list[str]:
    """See DOCUMENTATION."""
    plain = {str(name): [str(host) for host in members] for name, members in groups.items()}
    return checks.membership_problems(plain, [str(host) for host in hosts])


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"membership_problems": membership_problems}
