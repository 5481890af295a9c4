"""Train a GPT on a text file with DeepSpeed, on one node or on many.

    ds-launch --sync train_gpt.py --deepspeed_config /opt/fromzero/etc/ds_config.json

Precision, optimizer, ZeRO stage, micro batch and gradient accumulation are those of the DeepSpeed configuration.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.accelerator import get_accelerator
from gpt import GPT, HEAD, SIZES
from ranks import Problem, agree, is_shared, leave, newest, save


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a GPT on a text file with DeepSpeed.")
    parser.add_argument("--text", type=Path, default=Path(__file__).with_name("text.txt"), help="the file to learn")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--layers", type=int, help="instead of those of --size")
    parser.add_argument("--width", type=int, help=f"instead of that of --size; a multiple of {HEAD}")
    parser.add_argument("--block", type=int, help="length of a sample in bytes (with --model: tokens)")
    parser.add_argument("--model", help="a causal language model of Hugging Face: a folder, or a name on the hub")
    parser.add_argument("--steps", type=int, default=60, help="train up to this step, counted over all runs")
    parser.add_argument("--lr", type=float, help="learning rate, instead of that of the DeepSpeed configuration")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log_every", type=int, default=10, metavar="N")
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="shared, or on the disk of each node")
    parser.add_argument("--save_every", type=int, default=0, metavar="N", help="steps; the last one is always saved")
    parser.add_argument("--resume", action="store_true", help="continue from the newest step in --checkpoint")
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)  # DeepSpeed's launcher adds it
    options = deepspeed.add_config_arguments(parser).parse_args()
    defaults = SIZES[options.size]
    options.layers, options.width = options.layers or defaults[0], options.width or defaults[1]
    options.block = options.block or defaults[2]
    return options


def read_config(options: argparse.Namespace) -> dict[str, Any]:
    """The DeepSpeed configuration. Values that it leaves "auto", as Hugging Face's Trainer likes, get their default."""

    def plain(value: Any) -> Any:
        return {k: plain(v) for k, v in value.items() if v != "auto"} if isinstance(value, dict) else value

    try:
        config = plain(json.loads(Path(options.deepspeed_config or "").read_text()))
    except (OSError, ValueError) as error:
        raise Problem(f"--deepspeed_config needs a JSON file of DeepSpeed, not {options.deepspeed_config}.") from error
    config.setdefault("train_micro_batch_size_per_gpu", 1)
    config.setdefault("optimizer", {"type": "AdamW", "params": {"torch_adam": True}})
    if options.lr is not None:
        config["optimizer"].setdefault("params", {})["lr"] = options.lr
    return config


def read_text(options: argparse.Namespace) -> tuple[torch.Tensor, torch.nn.Module | None]:
    """The text as numbers; with --model also the model that reads such numbers."""
    path, model = options.text, None
    if not path.is_file() or not path.stat().st_size:
        raise Problem(f"There is no text in {path}.")
    if options.width % HEAD:
        raise Problem(f"--width {options.width} is not a multiple of {HEAD}.")
    if options.model:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

            model = AutoModelForCausalLM.from_pretrained(options.model).float()  # DeepSpeed sets the precision
            tokens = torch.tensor(AutoTokenizer.from_pretrained(options.model).encode(path.read_text("utf-8")))
        except ImportError as error:
            raise Problem(f"--model needs transformers in the training environment ({error}).") from error
        except (OSError, ValueError) as error:
            raise Problem(f"--model {options.model} cannot be loaded: {str(error).splitlines()[0]}") from error
    else:  # mapped, not read: a file of many gigabytes takes no memory
        tokens = torch.from_file(str(path), size=path.stat().st_size, dtype=torch.uint8)
    if len(tokens) < options.block:
        raise Problem(f"{path} has {len(tokens)} tokens, too few for one sample of {options.block} (--block).")
    return tokens, model


@functools.lru_cache(maxsize=2)
def order(epoch: int, blocks: int, seed: int) -> torch.Tensor:
    return torch.randperm(blocks, generator=torch.Generator().manual_seed(seed + epoch))


