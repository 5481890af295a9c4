"""`python -m bench.soak [--times N]`: faults at random moments of an operation, and what is found after the next run.

Kinds of faults: the run on the control node is killed (run), or all processes of Ansible on a node (processes); the
node loses its power (node); its packets are dropped (drop); it stands still for longer than Ansible waits (pause); its
disk is full (full) or read-only (readonly). Operations: the whole site, an upgrade of DeepSpeed, a rotation of the ssh
keys, the build of a wheel. After each fault the same run must pass, the next one must change nothing, the cluster must
be proved, and nothing may lie there that an undisturbed run does not leave.

Prints a line for each trial: the moment, operation, fault, node, task, seconds to converge, and what was found. Trials
are added to a file, so that a soak can go on another day; `--table` prints what that file holds.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bench.soak import results
from bench.soak.faults import FAULTS
from bench.soak.operations import OPERATIONS, older_wheel
from bench.soak.residue import counts
from bench.soak.trial import Soak
from bench.soak.world import World, up
from sandbox import image, nodes, wheelhouse
from sandbox.shell import BUILD, ROOT, SandboxError, say

# So often may a fault come too late in a row before the tool gives up.
MISSES = 5


def listed(known: list[str]) -> object:
    """The type of an option that takes some names of a list, with commas between them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return parse


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--times", type=int, default=1, metavar="N", help="trials of each kind and operation (1)")
    made.add_argument("--kinds", type=listed([*FAULTS]), default=[*FAULTS], metavar="KIND,...")  # type: ignore[arg-type]
    made.add_argument(
        "--operations",
        type=listed([*OPERATIONS]),  # type: ignore[arg-type]
        default=[*OPERATIONS],
        metavar="OPERATION,...",
    )
    made.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the first trial; others follow")
    made.add_argument("--cluster", default="soak", metavar="NAME", help="the cluster, which stays for the next time")
    made.add_argument("--results", type=Path, default=ROOT / ".cache" / "soak" / "results.jsonl", metavar="FILE")
    made.add_argument("--down", action="store_true", help="remove the cluster at the end")
    made.add_argument("--table", action="store_true", help="print the table of all results, and try nothing")
    return made


def main() -> int:
    """Run the trials; the exit code is 1 where something does not hold."""
    given = parser().parse_args()
    if given.table:
        trials = results.read(given.results)
        print(results.table([replace(one, found=[line for line in one.found if counts(line)]) for one in trials]))
        return 0
    # A fault is healed before the tool ends.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        return 1 if sum(not trial.holds for trial in soak(given)) else 0
    except SandboxError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    finally:
        if given.down:
            nodes.down(given.cluster)


def soak(given: argparse.Namespace) -> list[results.Trial]:
    """All trials that were asked for, operation by operation, the kinds in turn."""
    world = start(given)
    done: list[results.Trial] = []
    seed = given.seed
    say(f"The first seed is {seed}.")
    for operation in given.operations:
        one = Soak(world, OPERATIONS[operation])
        one.learn()
        for kind in given.kinds * given.times:
            trial, seed = attempt(one, kind, seed)
            results.append(given.results, trial)
            say(str(trial))
            done.append(trial)
        world.restore()
    return done


def attempt(one: Soak, kind: str, seed: int) -> tuple[results.Trial, int]:
    """A trial that was not too late, and the next seed. What keeps the tool itself from a trial counts as too late.

    :raises SandboxError: there is none.
    """
    for _miss in range(MISSES):
        seed += 1
        try:
            trial = one.trial(FAULTS[kind], seed - 1)
        except SandboxError as error:
            say(f"No trial of seed {seed - 1}: {error}")
            continue
        if trial:
            return trial, seed
    raise SandboxError(
        f"{one.operation.name} was over before '{kind}', or could not be tried, {MISSES} times in a row."
    )


def start(given: argparse.Namespace) -> World:
    """The cluster, with an environment where an operation needs that."""
    whole = any(OPERATIONS[name].whole for name in given.operations)
    folder = ROOT / ".cache" / "soak" / given.cluster
    if not whole:
        return up(given.cluster, folder, whole)
    house = wheelhouse.build(BUILD / "wheelhouse", image.ensure())
    [newest] = house.glob("deepspeed-*.whl")
    return up(given.cluster, folder, whole, [older_wheel(BUILD / "older", newest)])


if __name__ == "__main__":
    sys.exit(main())
