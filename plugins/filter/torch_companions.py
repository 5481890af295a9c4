# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: torch_companions
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: The torchvision and torchaudio that belong to a torch
description:
  - Replaces V(auto) by the version that belongs to the torch (C(data/torch.yml)).
  - Leaves out what has no wheel for the torch, its build, the Python or the machine, and what would come from elsewhere
    while the user gives a wheel of torch. Each such case is one sentence.
positional: build, wheels
options:
  _input:
    description: Versions of C(torch), C(torchvision) and C(torchaudio). V(none) and empty ones are not wanted.
    type: dict
    required: true
  build:
    description: Local tag of the versions that have none, such as V(cpu) or V(cu130). Empty takes any build.
    type: str
    default: ""
  wheels:
    description: Files or URLs that take the place of the versions of what they hold.
    type: list
    elements: str
    default: []
  python:
    description: Version of the environment's Python. Empty where it is not known.
    type: str
    default: ""
  machine:
    description: Architecture of the node. Empty where it is not known.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what belongs to a torch
  ansible.builtin.debug:
    msg: >-
      {{ {'torch': '2.0.1', 'torchvision': 'auto', 'torchaudio': 'auto'}
         | fromzero.deepspeed.torch_companions('cu117') }}
"""

RETURN = r"""
_value:
  description: What to install, and what is left out.
  type: dict
  contains:
    versions:
      description: Package to the version to install.
      type: dict
    left_out:
      description: One sentence for each package that is left out.
      type: list
      elements: str
  sample: {"versions": {"torch": "2.0.1", "torchvision": "0.15.2", "torchaudio": "2.0.2"}, "left_out": []}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import TorchWishError, companions


def torch_companions(
    versions: Mapping[str, Any], build: str = "", wheels: Sequence[str] = (), python: str = "", machine: str = ""
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    given = {str(name): str(version or "") for name, version in versions.items()}
    try:
        found, left_out = companions(given, str(build), [str(wheel) for wheel in wheels], str(python), str(machine))
    except TorchWishError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"versions": found, "left_out": left_out}


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"torch_companions": torch_companions}
