# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A short training on every slot of a cluster with the user's own configuration, after an all-reduce of a known sum.

DeepSpeed's launcher starts it once for each slot. Each rank reports what it computes on, which ops it loads and how far
it has come, as lines of JSON behind a mark, so that a run that fails or hangs can be explained by its ranks.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import datetime
import json
import os
import re
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARK = "FROMZERO_VERIFY"
RANK = int(os.environ.get("RANK", "0"))
# A configuration may ask for a learning rate that shows nothing in a few steps; the arithmetic is the same with this.
LEARNING_RATE = 1e-2
# Steps more than asked for, which a loss scale that is still being searched for may skip.
SPARE_STEPS = 40
# Seconds in which ranks with the same fault can report it, until the first of them ends the run.
REFUSAL_PAUSE = 5.0
# What leads to a reason in the output of a compiler or a loader.
_TELLING = re.compile(r"error|fatal|undefined symbol|not found|no such|cannot|unsupported", re.IGNORECASE)

# Numbers for what a configuration leaves to Hugging Face's Trainer; what is not among them is left out.
_AUTOMATIC: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": 1,
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "lr": 1e-4,
    "weight_decay": 0.0,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "total_num_steps": 1000,
    "warmup_num_steps": 10,
    "warmup_min_lr": 0.0,
    "warmup_max_lr": 1e-4,
}


def report(stage: str, **details: object) -> None:
    """Write one line in one call: the ranks of a node may share a pipe, and print() may be cut in two."""
    content = {"stage": stage, "rank": RANK, "host": socket.gethostname(), **details}
    sys.stdout.flush()
    os.write(1, f"{MARK} {json.dumps(content)}\n".encode())


def brief(error: BaseException) -> str:
    """An error as one short line: its first line, and those that say why a compiler or a loader gave up."""
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    telling = dict.fromkeys(line for line in rest if _TELLING.search(line))
    # The command of a compiler is long, and no reason.
    first = re.sub(r": \[\d+/\d+\] .*", "", first)
    return "; ".join(line[:300] for line in [f"{type(error).__name__}: {first}", *list(telling)[:3]])


def stale_locks(minutes: float) -> list[str]:
    """Locks that a killed build of an op left behind: every later build would wait for them without a word."""
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or Path.home() / ".cache" / "torch_extensions")
    old = time.time() - minutes * 60
    return [str(lock) for lock in folder.glob("**/lock") if lock.stat().st_mtime < old]


def driver_version() -> str:
    """The version of NVIDIA's kernel module, empty where it is not loaded."""
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]*)", text)
        return found.group(1) if found else ""
    return ""


def device_files(hip: bool) -> tuple[list[str], list[str]]:
    """The files of the GPUs, and those of them that this account may not use."""
    patterns = ("kfd", "dri/renderD*") if hip else ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm")
    present = sorted(str(path) for pattern in patterns for path in Path("/dev").glob(pattern))
    return present, [path for path in present if not os.access(path, os.R_OK | os.W_OK)]


def look_at_torch(torch: Any, wants_gpu: bool) -> dict[str, Any]:
    """What torch sees of GPUs, and where that is nothing although GPUs are wanted, all that may explain it.

    To be called before anything else asks for the GPUs: torch says only once why it sees none.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = bool(torch.cuda.is_available())
        devices = int(torch.cuda.device_count())
    hip = getattr(torch.version, "hip", None)
    found: dict[str, Any] = {
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": hip,
        "available": available,
        "devices": devices,
        "visible": os.environ.get("HIP_VISIBLE_DEVICES" if hip else "CUDA_VISIBLE_DEVICES"),
        "forced": os.environ.get("DS_ACCELERATOR", ""),
    }
    if available or not wants_gpu:
        return found
    why = [str(warning.message) for warning in caught]
    try:
        torch.cuda.init()
    except Exception as error:
        why.append(str(error))
    present, denied = device_files(bool(hip))
    text = " ".join(" ".join(why).split())[:600]
    return {**found, "why": text, "driver": driver_version(), "device_files": len(present), "denied": denied[:4]}


def look_at_device(accelerator: Any, hip: bool, local_rank: int, devices: int) -> dict[str, Any]:
    """What this rank computes on, by DeepSpeed's choice."""
    name = str(accelerator.device_name())
    device = ""
    if name == "cuda" and local_rank < devices:
        import torch  # noqa: PLC0415

        device = str(torch.cuda.get_device_name(local_rank))
    return {"accelerator": "rocm" if name == "cuda" and hip else name, "device": device}


