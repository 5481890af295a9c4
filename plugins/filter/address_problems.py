# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: address_problems
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Addresses that nodes cannot install from, as sentences
description:
  - Sentences about what nodes cannot fetch, each once with all nodes that it is about.
positional: unknown
options:
  _input:
    description: What M(fromzero.deepspeed.address_info) returned, by node.
    type: dict
    required: true
  unknown:
    description: Whether to return the sentences about what could not be looked at instead.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what cannot be fetched
  fromzero.deepspeed.report:
    failure: Some addresses cannot be reached
    reasons: "{{ reports | fromzero.deepspeed.address_problems }}"
"""

RETURN = r"""
_value:
  description: One sentence for each address.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory import role_addresses


def address_problems(reports: Mapping[str, Any], unknown: bool = False) -> list[str]:
    """See DOCUMENTATION."""
    found = plain(reports)
    return (role_addresses.unknown_addresses if unknown else role_addresses.address_problems)(found, list(found))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"address_problems": address_problems}
