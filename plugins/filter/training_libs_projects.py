# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: training_libs_projects
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Projects with all their values
description:
  - Fills in what a project in C(training_libs_projects) leaves open, its name among it, and refuses what means nothing.
  - Adds a sum over the files of a project that lies on the control node, by which a change of them is noticed.
options:
  _input:
    description: Projects, each with C(source) at least.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the names of projects
  ansible.builtin.debug:
    msg: "{{ training_libs_projects | fromzero.deepspeed.training_libs_projects | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The projects.
  type: list
  elements: dict
  sample: [{"source": "git+https://github.com/WENGSYX/Lingo@main", "subdirectory": "", "name": "lingo", "checksum": "",
            "submodules": false, "dependencies": true, "build_isolation": true, "environment": {}, "on_node": false,
            "content": ""}]
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import LibrariesError, projects


def training_libs_projects(wishes: Iterable[Any]) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    try:
        return projects(plain(list(wishes)))
    except LibrariesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"training_libs_projects": training_libs_projects}
