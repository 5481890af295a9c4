# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_env
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The content of C(.deepspeed_env), from a dictionary of variables
description:
  - Renders C(KEY=VALUE) lines. The file has no comment and no blank line, because the launcher breaks on both.
  - Refuses what the launcher or the shell on the nodes would break on (a name that is none, a value of several lines,
    a double quote) and what differs from node to node (C(NCCL_SOCKET_IFNAME), C(NCCL_IB_HCA), C(GLOO_SOCKET_IFNAME)),
    since every node gets the same value.
  - Warns of a value that DeepSpeed of that O(version) hands to the remote shell without quotes.
options:
  _input:
    description: Names and values, in the order of the lines. A value of null leaves its variable out.
    type: dict
    required: true
  version:
    description: The release of DeepSpeed that will read the file. Empty means a recent one.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: What a run on CPUs needs on each node
  ansible.builtin.debug:
    msg: "{{ {'DS_ACCELERATOR': 'cpu', 'OMP_NUM_THREADS': 1} | fromzero.deepspeed.deepspeed_env }}"
"""

RETURN = r"""
_value:
  description: The content of the file.
  type: str
  sample: "DS_ACCELERATOR=cpu\nOMP_NUM_THREADS=1\n"
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.env import EnvironmentFileError, render_env


def deepspeed_env(variables: Mapping[str, Any], version: str = "") -> str:
    """See DOCUMENTATION."""
    if not isinstance(variables, Mapping):
        raise AnsibleFilterError("deepspeed_env wants a dictionary of environment variables.")
    try:
        rendering = render_env(dict(variables), version=str(version))
    except EnvironmentFileError as error:
        raise AnsibleFilterError(str(error)) from error
    for remark in rendering.remarks:
        Display().warning(remark)
    return rendering.text


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"deepspeed_env": deepspeed_env}
