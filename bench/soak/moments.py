"""What a run did and when, and the choice of a random moment in the next one."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A task that is over sooner did nothing on the node: it was skipped, or Ansible itself answered.
SHORTEST = 0.1
CONTROL = "localhost"


@dataclass(frozen=True)
class Execution:
    """A task on a host, in one run.

    :param occurrence: how many tasks of this name the host has had before.
    :param seconds: how long it took; null while it runs.
    """

    host: str
    task: str
    occurrence: int
    began: float
    seconds: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the same execution in another run."""
        return (self.host, self.task, self.occurrence)


@dataclass(frozen=True)
class Moment:
    """When to strike: so many seconds after an execution has begun."""

    execution: Execution
    delay: float


def executions(lines: Iterable[str]) -> list[Execution]:
    """What the callback wrote, put together; tasks of the control node are left out."""
    found: list[Execution] = []
    seen: Counter[tuple[str, str]] = Counter()
    running: dict[tuple[str, str], int] = {}
    for line in lines:
        event = json.loads(line)
        host, task = event["host"], event["task"]
        if event["control"] or host == CONTROL:
            continue
        if event["event"] == "start":
            running[host, task] = len(found)
            found.append(Execution(host, task, seen[host, task], event["at"]))
            seen[host, task] += 1
        elif (host, task) in running:
            number = running.pop((host, task))
            begun = found[number]
            found[number] = Execution(host, task, begun.occurrence, begun.began, event["at"] - begun.began)
    return found


def choose(learned: Sequence[Execution], node: str, rng: random.Random) -> Moment:
    """A task that works on a node, each as likely as any other, and a moment while it runs.

    :raises ValueError: none does.
    """
    there = [one for one in learned if one.host == node and (one.seconds or 0) >= SHORTEST]
    if not there:
        raise ValueError(f"No task of the run that was learned works on {node}.")
    execution = rng.choice(there)
    return Moment(execution, rng.uniform(0, execution.seconds or 0))


def running(found: Sequence[Execution], node: str, at: float) -> str:
    """The task that a node was at, or the last one before; empty where it had none yet."""
    begun = [one for one in found if one.host == node and one.began <= at]
    if not begun:
        return ""
    last = begun[-1]
    over = last.seconds is not None and last.began + last.seconds < at
    return f"after: {last.task}" if over else last.task