def fits(wanted: str, accelerator: str) -> bool:
    """Whether ranks compute on what was meant. C(auto) stands for GPUs: training on CPUs is asked for by name."""
    return accelerator != "cpu" if wanted == "auto" else accelerator == wanted


@contextlib.contextmanager
def watched_ops() -> Iterator[None]:
    """Report each op of DeepSpeed that is loaded: whether it was built beforehand, compiled earlier or compiled now."""
    from deepspeed.ops.op_builder.builder import OpBuilder  # noqa: PLC0415

    load, jit_load = OpBuilder.load, OpBuilder.jit_load
    known: set[str] = set()

    def reporting_load(self: Any, *given: Any, **named: Any) -> Any:
        if self.name in known:
            return load(self, *given, **named)
        started = time.time()
        try:
            module = load(self, *given, **named)
        except Exception as error:
            report("op", op=self.name, how="failed", error=brief(error))
            raise
        known.add(self.name)
        how = "built beforehand"
        if self.name in compiling:
            file = Path(getattr(module, "__file__", None) or os.devnull)
            how = "compiled" if file.stat().st_mtime >= started - 1 else "compiled earlier"
        report("op", op=self.name, how=how, took=round(time.time() - started, 1))
        return module

    compiling: set[str] = set()

    def reporting_jit_load(self: Any, *given: Any, **named: Any) -> Any:
        if self.name not in compiling:
            compiling.add(self.name)
            report("op", op=self.name, how="begun")
        return jit_load(self, *given, **named)

    OpBuilder.load, OpBuilder.jit_load = reporting_load, reporting_jit_load
    try:
        yield
    finally:
        OpBuilder.load, OpBuilder.jit_load = load, jit_load


def resolved(config: dict[str, Any], on_cpu: bool, bf16: bool) -> tuple[dict[str, Any], list[str]]:
    """A configuration without the values that Hugging Face's Trainer would fill in, and a note on each of those.

    Half precision that is left to the Trainer becomes bf16 where the GPUs have it, else fp16; on CPUs neither.
    """
    result = copy.deepcopy(config)
    notes: list[str] = []
    half = {"fp16": not on_cpu and not bf16, "bf16": not on_cpu and bf16}

    def fill(block: dict[str, Any], path: str) -> None:
        for name, value in list(block.items()):
            place = f"{path}.{name}" if path else name
            if isinstance(value, dict):
                fill(value, place)
            elif value == "auto":
                found = half.get(path) if name == "enabled" else _AUTOMATIC.get(name)
                if found is None:
                    del block[name]
                else:
                    block[name] = found
                notes.append(f"{place} {'left out' if found is None else json.dumps(found)}")

    fill(result, "")
    return result, notes


def build_engine(
    deepspeed: Any, torch: Any, model: Any, given: argparse.Namespace, on_cpu: bool
) -> tuple[Any, list[str]]:
    """DeepSpeed's engine as a user's script makes it: from C(--deepspeed_config), the file itself.

    A file for Hugging Face's Trainer is not complete. What the Trainer adds is added here: values, and an optimizer.
    """
    config = json.loads(Path(given.deepspeed_config).read_text(encoding="utf-8"))
    complete, notes = resolved(config, on_cpu, bf16=not on_cpu and bool(torch.cuda.is_bf16_supported()))
    arguments: dict[str, Any] = {"model": model, "model_parameters": model.parameters()}
    if "optimizer" not in config:
        offload = (config.get("zero_optimization") or {}).get("offload_optimizer") or {}
        if offload.get("device", "none") == "none":
            arguments["optimizer"] = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
        else:
            from deepspeed.ops.adam import DeepSpeedCPUAdam  # noqa: PLC0415

            arguments["optimizer"] = DeepSpeedCPUAdam(model.parameters(), lr=LEARNING_RATE)
        notes.append(f"optimizer {type(arguments['optimizer']).__name__}")
    if complete != config:
        return deepspeed.initialize(config=complete, **arguments)[0], notes
    return deepspeed.initialize(args=given, **arguments)[0], notes


def parameter_type(engine: Any) -> Any:
    """The number format of the parameters, as torch's type."""
    return next(engine.module.parameters()).dtype


