# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: headers_advice
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: What to do where the headers of an environment's Python cannot be installed
description:
  - Distributions have packages with the headers of their own Pythons only, and an environment may have another.
  - Empty where the environment has its headers, and for systems whose packages are not known.
positional: _input, facts
options:
  _input:
    description:
      - What M(fromzero.deepspeed.environment_info) returns, of which C(prefix), C(python) and C(headers) are read.
    type: dict
    required: true
  facts:
    description: The facts of the node, as far as C(gather_subset=min) gathers them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Install the headers of the environment's Python where it has none
  fromzero.deepspeed.package_transaction:
    install: "{{ ['headers'] | fromzero.deepspeed.build_packages(ansible_facts, environment_of_training) }}"
    advice: "{{ environment_of_training | fromzero.deepspeed.headers_advice(ansible_facts) }}"
"""

RETURN = r"""
_value:
  description: A sentence by the name of the package.
  type: dict
  sample: {"python3.11-dev": "Python 3.11.2 in /opt/fromzero/envs/train has no headers (Python.h), ..."}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.build_packages import advice
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def headers_advice(environment: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, str]:
    """See DOCUMENTATION."""
    few = {name: plain(facts[name]) for name in ("os_family", "distribution_major_version") if name in facts}
    known = {name: plain(environment[name]) for name in ("prefix", "python", "headers") if name in environment}
    return advice(few, known, rows("build_packages"))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"headers_advice": headers_advice}
