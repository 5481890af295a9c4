# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_ops
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Which ops of DeepSpeed are built beforehand, and what that needs
description:
  - Turns wishes by the names of ops into switches of the build, and says what the build needs beside.
  - An op that is wished for and cannot be built gives a sentence. One that is wished for by V(auto) and cannot be
    built is left out, with the reason.
positional: _input, switches, environment
options:
  _input:
    description:
      - Names of ops with V(true), V(false) or V(auto) each; C(all) with V(auto) means every op that is not named.
    type: dict
    required: true
  switches:
    description: What P(fromzero.deepspeed.deepspeed_switches#filter) returned.
    type: dict
    default: {}
  environment:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    default: {}
  version:
    description: The version of DeepSpeed.
    type: str
    default: ""
  accelerator:
    description: What the nodes compute on. V(auto) is what torch was built for.
    type: str
    choices: [auto, cuda, rocm, cpu]
    default: auto
  architectures:
    description: The compute capabilities of the cluster.
    type: list
    elements: str
    default: []
  system:
    description: Whether packages of the system can be installed.
    type: bool
    default: true
  variables:
    description: Variables that the user sets for the build.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is built for two kinds of GPUs
  ansible.builtin.debug:
    msg: >-
      {{ {'fused_adam': true, 'async_io': 'auto'}
         | fromzero.deepspeed.deepspeed_ops(version='0.19.8', accelerator='cuda', architectures=['7.0', '8.0']) }}
"""

RETURN = r"""
_value:
  description:
    - C(switches) are the variables of the build; C(left_out) the ops that V(auto) leaves out, each with the reason;
      C(problems) sentences about what cannot be had.
    - C(packages) are what the system has to bring, in the words of P(fromzero.deepspeed.build_packages#filter);
      C(python_packages) what the build imports; C(variables) further variables; C(flags) variables whose value begins
      with that of the user.
    - C(run_packages) and C(run_python_packages) are what every node needs to load the ops. C(compatible) are the
      switches of ops that DeepSpeed does not use on a node where C(ds_report) calls them incompatible.
    - C(nvcc) says whether nvcc compiles, C(native) whether code is for the processor of the node that builds,
      C(nvcc_versions) which versions of nvcc will do.
  type: dict
  sample:
    switches: {DS_BUILD_FUSED_ADAM: "1", DS_BUILD_AIO: "1"}
    left_out: {}
    problems: []
    packages: [libaio]
    python_packages: []
    run_packages: [compiler, libaio]
    run_python_packages: []
    compatible: [DS_BUILD_AIO]
    variables: {DS_BUILD_PIN_MEMORY: "1"}
    flags: {LDFLAGS: "-Wl,--no-as-needed -laio"}
    nvcc: true
    native: true
    nvcc_versions: ["13.0"]
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_ops import Circumstances, choose
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import toolkits_for


def _accelerator(given: str, torch: Mapping[str, Any]) -> str:
    if given != "auto":
        return given
    return "cuda" if torch.get("cuda") else "rocm" if torch.get("hip") else "cpu"


def deepspeed_ops(
    wish: Mapping[str, Any],
    switches: Mapping[str, str] | None = None,
    environment: Mapping[str, Any] | None = None,
    *,
    version: str = "",
    accelerator: str = "auto",
    architectures: Iterable[str] = (),
    system: bool = True,
    variables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    torch = plain((environment or {}).get("torch") or {})
    where = Circumstances(
        version=str(version),
        accelerator=_accelerator(str(accelerator), torch),
        architectures=[str(name) for name in architectures],
        system=bool(system),
        variables=plain(variables or {}),
    )
    found = choose(plain(wish), plain(switches or {}), where, rows("deepspeed_ops")["ops"])
    cuda = str(torch.get("cuda") or "")
    # DeepSpeed then compares nothing, and torch only the major versions.
    bound = found["nvcc"] and str(where.variables.get("DS_SKIP_CUDA_CHECK", "0")) != "1"
    minors = list(toolkits_for(str(version), cuda)) if cuda and version and bound else []
    return {**found, "nvcc_versions": minors}


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"deepspeed_ops": deepspeed_ops}
