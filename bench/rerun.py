"""`python -m bench.rerun [--nodes N ...]`: what a second run of the whole site costs, against tasks that do nothing.

Prints, for each number of nodes, the task executions per node (skipped ones counted), the seconds of the second run,
the seconds of a play of as many tasks that do nothing, and their ratio.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import engine, image, nodes, offers
from sandbox.shell import BUILD, ROOT, run

NAME = "bench-rerun"
EXTRA = ["--extra-vars", '{"cluster_accelerator": "cpu", "hostfile_cpu_slots": 2}']
_RECAP = re.compile(r"^(\S+)\s+: (ok=\d+.*)$", re.MULTILINE)
_COUNT = re.compile(r"(ok|skipped|rescued|ignored|changed)=(\d+)")


@dataclass(frozen=True)
class Run:
    """One run of ansible-playbook: its wall time in seconds, and what its recap counts for the first node."""

    seconds: float
    executions: int
    changed: int


def main() -> None:
    """Measure each number of nodes in turn, with nothing else running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4])
    print(f"{'nodes':>5} {'executions':>10} {'changed':>7} {'site s':>7} {'no-op s':>7} {'ratio':>6}")
    for count in parser.parse_args().nodes:
        row = measure(count)
        print(row, flush=True)


def measure(count: int) -> str:
    """One row of the table; the cluster is removed afterwards."""
    engine.ensure()
    cluster = offers.wheels(offers.conda(nodes.Cluster(NAME, count, image.ensure())))
    try:
        inventory = nodes.up(cluster)
        playbook(["site.yml", "-i", str(inventory), *EXTRA])
        again = playbook(["site.yml", "-i", str(inventory), *EXTRA])
        idle = playbook([str(write_idle(again.executions)), "-i", str(inventory)])
    finally:
        nodes.down(NAME)
    ratio = again.seconds / idle.seconds
    return (
        f"{count:>5} {again.executions:>10} {again.changed:>7} {again.seconds:>7.1f} {idle.seconds:>7.1f} {ratio:>6.2f}"
    )


def playbook(arguments: Sequence[str]) -> Run:
    """Run ansible-playbook as a user does from a clone and read its recap."""
    began = time.monotonic()
    output = run(["ansible-playbook", *arguments])
    seconds = time.monotonic() - began
    # The last node of the inventory: the head, which is the first, has tasks of its own.
    recap = [counts for host, counts in _RECAP.findall(output) if host != "localhost"][-1]
    counted = {name: int(number) for name, number in _COUNT.findall(recap)}
    return Run(seconds, counted["ok"] + counted["skipped"], counted["changed"])


def write_idle(executions: int) -> Path:
    """A play of as many tasks, each a module that does nothing; loops and blocks would hide the cost of a task."""
    task = "    - name: Do nothing\n      ansible.builtin.ping:\n"
    head = "---\n- name: Idle\n  hosts: nodes\n  gather_facts: false\n  become: true\n  tasks:\n"
    path = BUILD / "idle.yml"
    path.write_text(head + task * executions, encoding="utf-8")
    return path.relative_to(ROOT)


if __name__ == "__main__":
    main()
