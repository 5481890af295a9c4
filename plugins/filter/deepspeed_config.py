# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: deepspeed_config
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The content of C(ds_config.json), from a few wishes
description:
  - Builds DeepSpeed's configuration of a training run as data, for C(to_nice_json).
  - Refuses wishes that contradict each other, such as offloaded parameters without ZeRO stage 3.
  - The precision V(auto) is fp32 on CPUs; on GPUs it is bf16 where each of O(capabilities) is known to compute in it,
    and fp16 elsewhere.
options:
  _input:
    description:
      - The wishes, each optional. Their names and values are those of the role P(fromzero.deepspeed.hostfile#role)
        without the prefix C(hostfile_), that is V(accelerator), V(zero_stage), V(precision), V(micro_batch),
        V(accumulation_steps), V(gradient_clipping), V(offload_optimizer), V(offload_parameters), V(offload_path),
        V(optimizer) and V(config); and V(form), which is V(deepspeed) or V(trainer).
    type: dict
    required: true
  capabilities:
    description:
      - The compute capability of each GPU that a run trains on, as a list for each node. Null for a GPU whose
        capability is not known.
    type: dict
    default: {}
  torch:
    description: The release of torch, since the NCCL of an old one does not sum bf16. Empty where it is not known.
    type: str
    default: ""
  present:
    description: The content of ds_config.json as it is now; read only with O(partial).
    type: str
    default: ""
  partial:
    description:
      - Whether the cluster has nodes that O(capabilities) does not name, because of C(--limit). Then a configuration
        that has bf16 off keeps it off.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: ZeRO stage 3 in bf16
  ansible.builtin.debug:
    msg: "{{ {'zero_stage': 3, 'precision': 'bf16'} | fromzero.deepspeed.deepspeed_config | to_nice_json }}"

- name: fp16, because of the V100 on node2
  ansible.builtin.debug:
    msg: >-
      {{ {'accelerator': 'cuda'} | fromzero.deepspeed.deepspeed_config(
           capabilities={'node1': ['8.0', '8.0'], 'node2': ['7.0']}) | to_nice_json }}
"""

RETURN = r"""
_value:
  description: The content of ds_config.json.
  type: dict
  sample:
    train_micro_batch_size_per_gpu: 1
    zero_optimization: {stage: 2, overlap_comm: true, contiguous_gradients: true}
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.ds_config import (
    TrainingConfigError,
    bf16_everywhere,
    training_config,
    wishes_from,
)


def deepspeed_config(
    wishes: Mapping[str, Any],
    capabilities: Mapping[str, Any] | None = None,
    torch: str = "",
    present: str = "",
    partial: bool = False,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not isinstance(wishes, Mapping):
        raise AnsibleFilterError("deepspeed_config wants a dictionary of wishes.")
    known = plain(capabilities or {})
    try:
        wished = wishes_from(wishes)
        for_deepspeed = wished.precision == "auto" and wished.accelerator != "cpu" and wished.form == "deepspeed"
        if for_deepspeed and bf16_everywhere(known, torch=str(torch), present=str(present), partial=bool(partial)):
            wished = replace(wished, precision="bf16")
        return training_config(wished)
    except TrainingConfigError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"deepspeed_config": deepspeed_config}
