# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds ds_config.json, DeepSpeed's configuration of a training run, from a few wishes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import bf16, torch_row

#: Who reads the configuration: a script as it stands, or the Trainer of transformers, which replaces each "auto" by an
#: argument of its own.
FORMS = ("deepspeed", "trainer")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
OFFLOADS = ("none", "cpu", "nvme")


class TrainingConfigError(ValueError):
    """Wishes that contradict each other or that DeepSpeed does not know; the message is a sentence for the user."""


@dataclass(frozen=True)
class Wishes:
    """What ds_config.json is made from; each field is the variable C(hostfile_<name>) of the role hostfile."""

    form: str = "deepspeed"
    accelerator: str = "auto"
    zero_stage: int = 2
    precision: str = "auto"
    micro_batch: int = 1
    accumulation_steps: int = 1
    gradient_clipping: float = 1.0
    offload_optimizer: str = "none"
    offload_parameters: str = "none"
    offload_path: str = ""
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise TrainingConfigError(f"hostfile_{name} is {value!r}; it must be one of {', '.join(known)}.")


def _check(wishes: Wishes) -> None:
    _one_of("config_form", wishes.form, FORMS)
    _one_of("precision", wishes.precision, PRECISIONS)
    _one_of("offload_optimizer", wishes.offload_optimizer, OFFLOADS)
    _one_of("offload_parameters", wishes.offload_parameters, OFFLOADS)
    if wishes.zero_stage not in range(4):
        raise TrainingConfigError(f"hostfile_zero_stage is {wishes.zero_stage}; ZeRO has the stages 0, 1, 2 and 3.")
    for name in ("micro_batch", "accumulation_steps"):
        if getattr(wishes, name) < 1:
            raise TrainingConfigError(f"hostfile_{name} is {getattr(wishes, name)}; it must be at least 1.")
    if wishes.gradient_clipping < 0:
        raise TrainingConfigError(
            f"hostfile_gradient_clipping is {wishes.gradient_clipping}; set a norm, or 0 for no clipping."
        )
    if wishes.offload_parameters != "none" and wishes.zero_stage != 3:
        raise TrainingConfigError(
            f"hostfile_offload_parameters needs ZeRO stage 3, but hostfile_zero_stage is {wishes.zero_stage}."
        )
    if wishes.offload_optimizer != "none" and wishes.zero_stage == 0:
        raise TrainingConfigError("hostfile_offload_optimizer needs ZeRO, but hostfile_zero_stage is 0.")
    if wishes.offload_optimizer == "nvme" and wishes.zero_stage != 3:
        raise TrainingConfigError(
            f"hostfile_offload_optimizer to nvme needs ZeRO stage 3, but hostfile_zero_stage is {wishes.zero_stage}."
        )
    if "nvme" in (wishes.offload_optimizer, wishes.offload_parameters) and not wishes.offload_path:
        raise TrainingConfigError(
            "Offload to nvme needs a folder on a fast disk of each node: set hostfile_offload_path."
        )


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(merged.get(name), dict) and isinstance(value, Mapping)
        merged[name] = _merge(merged[name], value) if both else value
    return merged


def _offload(device: str, path: str) -> dict[str, Any]:
    return {"device": device, "nvme_path": path} if device == "nvme" else {"device": device, "pin_memory": True}


def _zero(wishes: Wishes) -> dict[str, Any]:
    zero: dict[str, Any] = {"stage": wishes.zero_stage}
    if wishes.zero_stage >= 2:
        # Overlap needs streams, which a CPU does not have.
        zero |= {"overlap_comm": wishes.accelerator != "cpu", "contiguous_gradients": True}
    if wishes.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if wishes.offload_optimizer != "none":
        zero["offload_optimizer"] = _offload(wishes.offload_optimizer, wishes.offload_path)
    if wishes.offload_parameters != "none":
        zero["offload_param"] = _offload(wishes.offload_parameters, wishes.offload_path)
    return zero


def _precision(wishes: Wishes) -> str:
    """Without a word about the GPUs fp16, which every GPU computes in that DeepSpeed runs on."""
    return {"cpu": "fp32"}.get(wishes.accelerator, "fp16") if wishes.precision == "auto" else wishes.precision


