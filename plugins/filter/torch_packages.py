# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: torch_packages
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The requirements that stand for a wished torch
description:
  - Joins versions and build to requirements for M(fromzero.deepspeed.python_packages).
  - Fails with a sentence where a version or a build cannot be read, or where they contradict each other.
positional: build, wheels
options:
  _input:
    description: Versions of C(torch), C(torchvision) and C(torchaudio), each with or without a local tag; empty where
      one is not wanted.
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
"""

EXAMPLES = r"""
- name: Show what is to be installed
  ansible.builtin.debug:
    msg: "{{ {'torch': '2.0.1', 'torchvision': '0.15.2'} | fromzero.deepspeed.torch_packages('cu117') }}"
"""

RETURN = r"""
_value:
  description: The requirements.
  type: list
  elements: str
  sample: [torch==2.0.1+cu117, torchvision==0.15.2+cu117]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import TorchWishError, packages


def torch_packages(versions: Mapping[str, Any], build: str = "", wheels: Sequence[str] = ()) -> list[str]:
    """See DOCUMENTATION."""
    try:
        wanted = {str(name): str(version) for name, version in versions.items() if version}
        return packages(wanted, str(build), [str(wheel) for wheel in wheels])
    except TorchWishError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"torch_packages": torch_packages}
