# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: build_packages
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What a build needs of the system, as packages of the node's distribution
description:
  - Names the packages that bring a compiler, the headers of any Python, git and the like on the families of Debian and
    RHEL. For other systems there are none.
positional: _input, facts, python
options:
  _input:
    description: What is needed, in the words of C(data/build_packages.yml); V(headers) are those of the Python.
    type: list
    elements: str
    required: true
  facts:
    description: The facts of the node, as far as C(gather_subset=min) gathers them.
    type: dict
    required: true
  python:
    description: The version of the environment's Python.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Have a compiler and the headers of Python
  fromzero.deepspeed.package_transaction:
    install: "{{ ['compiler', 'headers'] | fromzero.deepspeed.build_packages(ansible_facts, '3.11.2') }}"
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

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._build_packages import BuildPackagesError, packages
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._hostvars import plain


def build_packages(needs: Iterable[str], facts: Mapping[str, Any], python: str = "") -> list[str]:
    """See DOCUMENTATION."""
    few = {name: plain(facts[name]) for name in ("os_family", "distribution_major_version") if name in facts}
    try:
        return packages([str(need) for need in needs], few, str(python), rows("build_packages"))
    except BuildPackagesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"build_packages": build_packages}
