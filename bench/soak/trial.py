"""One trial: strike, heal, run again twice, prove, and look for what is left."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.soak import residue
from bench.soak.faults import Fault
from bench.soak.moments import Execution, choose, running
from bench.soak.operations import SITE, VERIFY, Operation
from bench.soak.results import Trial
from bench.soak.runs import ANSIBLE_TEMPORARY, TEMPORARY, Command, Run, changed, tail
from bench.soak.world import World
from sandbox.shell import ROOT, SandboxError, say

# A module on a node that stood still goes on once the node does, for some seconds.
SETTLE = 5


@dataclass
class Soak:
    """An operation on a cluster, with what an undisturbed run of it does and leaves."""

    world: World
    operation: Operation
    learned: list[Execution] = field(default_factory=list)
    clean: dict[str, Counter[str]] = field(default_factory=dict)

    def play(self, command: Command, folder: Path, name: str) -> Run:
        """Begin a run whose output goes to a folder."""
        return Run(command, self.world.inventory, folder, name)

    def learn(self) -> None:
        """Run the operation twice without any fault.

        :raises SandboxError: it fails, or changes something the second time.
        """
        folder = fresh(self.world.folder / "learn")
        self.undisturbed(SITE if self.operation.whole else self.operation.settled, folder, "before")
        self.operation.prepare(self.world)
        self.world.save()
        self.operation.reset(self.world)
        self.learned = self.undisturbed(self.operation.command, folder, "run").executions
        found = self.settle(folder)
        if found:
            raise SandboxError(f"{self.operation.name} does not hold without any fault: {'; '.join(found)}")
        self.clean = residue.everywhere(self.world)
        seconds = sum(one.seconds or 0 for one in self.learned if one.host == self.world.names[0])
        say(f"{self.operation.name}: {len(self.learned)} executions, {seconds:.0f} s on {self.world.names[0]}")

    def undisturbed(self, command: Command, folder: Path, name: str) -> Run:
        """A run that passes.

        :raises SandboxError: it does not.
        """
        run = self.play(command, folder, name)
        if run.wait() != 0:
            raise SandboxError(f"{command.playbook.name} fails without any fault:\n" + "\n".join(tail(run.log)))
        return run

    def settle(self, folder: Path) -> list[str]:
        """What does not hold of nodes that have converged: a run changes something, or a proof fails."""
        again = self.play(self.operation.settled, folder, "again")
        code = again.wait()
        changes = {host: count for host, count in changed(again.log.read_text(encoding="utf-8")).items() if count}
        found = [f"the run after that ends with {code}"] if code else []
        found += [f"the run after that changes {count} on {host}" for host, count in changes.items()]
        if self.operation.verify:
            code = self.play(VERIFY, folder, "verify").wait()
            found += [f"verify ends with {code}"] if code else []
        return found + self.operation.prove(self.world)

    def trial(self, fault: Fault, seed: int) -> Trial | None:
        """One fault at a random moment; null where the run was over before it."""
        rng = random.Random(seed)
        folder = fresh(self.world.folder / f"trial-{self.operation.name}-{fault.name}-{seed}")
        self.world.restore()
        self.operation.reset(self.world)
        node = rng.choice(self.world.names)
        moment = choose(self.learned, node, rng)
        run = self.play(self.operation.command, folder, "run")
        if not run.reach(moment):
            run.wait()
            shutil.rmtree(folder)
            return None
        struck = time.time()
        detail, disturbed = self.disturb(fault, node, run, rng)
        task = running(run.executions, node, struck)
        found = [f"before the next run: {line}" for line in self.between()]
        command = rng.choice(self.operation.converge)
        began = time.monotonic()
        code = self.play(command, folder, "rerun").wait()
        seconds = time.monotonic() - began
        found += self.judge(code, folder)
        if not found:
            shutil.rmtree(folder)
        return Trial(
            at=time.strftime("%Y-%m-%dT%H:%M:%S"),
            commit=commit(),
            seed=seed,
            operation=self.operation.name,
            kind=fault.name,
            node=node,
            detail=" ".join([detail, *(["plain run"] if command is not self.operation.command else [])]).strip(),
            moment=round(struck - run.began, 1),
            task=task,
            disturbed=disturbed or 0,
            seconds=None if code else round(seconds, 1),
            found=found,
        )

    def between(self) -> list[str]:
        """What the fault alone has broken; what was interrupted by it may end first."""
        found = self.operation.between(self.world)
        if found:
            time.sleep(SETTLE)
            found = self.operation.between(self.world)
        return found

    def disturb(self, fault: Fault, node: str, run: Run, rng: random.Random) -> tuple[str, int | None]:
        """Let a fault happen and end; what it says of itself, and the exit code of the run."""
        try:
            detail = fault.strike(self.world, node, run, rng)
        except SandboxError:
            run.kill()
            raise
        try:
            run.wait(fault.hold(rng))
        except BaseException:
            run.kill()
            raise
        finally:
            fault.heal(self.world, node)
        return detail, run.wait()

    def judge(self, code: int | None, folder: Path) -> list[str]:
        """What does not hold after the run that had to converge ended with a code."""
        found = [f"the next run ends with {code}"] if code else []
        found += self.settle(folder)
        found += [f"left: {line}" for line in residue.differences(self.clean, residue.everywhere(self.world))]
        temporary = [self.world.folder / name for name in (ANSIBLE_TEMPORARY, TEMPORARY)]
        found += [f"{path} shows a private key" for path in residue.secrets([folder, *temporary])]
        for place in temporary:
            shutil.rmtree(place, ignore_errors=True)
        return found


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def commit() -> str:
    """The commit that is tried."""
    argv = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