def samples(tokens: torch.Tensor, block: int, first: int, count: int, seed: int) -> torch.Tensor:
    """The samples numbered first, first + 1, ...: each block of the text comes once in an epoch."""
    blocks = len(tokens) // block
    starts = [int(order(n // blocks, blocks, seed)[n % blocks]) * block for n in range(first, first + count)]
    return torch.stack([tokens[start : start + block] for start in starts]).long()


def short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.3g}"


def train(engine: Any, tokens: torch.Tensor, options: argparse.Namespace) -> str:
    """Train up to --steps and say what came of it."""
    rank, ranks, first = dist.get_rank(), dist.get_world_size(), engine.global_steps + 1
    micro, parts = engine.train_micro_batch_size_per_gpu(), engine.gradient_accumulation_steps()
    losses, total, logged = [], torch.zeros((), device=engine.device), engine.global_steps
    speed, timed, mark = 0.0, [], time.perf_counter()
    while engine.global_steps < options.steps:
        seen = engine.global_samples  # by all ranks in all runs: DeepSpeed keeps it in the checkpoint
        for part in range(parts):
            start = seen + (part * ranks + rank) * micro  # each rank has samples of its own
            batch = samples(tokens, options.block, start, micro, options.seed).to(engine.device)
            output = engine(input_ids=batch, labels=batch)
            loss = getattr(output, "loss", output)
            engine.backward(loss)
            engine.step()  # changes the weights after the last part
            total += loss.detach().float()
        step = engine.global_steps
        last = step == options.steps
        saving = options.checkpoint and (last or (options.save_every and step % options.save_every == 0))
        if not (saving or last or step == first or step % options.log_every == 0):
            continue
        dist.all_reduce(total)
        losses.append(total.item() / (step - logged) / parts / ranks)
        timed.append(((step - logged) * engine.train_batch_size(), time.perf_counter() - mark))
        speed = timed[-1][0] / timed[-1][1]
        if rank == 0:
            rates = f"{short(speed)} samples/s, {short(speed * options.block)} tokens/s"
            print(f"step {step}/{options.steps}: loss {losses[-1]:.2f}, {rates}", flush=True)
        if saving:
            save(engine, options.checkpoint)
        total, logged, mark = torch.zeros_like(total), step, time.perf_counter()
    counted = timed[1:] or timed  # without the first step, which also prepares memory and kernels
    speed = sum(count for count, _seconds in counted) / sum(seconds for _count, seconds in counted)
    memory = get_accelerator().max_memory_allocated()
    if get_accelerator().device_name() == "cpu":
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rates = f"{short(speed)} samples/s, {short(speed * options.block)} tokens/s"
    return f"loss {losses[0]:.2f} -> {losses[-1]:.2f}, {rates}, {max(agree(memory)) / 2**30:.1f} GiB per rank."


def main() -> None:
    options = read_options()
    deepspeed.init_distributed()
    local_rank, rank = int(os.environ["LOCAL_RANK"]), dist.get_rank()
    get_accelerator().set_device(local_rank)
    torch.manual_seed(options.seed)
    config, tokens, model, problem = {}, torch.empty(0), None, ""
    try:
        config = read_config(options)
        tokens, model = read_text(options)
        if options.checkpoint:
            options.checkpoint.mkdir(parents=True, exist_ok=True)
        elif options.resume:
            problem = "--resume needs --checkpoint FOLDER."
    except (Problem, OSError) as error:
        problem = str(error)
    nodes = sum(local == 0 for local in agree(local_rank, problem))
    if options.checkpoint:
        local = not is_shared(options.checkpoint)
        config.setdefault("checkpoint", {}).setdefault("use_node_local_storage", local)
    tag = newest(options.checkpoint) if options.resume else None
    if model is None:
        sharded = config.get("zero_optimization", {}).get("stage") == 3
        with deepspeed.zero.Init(config_dict_or_path=config, enabled=sharded):
            model = GPT(options.layers, options.width, options.block)
    engine, *_others = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=config)
    if tag:
        engine.load_checkpoint(str(options.checkpoint), tag=tag)
    begun = engine.global_steps
    if begun >= options.steps:
        agree(problem=f"Step {begun} is reached already; ask for more with --steps.")
    torch.manual_seed(options.seed + rank + begun)  # for dropout, if the model has any
    result = train(engine, tokens, options)
    if rank == 0:
        run = f"Trained {options.steps - begun} steps" + (f" after step {begun}" if begun else "")
        print(f"{run} on {dist.get_world_size()} ranks of {nodes} nodes: {result}")
    leave(0)


if __name__ == "__main__":
    main()
