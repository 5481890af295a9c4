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
options:
  _input:
    description:
      - The wishes, each optional. Their names and values are those of the role P(fromzero.deepspeed.hostfile#role)
        without the prefix C(hostfile_), that is V(accelerator), V(zero_stage), V(precision), V(micro_batch),
        V(accumulation_steps), V(gradient_clipping), V(offload_optimizer), V(offload_parameters), V(offload_path),
        V(optimizer) and V(config).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: ZeRO stage 3 in bf16
  ansible.builtin.debug:
    msg: "{{ {'zero_stage': 3, 'precision': 'bf16'} | fromzero.deepspeed.deepspeed_config | to_nice_json }}"
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
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch_config import (
    TrainingConfigError,
    training_config,
    wishes_from,
)


def deepspeed_config(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not isinstance(wishes, Mapping):
        raise AnsibleFilterError("deepspeed_config wants a dictionary of wishes.")
    try:
        return training_config(wishes_from(wishes))
    except TrainingConfigError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"deepspeed_config": deepspeed_config}
