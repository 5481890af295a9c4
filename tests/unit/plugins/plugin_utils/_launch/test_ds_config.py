# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._launch.ds_config import (
    TrainingConfigError,
    bf16_everywhere,
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
    ({"form": "trainer"}, "train_micro_batch_size_per_gpu", "auto"),
    ({"form": "trainer", "accumulation_steps": 8}, "gradient_accumulation_steps", "auto"),
    ({"form": "trainer"}, "gradient_clipping", "auto"),
    ({"form": "trainer"}, "fp16.enabled", "auto"),
    ({"form": "trainer"}, "bf16.enabled", "auto"),
    ({"form": "trainer", "precision": "bf16"}, "bf16.enabled", True),
    ({"form": "trainer", "precision": "bf16"}, "fp16", None),
    ({"form": "trainer", "precision": "fp32"}, "fp16", None),
    ({"form": "trainer"}, "optimizer", None),
    ({"form": "trainer", "accelerator": "cpu"}, "optimizer", None),
    ({"form": "trainer"}, "scheduler", None),
    ({"form": "trainer"}, "zero_optimization.stage", 2),
    ({"form": "trainer"}, "zero_optimization.stage3_prefetch_bucket_size", None),
    ({"form": "trainer", "zero_stage": 3}, "zero_optimization.stage3_prefetch_bucket_size", "auto"),
    ({"form": "trainer", "zero_stage": 3}, "zero_optimization.reduce_bucket_size", "auto"),
    ({"form": "trainer", "offload_optimizer": "cpu"}, "optimizer.params.lr", "auto"),
    ({"form": "trainer", "optimizer": {"params": {"lr": 0.5}}}, "optimizer.params.lr", 0.5),
    ({"form": "trainer", "optimizer": {"params": {"lr": 0.5}}}, "optimizer.params.betas", "auto"),
    ({"form": "trainer", "config": {"gradient_clipping": 2}}, "gradient_clipping", 2),
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
    ({"form": "yaml"}, "hostfile_config_form is 'yaml'; it must be one of deepspeed, trainer"),
    ({"form": "trainer", "offload_parameters": "cpu"}, "needs ZeRO stage 3"),
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


BF16 = '{"bf16": {"enabled": true}}'
FP16 = '{"fp16": {"enabled": true}}'
# capabilities by node, the rest, whether bf16 is taken
EVERYWHERE = [
    ({"a": ["8.0", "8.0"], "b": ["9.0"]}, {}, True),
    ({"a": ["10.0"]}, {}, True),
    ({"a": ["8.0"], "b": ["7.5"]}, {}, False),
    ({"a": ["8.0", "7.0"]}, {}, False),
    ({"a": ["8.0"], "b": [None]}, {}, False),
    ({"a": ["8.0"], "b": []}, {}, False),
    ({}, {}, False),
    ({"a": ["8.0"]}, {"torch": "2.13.0"}, True),
    # Its NCCL does not know the type.
    ({"a": ["8.0"]}, {"torch": "1.9.1"}, False),
    # Nodes that the run does not see may be older: what is written there decides.
    ({"a": ["8.0"]}, {"partial": True, "present": FP16}, False),
    ({"a": ["8.0"]}, {"partial": True, "present": BF16}, True),
    ({"a": ["7.0"]}, {"partial": True, "present": BF16}, False),
    ({"a": ["8.0"]}, {"partial": True, "present": ""}, True),
    ({"a": ["8.0"]}, {"partial": True, "present": "[]"}, True),
    ({"a": ["8.0"]}, {"partial": False, "present": FP16}, True),
]


@pytest.mark.parametrize(("capabilities", "more", "taken"), EVERYWHERE)
def test_bf16_is_taken_where_every_gpu_computes_in_it(capabilities, more, taken):
    assert bf16_everywhere(capabilities, **more) is taken
