# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: training_libs_wheels
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Which wheels are installed together, and which by themselves
description:
  - A project that was changed often has the same version, so an installer would take the old one for it. Therefore the
    sums of the wheels are compared with what was written down.
positional: paths, alone
options:
  _input:
    description: Wheels as M(fromzero.deepspeed.wheel_build) returns them.
    type: list
    elements: dict
    required: true
  paths:
    description: Where each of them is on the node.
    type: list
    elements: str
    default: []
  alone:
    description: Names of projects whose dependencies are not wanted.
    type: list
    elements: str
    default: []
  recorded:
    description: The sums of the wheels that were installed before, by distribution.
    type: dict
    default: {}
  installed:
    description: The packages of the environment before.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is installed again
  ansible.builtin.debug:
    msg: "{{ (wheels_of_projects | fromzero.deepspeed.training_libs_wheels(paths=paths_on_node)).again }}"
"""

RETURN = r"""
_value:
  description:
    - C(together), paths of those that take part in one installation; C(again), paths of those that are installed
      without what they need; C(sums), the sums of all, by distribution.
  type: dict
  sample: {"together": ["/env/.fromzero/wheels/lingo-0.1-py3-none-any.whl"], "again": [], "sums": {"lingo": "0d1c"}}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import divided, sums_of


def training_libs_wheels(
    wheels: Iterable[Mapping[str, Any]],
    paths: Iterable[str] = (),
    alone: Iterable[str] = (),
    *,
    recorded: Mapping[str, str] | None = None,
    installed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    given = plain(list(wheels))
    places = plain(list(paths)) or [""] * len(given)
    found = divided(
        given, places, alone=plain(list(alone)), recorded=plain(recorded or {}), installed=plain(installed or {})
    )
    return {**found, "sums": sums_of(given)}


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"training_libs_wheels": training_libs_wheels}
