# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The verdict on a cluster, from what its probes found
description:
  - Turns the results of the role P(fromzero.deepspeed.verify#role)'s tasks into checks, each with the reason and the
    fix where it failed, and into one verdict.
options:
  _input:
    description:
      - What was found. V(nodes) are the nodes of the run that are still there, V(head) the one that launches, V(away)
        the nodes that C(--limit) leaves alone, V(lost) those that dropped out of the run, V(idle) those that are kept
        out of the hostfile on purpose, V(packages) the packages that must be there in the same version.
      - V(set_aside) says by node why it was lost, as the lookup P(fromzero.deepspeed.set_aside#lookup) knows it.
        V(accelerator) is what the ranks are meant to compute on; V(auto) means GPUs of any kind.
      - V(environments) and V(ssh) hold the results of M(fromzero.deepspeed.environment_info) and
        M(fromzero.deepspeed.ssh_probe) by node, V(pdsh) and V(training) those of the C(pdsh) command and of
        M(fromzero.deepspeed.training_run) on the head; empty where they were not run.
      - With V(check_mode) nothing was launched, and what only the playbook C(site) sets up is no failure. The text says
        what was not checked, and why.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: A verdict on one node
  ansible.builtin.debug:
    msg: "{{ {'nodes': ['node1'], 'head': 'node1', 'ssh': {'node1': found}} | fromzero.deepspeed.verdict }}"
"""

RETURN = r"""
_value:
  description: The verdict.
  type: dict
  contains:
    ok: {description: Whether every check passed., type: bool}
    checks:
      description: The checks, each with C(layer), C(name), C(node), C(ok), C(reason), C(fix) and C(seconds).
      type: list
      elements: dict
    summary: {description: "What was launched on what, and what came out, as far as it came.", type: dict}
    text: {description: The summary as lines., type: list, elements: str}
    failures: {description: A sentence for each check that failed., type: list, elements: str}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.verdict import Cluster, judge


def verdict(found: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not isinstance(found, Mapping):
        raise AnsibleFilterError("verdict wants a dictionary of what the probes found.")
    try:
        cluster = Cluster(**{str(name): value for name, value in found.items()})
    except TypeError as error:
        raise AnsibleFilterError(f"verdict cannot use what it was given: {error}.") from error
    return judge(cluster)


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"verdict": verdict}
