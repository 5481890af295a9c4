# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch_config import (
    TrainingConfigError,
    training_config,
    wishes_from,
)

# wishes, a path into the configuration, what is there (None: nothing)
SAID = [
    ({}, "zero_optimization.stage", 2),
    ({}, "fp16.enabled", True),
    ({"accelerator": "cpu"}, "fp16", None),
    ({"accelerator": "cpu"}, "optimizer.params.torch_adam", True),
    ({"accelerator": "cpu"}, "zero_optimization.overlap_comm", False),
    ({"accelerator": "cuda"}, "optimizer.params.torch_adam", None),
    ({"precision": "bf16"}, "bf16.enabled", True),
    ({"precision": "fp32"}, "fp16", None),
    ({"micro_batch": "4"}, "train_micro_batch_size_per_gpu", 4),
    ({"accumulation_steps": 8}, "gradient_accumulation_steps", 8),
    ({"gradient_clipping": 0}, "gradient_clipping", 0.0),
    ({"offload_optimizer": "cpu"}, "zero_optimization.offload_optimizer.device", "cpu"),
    (
        {"zero_stage": 3, "offload_parameters": "nvme", "offload_path": "/nvme"},
        "zero_optimization.offload_param.nvme_path",
        "/nvme",
    ),
    ({"optimizer": {"params": {"lr": 0.5}}}, "optimizer.params.lr", 0.5),
    ({"optimizer": {"params": {"lr": 0.5}}}, "optimizer.type", "AdamW"),
    ({"config": {"zero_optimization": {"reduce_bucket_size": 7}}}, "zero_optimization.reduce_bucket_size", 7),
    ({"config": {"zero_optimization": {"reduce_bucket_size": 7}}}, "zero_optimization.stage", 2),
]
REFUSED = [
    ({"zero_stage": 4}, "hostfile_zero_stage is 4"),
    ({"zero_stage": "two"}, "hostfile_zero_stage is 'two'"),
    ({"precision": "fp8"}, "hostfile_precision is 'fp8'"),
    ({"micro_batch": 0}, "hostfile_micro_batch is 0"),
    ({"gradient_clipping": -1}, "hostfile_gradient_clipping is -1"),
    ({"offload_parameters": "cpu"}, "needs ZeRO stage 3"),
    ({"offload_optimizer": "cpu", "zero_stage": 0}, "needs ZeRO"),
    ({"offload_optimizer": "nvme", "offload_path": "/x"}, "needs ZeRO stage 3"),
    ({"offload_optimizer": "nvme", "zero_stage": 3}, "hostfile_offload_path"),
    ({"offload_optimizer": "disk"}, "must be one of none, cpu, nvme"),
    ({"zero": 1}, "zero cannot be wished for"),
]


def _at(config, path):
    for key in path.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config


@pytest.mark.parametrize(("wishes", "path", "value"), SAID)
def test_configuration_says_what_was_wished(wishes, path, value):
    config = training_config(wishes_from(wishes))
    assert _at(json.loads(json.dumps(config)), path) == value


@pytest.mark.parametrize(("wishes", "words"), REFUSED)
def test_wishes_that_contradict_each_other_are_refused(wishes, words):
    with pytest.raises(TrainingConfigError, match=words):
        training_config(wishes_from(wishes))
