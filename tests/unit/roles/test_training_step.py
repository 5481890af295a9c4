# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of role verify's training step that need neither torch nor DeepSpeed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

STEP = Path(__file__).parents[3] / "roles" / "verify" / "files" / "training_step.py"

# What the Trainer's documentation gives as a start.
TRAINER = {
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": "auto", "loss_scale": 0},
    "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
    "zero_optimization": {"stage": 3, "reduce_bucket_size": "auto", "overlap_comm": True},
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
}


@pytest.fixture
def step():
    spec = importlib.util.spec_from_file_location("training_step", STEP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fake_torch(available=False, devices=0, warning="", error="", hip=None):
    def is_available():
        if warning:
            warnings.warn(warning, UserWarning, stacklevel=1)
        return available

    def init():
        raise RuntimeError(error)

    cuda = SimpleNamespace(is_available=is_available, device_count=lambda: devices, init=init)
    return SimpleNamespace(__version__="2.13.0+cu130", version=SimpleNamespace(cuda="13.0", hip=hip), cuda=cuda)


@pytest.mark.parametrize(
    ("wanted", "accelerator", "fits"),
    [
        ("cuda", "cuda", True),
        ("cuda", "cpu", False),
        ("cuda", "rocm", False),
        ("rocm", "rocm", True),
        ("cpu", "cpu", True),
        ("cpu", "cuda", False),
        ("auto", "cuda", True),
        ("auto", "rocm", True),
        ("auto", "cpu", False),
    ],
)
def test_ranks_train_only_on_what_was_meant(step, wanted, accelerator, fits):
    assert step.fits(wanted, accelerator) is fits


def test_the_text_by_which_torch_explains_that_it_sees_no_gpu_is_kept(step, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    found = step.look_at_torch(fake_torch(warning="The NVIDIA driver is\ntoo old", error="no driver"), wants_gpu=True)
    assert found["why"] == "The NVIDIA driver is too old no driver"
    assert (found["available"], found["devices"], found["visible"]) == (False, 0, "0,1")


def test_nothing_is_explained_where_gpus_are_seen_or_not_wanted(step):
    assert "why" not in step.look_at_torch(fake_torch(available=True, devices=2), wants_gpu=True)
    assert "why" not in step.look_at_torch(fake_torch(error="x"), wants_gpu=False)


def test_gpus_of_amd_are_rocm_although_deepspeed_calls_them_cuda(step):
    accelerator = SimpleNamespace(device_name=lambda: "cuda")
    assert step.look_at_device(accelerator, True, 1, 1) == {"accelerator": "rocm", "device": ""}


def test_an_error_is_one_line_that_keeps_what_the_compiler_says(step):
    error = RuntimeError(
        "Error building extension 'fused_adam': [1/3] nvcc -c x.cu\n\nFAILED: x.o\n"
        "nvcc fatal   : Unsupported gpu architecture 'compute_120'\n"
        "nvcc fatal   : Unsupported gpu architecture 'compute_120'\n"
        "ninja: build stopped: subcommand failed.\n"
    )
    text = step.brief(error)
    assert text == (
        "RuntimeError: Error building extension 'fused_adam'; nvcc fatal   : Unsupported gpu architecture 'compute_120'"
    )
    assert len(step.brief(ValueError("x" * 10000))) <= 300
    assert step.brief(KeyError()) == "KeyError: "


def test_a_report_fits_into_one_write_to_a_pipe(step):
    error = step.brief(RuntimeError("\n".join(["x" * 5000, *["error: " + "y" * 5000] * 9])))
    assert len(error) < 2000


def test_a_configuration_without_auto_is_left_as_it_is(step):
    config = {"optimizer": {"type": "Lamb", "params": {"lr": 1}}, "fp16": {"enabled": True}}
    assert step.resolved(config, on_cpu=False, bf16=True) == (config, [])


@pytest.mark.parametrize(
    ("on_cpu", "bf16", "half"), [(True, False, None), (False, True, "bf16"), (False, False, "fp16")]
)
def test_what_is_left_to_the_trainer_becomes_small_numbers_and_is_named(step, on_cpu, bf16, half):
    before = json.dumps(TRAINER)
    config, notes = step.resolved(TRAINER, on_cpu, bf16)
    assert "auto" not in json.dumps(config)
    assert json.dumps(TRAINER) == before
    assert [name for name in ("fp16", "bf16") if config[name]["enabled"]] == ([half] if half else [])
    assert config["train_micro_batch_size_per_gpu"] == config["gradient_accumulation_steps"] == 1
    assert "train_batch_size" not in config
    assert config["zero_optimization"] == {"stage": 3, "overlap_comm": True}
    assert config["optimizer"]["params"]["betas"] == [0.9, 0.999]
    assert "train_batch_size left out" in notes
    assert "optimizer.params.lr 0.0001" in notes


def test_a_lock_of_a_killed_build_is_found_once_it_is_old(step, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    lock = tmp_path / "py311_cu130" / "fused_adam" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert step.stale_locks(minutes=10) == []
    os.utime(lock, (time.time() - 700, time.time() - 700))
    assert step.stale_locks(minutes=10) == [str(lock)]


@pytest.fixture
def builders(monkeypatch):
    """DeepSpeed's class of op builders, as far as the step needs it."""

    class OpBuilder:
        def __init__(self, name, module=None, error=None, compiles=False):
            self.name, self.module, self.error, self.compiles = name, module, error, compiles

        def load(self, verbose=True):
            return self.jit_load(verbose) if self.compiles else self._found()

        def jit_load(self, verbose=True):
            return self._found()

        def _found(self):
            if self.error:
                raise self.error
            return self.module

    parts = ["deepspeed", "deepspeed.ops", "deepspeed.ops.op_builder", "deepspeed.ops.op_builder.builder"]
    for name in parts:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[parts[-1]].OpBuilder = OpBuilder
    return OpBuilder


def op_reports(capfd):
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("FROMZERO_VERIFY ")]
    found = [json.loads(line.partition(" ")[2]) for line in lines]
    return [(report["op"], report["how"]) for report in found if report["stage"] == "op"]


def test_each_op_is_reported_once_with_the_way_in_which_it_came(step, builders, tmp_path, capfd):
    new, old = tmp_path / "new.so", tmp_path / "old.so"
    new.touch()
    old.touch()
    os.utime(old, (1, 1))
    load, jit_load = builders.load, builders.jit_load
    with step.watched_ops():
        for _twice in range(2):
            builders("prebuilt", SimpleNamespace(__file__=str(old))).load()
            builders("fresh", SimpleNamespace(__file__=str(new)), compiles=True).load()
            builders("cached", SimpleNamespace(__file__=str(old)), compiles=True).load()
    assert op_reports(capfd) == [
        ("prebuilt", "built beforehand"),
        ("fresh", "begun"),
        ("fresh", "compiled"),
        ("cached", "begun"),
        ("cached", "compiled earlier"),
    ]
    assert (builders.load, builders.jit_load) == (load, jit_load)


def test_an_op_that_cannot_be_loaded_is_reported_and_fails_as_before(step, builders, capfd):
    with step.watched_ops(), pytest.raises(ImportError):
        builders("async_io", error=ImportError("undefined symbol: io_submit")).load()
    assert op_reports(capfd) == [("async_io", "failed")]
