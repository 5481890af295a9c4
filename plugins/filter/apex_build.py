# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: apex_build
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: How NVIDIA apex is built for the torch of an environment
description:
  - Chooses the ref that fits torch, and turns what is asked for into the switches, options and replacements that this
    ref wants, for M(fromzero.deepspeed.wheel_build).
options:
  _input:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    required: true
  ref:
    description: A tag or a commit. Empty takes the one that fits torch.
    type: str
    default: ""
  build_of:
    description: What is compiled.
    type: str
    choices: [full, cpp, python]
    default: full
  contrib:
    description: Further switches, such as V(xentropy).
    type: list
    elements: str
    default: []
  allow_minor:
    description: Whether nvcc may be of another minor version than torch's CUDA.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show how apex would be built
  ansible.builtin.debug:
    msg: "{{ environment_of_training | fromzero.deepspeed.apex_build(build_of='full') }}"
"""

RETURN = r"""
_value:
  description:
    - C(ref); C(switches), variables; C(options) and their C(scope); C(substitutions); C(submodules); C(nvcc) and
      C(nvcc_versions) - all as M(fromzero.deepspeed.wheel_build) takes them.
    - C(extensions), the modules that must be there; C(problems), sentences about what cannot be; C(remarks), sentences
      about what is worth knowing, such as another package of that name.
  type: dict
  sample:
    ref: "25.09"
    switches: {APEX_CPP_EXT: "1", APEX_CUDA_EXT: "1"}
    options: []
    scope: command
    substitutions: []
    submodules: false
    nvcc: true
    nvcc_versions: ["13.0"]
    extensions: [apex_C, amp_C, fused_layer_norm_cuda]
    problems: []
    remarks: []
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.apex import Wish, build
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def apex_build(
    environment: Mapping[str, Any],
    *,
    ref: str = "",
    build_of: str = "full",
    contrib: Iterable[str] = (),
    allow_minor: bool = False,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    names = [str(name) for name in contrib]
    wish = Wish(ref=str(ref), build=str(build_of), contrib=names, allow_minor=bool(allow_minor))
    return build(wish, plain(environment), rows("apex"))


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"apex_build": apex_build}
