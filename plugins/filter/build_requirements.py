# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: build_requirements
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: What the build of an extension of torch imports
description:
  - Names what an environment must have for a build without isolation. An old torch needs an old setuptools.
options:
  _input:
    description: The version of torch; empty where there is none.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Install what a build imports
  fromzero.deepspeed.python_packages:
    prefix: /opt/fromzero/envs/train
    packages: "{{ '2.0.1+cu117' | fromzero.deepspeed.build_requirements }}"
"""

RETURN = r"""
_value:
  description: Requirements.
  type: list
  elements: str
  sample: ["pip>=23.1", "setuptools<70", "wheel", "ninja", "packaging"]
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.build_packages import requirements


def build_requirements(torch: str) -> list[str]:
    """See DOCUMENTATION."""
    return requirements(str(torch))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"build_requirements": build_requirements}
