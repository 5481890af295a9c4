# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: training_libs_choice
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: The libraries that a wish stands for in an environment
description:
  - Finds the row of each set that fits the torch and the Python of the environment, joins what the sets and the user
    name to one list, and gathers the pins of the sets.
  - Says what stands in the way, a sentence each.
positional: sets, packages
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned.
    type: dict
    required: true
  sets:
    description: Names of sets of C(data/libraries.yml).
    type: list
    elements: str
    default: []
  packages:
    description: Further requirements.
    type: list
    elements: str
    default: []
  gpus:
    description: The GPUs of the node that compute, as P(fromzero.deepspeed.computing_gpus#filter) returns them.
    type: list
    elements: dict
    default: []
  host:
    description: The node, for sentences.
    type: str
    default: ""
  constrained:
    description: Whether the pins of the sets count.
    type: bool
    default: true
  constraints:
    description: Texts of files of constraints. What they name overrides the pins of the sets.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what a set brings
  ansible.builtin.debug:
    msg: "{{ environment_of_training | fromzero.deepspeed.training_libs_choice(['lora']) }}"
"""

RETURN = r"""
_value:
  description:
    - C(packages), requirements, one for each package; C(pins), the text of a file of constraints; C(imports), modules
      that must import afterwards; C(flash_attn), whether it belongs to them; C(problems), sentences.
  type: dict
  sample: {"packages": ["fire"], "pins": "fire==0.7.1\n", "imports": ["fire"], "flash_attn": false, "problems": []}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import LibrariesError, choose


def training_libs_choice(
    environment: Mapping[str, Any],
    sets: Iterable[str] = (),
    packages: Iterable[str] = (),
    *,
    gpus: Iterable[Mapping[str, Any]] = (),
    host: str = "",
    constrained: bool = True,
    constraints: Iterable[str] = (),
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return choose(
            plain(environment),
            plain(list(sets)),
            plain(list(packages)),
            host=str(host),
            gpus=plain(list(gpus)),
            constrained=bool(constrained),
            constraints=plain(list(constraints)),
        )
    except LibrariesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"training_libs_choice": training_libs_choice}
