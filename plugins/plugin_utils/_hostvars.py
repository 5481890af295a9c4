# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From Ansible's hostvars, which are evaluated as they are read, to the plain values that the judges take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knobs import KNOBS, KnobError, resolve
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._nodes import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._set_aside import reason

HostVars = Mapping[str, Mapping[str, Any]]

_FACTS = (
    "distribution", "distribution_version", "python_version", "user_id", "user_dir", "env",
    "fromzero_network", "fromzero_gpus", "fromzero_node",
)  # fmt: skip
_VALUES = (*KNOBS, "ansible_user", "hostfile_slots")


def plain(value: Any) -> Any:
    """A value without Ansible's tags and lazy containers."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)


def given(variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The variables of a host that are there and can be evaluated now.

    What needs facts that are not gathered, or a variable that a role brings, is judged by its role later.
    """
    found = {}
    for name in names:
        if name in variables:
            try:
                found[name] = plain(variables[name])
            except AnsibleError:
                continue
    return found


def nodes_of(hostvars: HostVars, hosts: Sequence[str]) -> list[Node]:
    """What each of the hosts has reported so far."""
    found = []
    for host in map(str, hosts):
        variables = hostvars[host]
        facts = variables.get("ansible_facts") or {}
        gathered = variables.get("__preflight_facts") or {}
        failure = reason(gathered) if gathered.get("failed") else ""
        found.append(Node(host, given(facts, _FACTS), given(variables, _VALUES), failure))
    return found


def resolved_on(nodes: Sequence[Node], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The value of collection-wide variables on each node that reported, by variable and node."""
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for node in nodes:
        if node.report:
            for name in names:
                try:
                    found[name][node.name] = str(resolve(name, {**node.values, "ansible_facts": node.facts}))
                except KnobError:
                    continue
    return found
