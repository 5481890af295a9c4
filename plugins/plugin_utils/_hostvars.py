# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From Ansible's hostvars, which are evaluated as they are read, to the plain values that the judges take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knobs import KNOBS
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
    return [
        Node(str(host), given(hostvars[host].get("ansible_facts") or {}, _FACTS), given(hostvars[host], _VALUES))
        for host in hosts
    ]


def failures_of(hostvars: HostVars, hosts: Sequence[str], result: str) -> dict[str, str]:
    """What a task said on those of the hosts that it failed on, by host.

    :param result: the variable that the task registered its result in.
    """
    said = {str(host): hostvars[host].get(result) or {} for host in hosts}
    return {host: reason(outcome) for host, outcome in said.items() if outcome.get("failed")}
