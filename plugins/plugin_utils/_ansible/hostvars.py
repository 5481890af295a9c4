# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From Ansible's hostvars, which are evaluated as they are read, to the plain values that the judges take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError, AnsibleUndefinedVariable
from jinja2 import Undefined

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.failures import reason
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import KNOBS
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES, role_defaults

HostVars = Mapping[str, Mapping[str, Any]]

_FACTS = (
    "distribution", "distribution_version", "os_family", "architecture", "kernel", "python_version",
    "user_id", "user_dir", "env", "fromzero_network", "fromzero_gpus", "fromzero_node",
)  # fmt: skip
_VALUES = (*KNOBS, "ansible_user", "hostfile_slots", "hostfile_cpu_slots")


def plain(value: Any) -> Any:
    """A value without Ansible's tags and lazy containers.

    :raises AnsibleUndefinedVariable: it hangs on a variable that is not there; lookups get a marker in its place.
    """
    if isinstance(value, Undefined):
        raise AnsibleUndefinedVariable("a variable that it hangs on is not defined")
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)


def given(read: Callable[[str], Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the variables that can be evaluated now.

    What needs facts that are not gathered, or a variable that a role brings, is judged by its role later.
    """
    found = {}
    for name in names:
        try:
            found[name] = plain(read(name))
        except AnsibleError:
            continue
    return found


def _origin(error: BaseException | None) -> Any:
    """The place in a file that an error, or one that it came from, is about."""
    while error is not None and not getattr(error, "obj", None):
        error = error.__cause__ or error.__context__
    return getattr(error, "obj", None)


def _place(value: Any) -> str:
    """The file and line that a value comes from; empty where this Ansible does not say."""
    context = getattr(AnsibleError("", obj=value), "_formatted_source_context", None) or ""
    found = re.match(r"Origin: (/.+?:\d+)(:\d+)?$", str(context), re.MULTILINE)
    return found[1] if found else ""


class View:
    """The variables of all hosts, as far as a play sees them.

    Ansible's hostvars lack what a play or a task sets for all its hosts; a host that has no value of its own gets what
    the current host sees and its hostvars do not have. Defaults of roles in the same play are not given by anybody.

    :param variables: the variables of the current task, not evaluated. template: evaluates one of them.
    """

    def __init__(self, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> None:
        self._variables = variables
        self._template = template
        self._hostvars: HostVars = variables["hostvars"]
        self.groups = {str(name): [str(host) for host in hosts] for name, hosts in variables["groups"].items()}

    def hosts(self, name: str) -> list[str]:
        """A variable of the task that is a list of hosts."""
        return [str(host) for host in self._template(self._variables[name])]

    def names(self, host: str) -> set[str]:
        """The names of all variables that a host has.

        :raises AnsibleParserError: a file of variables cannot be read; Ansible's own words leave out which one.
        """
        try:
            return {str(name) for name in self._hostvars[host]}
        except AnsibleParserError as error:
            where = _origin(error)
            remedy = f" Correct {where}." if where else ""
            raise AnsibleParserError(f"A file of variables cannot be read. {error.message}{remedy}") from error

    def values(self, hosts: Sequence[str], names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of the variables that hosts are given and that can be evaluated now, by host."""
        wanted = set(names)
        for_all = self._for_all(wanted)
        return {host: {**for_all, **self._of(host, wanted)} for host in hosts}

    def places(self, wanted: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
        """Where texts stand, such as /home/ann/hosts:5, by variable and value, as far as Ansible knows.

        :param wanted: the names of variables by host.
        """
        found: dict[tuple[str, str], str] = {}
        for host, names in wanted.items():
            variables = self._hostvars[host]
            for name in sorted(set(names) & set(variables)):
                place = _place(variables[name])
                if place:
                    found.setdefault((name, str(variables[name])), place)
        return found

    def nodes(self, hosts: Sequence[str]) -> list[Node]:
        """What each of the hosts has reported so far."""
        values = self.values(hosts, _VALUES)
        facts = {host: self._hostvars[host].get("ansible_facts") or {} for host in hosts}
        return [
            Node(host, given(facts[host].__getitem__, set(_FACTS) & set(facts[host])), values[host]) for host in hosts
        ]

    def failures(self, hosts: Sequence[str], result: str) -> dict[str, str]:
        """What a task said on those of the hosts that it failed on, by host.

        :param result: the variable that the task registered its result in.
        """
        said = {host: self._hostvars[host].get(result) or {} for host in hosts}
        return {host: reason(outcome) for host, outcome in said.items() if outcome.get("failed")}

    def results(self, hosts: Sequence[str], name: str) -> dict[str, dict[str, Any]]:
        """What a task returned, by those of the hosts that ran it.

        :param name: the variable that the task registered its result in.
        """
        found = {host: self._hostvars[host].get(name) for host in hosts}
        return {host: plain(result) for host, result in found.items() if result}

    def _of(self, host: str, names: set[str]) -> dict[str, Any]:
        variables = self._hostvars[host]
        return given(variables.__getitem__, names & set(variables))

    def _for_all(self, names: set[str]) -> dict[str, Any]:
        own = set(self._hostvars[str(self._variables["inventory_hostname"])])
        # Where a task runs is a matter of its host alone.
        seen = {name for name in names & set(self._variables) - own if not name.startswith("ansible_")}
        defaults = role_defaults(ROLES)
        seen -= {name for name in seen & set(defaults) if self._variables[name] == defaults[name]}
        return given(lambda name: self._template(self._variables[name]), seen)
