# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A few ZeRO training steps on every slot of a cluster, and an all-reduce whose sum is known.

DeepSpeed's launcher starts it once for each slot. Each rank tells how far it came as one line of JSON behind a mark,
so that a run that hangs can be explained by the ranks that did not come as far as the others.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import socket
import sys
import time
from pathlib import Path

MARK = "FROMZERO_VERIFY"
RANK = int(os.environ.get("RANK", "0"))


def tell(stage: str, **details: object) -> None:
    """Write one line in one call: the ranks of a node share a pipe, and print() may be cut in two."""
    said = {"stage": stage, "rank": RANK, "host": socket.gethostname(), **details}
    sys.stdout.flush()
    os.write(1, f"{MARK} {json.dumps(said)}\n".encode())


def stale_locks(minutes: float) -> list[str]:
    """Locks that a killed build of an op left behind: every later build would wait for them without a word."""
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or Path.home() / ".cache" / "torch_extensions")
    old = time.time() - minutes * 60
    return [str(lock) for lock in folder.glob("**/lock") if lock.stat().st_mtime < old]


def train(steps: int, zero_stage: int, timeout: int) -> None:
    """Join the other ranks, reduce, train, and tell what came out."""
    # Imported late: a rank tells that it started before it loads what may be missing or hang.
    import deepspeed  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import torch.distributed as dist  # noqa: PLC0415

    accelerator = deepspeed.get_accelerator()
    on_cpu = accelerator.device_name() == "cpu"
    if not on_cpu:
        accelerator.set_device(int(os.environ["LOCAL_RANK"]))
    device = torch.device("cpu" if on_cpu else accelerator.current_device_name())
    # On CPUs DeepSpeed itself takes ccl where oneCCL is installed, which few machines have.
    backend = "gloo" if on_cpu else accelerator.communication_backend_name()
    tell("imported", torch=torch.__version__, deepspeed=deepspeed.__version__, backend=backend)
    deepspeed.init_distributed(dist_backend=backend, timeout=datetime.timedelta(seconds=timeout))
    world = dist.get_world_size()
    tell("joined", world=world)

    total = torch.tensor([float(RANK + 1)], device=device)
    dist.all_reduce(total)
    tell("reduced", total=total.item(), expected=world * (world + 1) / 2)

    # The same seed makes the same model on every rank; each then learns from samples of its own.
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    engine, *_rest = deepspeed.initialize(
        model=model,
        model_parameters=model.parameters(),
        config={
            "train_micro_batch_size_per_gpu": 16,
            # DeepSpeed's own Adam would be compiled here.
            "optimizer": {"type": "Adam", "params": {"lr": 1e-2, "torch_adam": True}},
            "zero_optimization": {"stage": zero_stage},
            "steps_per_print": 1_000_000,
        },
    )
    generator = torch.Generator().manual_seed(100 + RANK)
    weights = torch.linspace(-1, 1, 16).unsqueeze(1)
    losses = []
    for _step in range(steps):
        samples = torch.randn(16, 16, generator=generator)
        loss = torch.nn.functional.mse_loss(engine(samples.to(device)), (samples @ weights).to(device))
        engine.backward(loss)
        engine.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append(mean.item() / world)
    tell("trained", first=losses[0], last=losses[-1], steps=steps, zero_stage=zero_stage, world=world)
    dist.barrier()


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local_rank", type=int, default=0, help="given by the launcher")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--zero-stage", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=300, help="seconds after which a rank that waits gives up")
    given = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(given.local_rank))
    tell("started", locks=stale_locks(minutes=10))
    train(given.steps, given.zero_stage, given.timeout)
    sys.stdout.flush()
    # Threads of the backend may abort the process on its way out, after all is done.
    os._exit(0)


if __name__ == "__main__":
    main()
