# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: driver_step
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: What has to happen to a node's NVIDIA driver, with its reason and its packages
description:
  - Holds what a node has against what is wished. A driver that does is left alone. Otherwise the packages are chosen by
    distribution, source, branch, kernel modules and Secure Boot (C(data/driver_packages.yml)), or it is said why
    nothing can be done.
  - Changes nothing, and knows nothing that is not in its input.
positional: host, wishes
options:
  _input:
    description: The C(ansible_facts) of the node, those of M(fromzero.deepspeed.gpu_info) among them.
    type: dict
    required: true
  host:
    description: The name of the node, for the sentences.
    type: str
    required: true
  wishes:
    description:
      - What is wished, by the names of the variables of the role C(nvidia_driver) without C(nvidia_driver_), such as
        V(branch), V(version), V(least), V(flavour), V(source). What is missing is no wish.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say what would happen
  ansible.builtin.debug:
    msg: "{{ ansible_facts | fromzero.deepspeed.driver_step(inventory_hostname, {'branch': '580'}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(action) is V(none), V(reload) for the kernel module alone, or V(install); C(reason) says why in sentences.
    - C(problems) are sentences; where there is one, nothing may be changed.
    - Further C(source), C(branch), C(version), C(flavour), the packages C(headers), C(install) and C(remove), the
      module C(stream) of dnf, C(keep) as the pattern of versions, C(fabric), C(gpus), and C(uninstall) as the version
      of a runfile's driver that has to go first.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import DriverRequestError, question


def driver_step(facts: Mapping[str, Any], host: str, wishes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return decide(question(facts, host, wishes or {})).plain()
    except DriverRequestError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"driver_step": driver_step}
