"""What all ranks do together: agree, save and resume, end. Every rank has to call each of these functions."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist


class Problem(Exception):
    """What the user can correct, as a sentence."""


def leave(code: int) -> None:
    """End with the other ranks. The threads of gloo can abort a Python that ends in the usual way."""
    dist.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def agree(value: Any = None, problem: str = "") -> list[Any]:
    """The values of all ranks, in their order. If one of them has a problem, all leave, so that none waits."""
    answers: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(answers, (value, problem, socket.gethostname()))
    problems = sorted({problem for _value, problem, _node in answers if problem})
    for one in problems if dist.get_rank() == 0 else ():
        nodes = sorted({node for _value, problem, node in answers if problem == one})
        everywhere = all(problem == one for _value, problem, _node in answers)
        print(one if everywhere else f"{', '.join(nodes)}: {one}", file=sys.stderr)
    if problems:
        leave(2)
    return [value for value, _problem, _node in answers]


def is_shared(folder: Path) -> bool:
    """Whether all nodes see one folder, or each of them has its own."""
    probe = folder / f".probe-{agree(os.getpid())[0]}"
    if dist.get_rank() == 0:
        probe.touch()
    dist.barrier()
    shared = all(agree(probe.exists()))
    if dist.get_rank() == 0:
        probe.unlink()
    return shared


def newest(folder: Path) -> str:
    """The newest checkpoint that all nodes have: if a run was killed between two of them, the older one."""
    latest = folder / "latest"
    if latest.is_file():
        tags = agree(latest.read_text().strip())
    else:
        tags = agree(problem=f"--resume: there is no checkpoint in {folder}.")
    return min(tags, key=lambda tag: int("".join(filter(str.isdigit, tag)) or 0))


def save(engine: Any, folder: Path) -> None:
    """All ranks save their part. DeepSpeed names the newest one on the first node only; each node needs to know."""
    tag = f"step{engine.global_steps}"
    engine.save_checkpoint(str(folder), tag=tag)
    if engine.local_rank == 0:
        (folder / "latest").write_text(tag)
    dist.barrier()
