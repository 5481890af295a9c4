# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: nccl_conf
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The lines of an nccl.conf, from a node's network and the user's settings
description:
  - Renders C(KEY=VALUE) lines as NCCL reads them, with no space around the sign and no quotes.
  - The interface of the node's link comes first, in the exact form (C(NCCL_SOCKET_IFNAME==eth0)), because NCCL takes a
    bare name for a prefix. C(NCCL_SOCKET_IFNAME) in the settings wins over it.
  - Where the link has an IPv6 address, C(NCCL_SOCKET_FAMILY) says so, because NCCL would take an IPv4 address of the
    same interface.
options:
  _input:
    description: The fact C(fromzero_network) as M(fromzero.deepspeed.network_info) returns it.
    type: dict
    required: true
  settings:
    description:
      - More variables of NCCL with their values. V(true) and V(false) become V(1) and V(0), a list is joined by commas.
      - Names start with C(NCCL_); NCCL reads nothing else from the file.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what NCCL would read
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_network'] | fromzero.deepspeed.nccl_conf({'NCCL_DEBUG': 'WARN'}) }}"
"""

RETURN = r"""
_value:
  description: The lines, each with its line end.
  type: str
  sample: "NCCL_SOCKET_IFNAME==eth0\nNCCL_DEBUG=WARN\n"
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# What NCCL holds of a name or value; the rest is cut off without a word (src/misc/param.cc).
_LONGEST = 1023


def _text(name: str, value: Any) -> str:
    """The value as NCCL reads it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ",".join(_text(name, item) for item in value)
    if not isinstance(value, (str, int, float)):
        raise AnsibleFilterError(
            f"nccl_settings: {name} is {value!r}; give a text, a number, true or false, or a list."
        )
    text = str(value)
    if text != text.strip() or not text or not text.isprintable():
        raise AnsibleFilterError(
            f"nccl_settings: {name} is {text!r}; NCCL takes a value as it stands up to the end of the line, "
            "so give one line that is not empty and has no space at its ends."
        )
    if len(text) > _LONGEST:
        raise AnsibleFilterError(f"nccl_settings: {name} has {len(text)} characters; NCCL reads {_LONGEST} of them.")
    return text


def nccl_conf(network: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> str:
    """See DOCUMENTATION."""
    given = dict(settings or {})
    for name in given:
        if not re.fullmatch(r"NCCL_[A-Z0-9_]+", str(name)):
            raise AnsibleFilterError(
                f"nccl_settings: {name!r} is not a variable of NCCL; their names are NCCL_ and capital letters. "
                "Other variables belong into nccl_environment."
            )
    link = network.get("link")
    if not link and "NCCL_SOCKET_IFNAME" not in given:
        raise AnsibleFilterError(str(network.get("problem") or "The network of this node was not looked at."))
    chosen = {"NCCL_SOCKET_IFNAME": f"={link['interface']}"} if link else {}
    if link and ":" in link["address"]:
        chosen["NCCL_SOCKET_FAMILY"] = "AF_INET6"
    return "".join(f"{name}={_text(str(name), value)}\n" for name, value in {**chosen, **given}.items())


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"nccl_conf": nccl_conf}
