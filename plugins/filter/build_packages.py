# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: build_packages
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What a build needs of the system, as packages of the node's distribution
description:
  - Names the packages with a compiler, the headers of the environment's Python, git and the like on the families of
    Debian and RHEL. For other systems there are none.
positional: _input, facts, environment
options:
  _input:
    description:
      - What is needed, in the words of C(data/build_packages.yml).
      - V(headers) are those of the environment's Python. No package is named where it has them, as a Python of conda
        does, or where there is no Python yet.
    type: list
    elements: str
    required: true
  facts:
    description: The facts of the node, as far as C(gather_subset=min) gathers them.
    type: dict
    required: true
  environment:
    description: What M(fromzero.deepspeed.environment_info) returns, of which C(python) and C(headers) are read.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at the environment
  fromzero.deepspeed.environment_info:
    prefix: /opt/fromzero/envs/train
    gather: [packages]
  register: environment_of_training

- name: Install a compiler, and the headers of the environment's Python where it has none
  fromzero.deepspeed.package_transaction:
    install: "{{ ['compiler', 'headers'] | fromzero.deepspeed.build_packages(ansible_facts, environment_of_training) }}"
"""

RETURN = r"""
_value:
  description: Names of packages.
  type: list
  elements: str
  sample: [g++, make, python3.11-dev]
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.build_packages import (
    BuildPackagesError,
    packages,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def build_packages(
    needs: Iterable[str], facts: Mapping[str, Any], environment: Mapping[str, Any] | None = None
) -> list[str]:
    """See DOCUMENTATION."""
    few = {name: plain(facts[name]) for name in ("os_family", "distribution_major_version") if name in facts}
    known = {name: plain(value) for name, value in (environment or {}).items() if name in ("python", "headers")}
    try:
        return packages([str(need) for need in needs], few, known, rows("build_packages"))
    except BuildPackagesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"build_packages": build_packages}