def describe_engine(engine: Any) -> dict[str, Any]:
    """What the engine trains with: the class of its optimizer, the type of its parameters, its ZeRO stage."""
    optimizer = getattr(engine, "basic_optimizer", None) or engine.optimizer
    kind = str(parameter_type(engine)).rpartition(".")[2]
    return {
        "optimizer": type(optimizer).__name__,
        "precision": {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(kind, kind),
        "zero_stage": int(engine.zero_optimization_stage()),
        "micro_batch": int(engine.train_micro_batch_size_per_gpu()),
        "accumulation_steps": int(engine.gradient_accumulation_steps()),
    }


def losses_of(torch: Any, engine: Any, device: Any, steps: int, world: int) -> Iterator[float]:
    """Train on the same samples until so many steps have changed the weights; the mean loss of all ranks each time."""
    import torch.distributed as dist  # noqa: PLC0415

    generator = torch.Generator().manual_seed(100 + RANK)
    samples = torch.randn(16, 16, generator=generator)
    wanted = (samples @ torch.linspace(-1, 1, 16).unsqueeze(1)).to(device)
    samples = samples.to(device, parameter_type(engine))
    for _attempt in range(steps + SPARE_STEPS):
        for group in engine.optimizer.param_groups:
            group["lr"] = LEARNING_RATE
        for _micro_step in range(engine.gradient_accumulation_steps()):
            loss = torch.nn.functional.mse_loss(engine(samples).float(), wanted)
            engine.backward(loss)
            engine.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        yield mean.item() / world
        if engine.global_steps - engine.skipped_steps >= steps:
            return


def train(given: argparse.Namespace) -> None:
    """Join the other ranks, reduce, train, and report what comes out."""
    # Imported late: a rank reports that it has started before it loads what may be missing or hang.
    import torch  # noqa: PLC0415

    local_rank = int(os.environ["LOCAL_RANK"])
    seen = look_at_torch(torch, wants_gpu=given.accelerator != "cpu")

    import deepspeed  # noqa: PLC0415
    import torch.distributed as dist  # noqa: PLC0415

    accelerator = deepspeed.get_accelerator()
    seen.update(look_at_device(accelerator, bool(seen["hip"]), local_rank, seen["devices"]))
    report("imported", deepspeed=str(deepspeed.__version__), **seen)
    on_cpu = seen["accelerator"] == "cpu"
    if not fits(given.accelerator, seen["accelerator"]) or not (on_cpu or local_rank < seen["devices"]):
        time.sleep(REFUSAL_PAUSE)
        sys.exit(3)
    if not on_cpu:
        accelerator.set_device(local_rank)
    device = torch.device("cpu" if on_cpu else accelerator.current_device_name())

    with watched_ops():
        # On CPUs DeepSpeed itself takes ccl where oneCCL is installed, which few machines have.
        backend = "gloo" if on_cpu else accelerator.communication_backend_name()
        deepspeed.init_distributed(dist_backend=backend, timeout=datetime.timedelta(seconds=given.timeout))
        world = dist.get_world_size()
        report("joined", world=world, backend=str(dist.get_backend()))

        total = torch.tensor([float(RANK + 1)], device=device)
        dist.all_reduce(total)
        report("reduced", total=total.item(), expected=world * (world + 1) / 2)

        # The same seed makes the same model on every rank; each then learns from samples of its own.
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
        engine, notes = build_engine(deepspeed, torch, model, given, on_cpu)
        report("prepared", notes=notes[:12], **describe_engine(engine))

        losses = list(losses_of(torch, engine, device, given.steps, world))
    report(
        "trained", first=losses[0], last=losses[-1], steps=int(engine.global_steps), skipped=int(engine.skipped_steps)
    )
    dist.barrier()


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local_rank", type=int, default=0, help="given by the launcher")
    parser.add_argument("--deepspeed", action="store_true", help="as users' scripts have it")
    parser.add_argument("--deepspeed_config", required=True, help="DeepSpeed's configuration")
    parser.add_argument("--accelerator", choices=["auto", "cuda", "rocm", "cpu"], default="auto", help="what is meant")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--timeout", type=int, default=300, help="seconds after which a rank that waits gives up")
    given = parser.parse_args()
    # Launchers say it in one way or the other, and DeepSpeed refuses where the two differ.
    given.local_rank = int(os.environ.setdefault("LOCAL_RANK", str(given.local_rank)))
    report("started", locks=stale_locks(minutes=10))
    try:
        train(given)
    except Exception as error:
        report("failed", error=brief(error))
        raise
    sys.stdout.flush()
    # Threads of the backend may abort the process on its way out, after all is done.
    os._exit(0)


if __name__ == "__main__":
    main()