def _for_deepspeed(wishes: Wishes) -> dict[str, Any]:
    optimizer = {"type": "AdamW", "params": {"lr": 1e-4, "weight_decay": 0.01}}
    if wishes.accelerator == "cpu" and wishes.offload_optimizer == "none":
        # Without this DeepSpeed compiles its own Adam on each node at the first step.
        optimizer = _merge(optimizer, {"params": {"torch_adam": True}})
    precision = _precision(wishes)
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": wishes.micro_batch,
        "gradient_accumulation_steps": wishes.accumulation_steps,
        "gradient_clipping": wishes.gradient_clipping,
        "optimizer": _merge(optimizer, wishes.optimizer),
        "zero_optimization": _zero(wishes),
    }
    return config if precision == "fp32" else {**config, precision: {"enabled": True}}


# https://huggingface.co/docs/transformers/deepspeed: what the Trainer fills in where it finds "auto".
_AUTO = "auto"
_TRAINER_BUCKETS = ("reduce_bucket_size", "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold")
_TRAINER_OPTIMIZER = {"type": "AdamW", "params": dict.fromkeys(("lr", "betas", "eps", "weight_decay"), _AUTO)}


def _for_trainer(wishes: Wishes) -> dict[str, Any]:
    config: dict[str, Any] = dict.fromkeys(
        ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), _AUTO
    )
    config["zero_optimization"] = _zero(wishes)
    if wishes.zero_stage == 3:
        config["zero_optimization"] |= dict.fromkeys(_TRAINER_BUCKETS, _AUTO)
    if wishes.offload_optimizer != "none" or wishes.optimizer:
        # Without a block the Trainer takes an optimizer of torch, which DeepSpeed refuses to offload.
        config["optimizer"] = _merge(_TRAINER_OPTIMIZER, wishes.optimizer)
    if wishes.precision == "auto":
        config |= {name: {"enabled": _AUTO} for name in ("fp16", "bf16")}
    elif wishes.precision != "fp32":
        config[wishes.precision] = {"enabled": True}
    return config


def training_config(wishes: Wishes) -> dict[str, Any]:
    """The content of ds_config.json, valid for DeepSpeed 0.14 to 0.19.8.

    :raises TrainingConfigError: wishes that contradict each other.
    """
    _check(wishes)
    config = _for_trainer(wishes) if wishes.form == "trainer" else _for_deepspeed(wishes)
    return _merge(config, wishes.config)


def _enables_bf16(text: str) -> bool | None:
    """Whether a ds_config.json that was written before turns bf16 on; None where it cannot be read."""
    try:
        return bool(json.loads(text).get("bf16", {}).get("enabled") is True)
    except (ValueError, AttributeError):
        return None


def bf16_everywhere(
    capabilities: Mapping[str, Sequence[str | None]], *, torch: str = "", present: str = "", partial: bool = False
) -> bool:
    """Whether every GPU that a run trains on computes in bf16, and torch's NCCL sums it.

    :param capabilities: the compute capability of each GPU, by node; None for one that is not known, or not NVIDIA's.
    :param torch: the release of torch; empty where it is not known.
    :param present: ds_config.json as it is now.
    :param partial: whether there are nodes that this run does not see. For them ds_config.json as it is now speaks.
    """
    least = bf16()
    able = bool(capabilities) and all(
        gpus and all(gpu and numbers(gpu) >= numbers(least["compute_capability"]) for gpu in gpus)
        for gpus in capabilities.values()
    )
    if torch and numbers(str(torch_row(torch)["nccl"])) < numbers(least["nccl"]):
        return False
    return able and not (partial and _enables_bf16(present) is False)


def wishes_from(values: Mapping[str, Any]) -> Wishes:
    """The wishes in a mapping of field names to values.

    :raises TrainingConfigError: a name that is no field, or a value of a wrong type.
    """
    known = {entry.name: entry for entry in fields(Wishes)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TrainingConfigError(f"{', '.join(unknown)} cannot be wished for; known are {', '.join(known)}.")
    converters: dict[str, Any] = {"int": int, "float": float, "str": str}
    converted: dict[str, Any] = {}
    for name, value in values.items():
        try:
            converted[name] = converters.get(str(known[name].type), dict)(value)
        except (TypeError, ValueError) as error:
            raise TrainingConfigError(f"hostfile_{name} is {value!r}, which cannot be used ({error}).") from error
    return Wishes(**converted)
