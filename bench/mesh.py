"""`python -m bench.mesh [--nodes N ...]`: what a mesh of N nodes costs, against the floor and the usual way.

Every command runs from no open connection to its end. Two rows for each N: its wall time, and the processor time that
it took here and on the targets, which other work on this machine does not change. Seconds, both.

- pdsh: `pdsh true` on N nodes, the floor of anything that has to open N connections
- ssh: plain `ssh true` to N nodes, 32 at a time
- ping: `ansible -m ping` on N nodes, the floor of one module on each
- mesh: a playbook with the role ssh_mesh on nodes that nothing has touched
- again: the same playbook once more
- pairs: keys, authorized keys and known hosts for each pair of nodes by looping over modules on each node
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.targets import USER, Targets, targets
from sandbox.shell import ROOT, SandboxError, run

PLAYBOOKS = Path(__file__).parent / "mesh_playbooks"
FANOUT = 32
HEAD = ("nodes", "time", "pdsh", "ssh", "ping", "mesh", "again", "pairs", "mesh/pdsh", "mesh/ping", "pairs/mesh")


def main() -> None:
    """Measure each number of nodes in turn, with nothing else running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--pairs-up-to", type=int, default=25, metavar="N", help="the usual way takes minutes (25)")
    given = parser.parse_args()
    with targets(max(given.nodes)) as found:
        print("  ".join(f"{title:>10}" for title in HEAD), flush=True)
        for count in given.nodes:
            for cells in measure(found, count, given.pairs_up_to):
                print("  ".join(f"{cell:>10}" for cell in cells), flush=True)


def measure(found: Targets, count: int, pairs_up_to: int) -> list[list[str]]:
    """The rows for one number of nodes."""
    addresses = list(found.addresses.values())[:count]
    costs = {
        "pdsh": cost(found, lambda: fan_out(found, addresses)) if shutil.which("pdsh") else None,
        "ssh": cost(found, lambda: plain(found, addresses)),
        "ping": cost(
            found, lambda: ansible("ansible", found, count, "nodes", "--become", "-m", "ansible.builtin.ping")
        ),
    }
    pairs = None
    if count <= pairs_up_to:
        found.reset(count)
        pairs = cost(found, lambda: play("pairs.yml", found, count))
        check(found, count)
    found.reset(count)
    costs["mesh"] = cost(found, lambda: play("mesh.yml", found, count))
    check(found, count)
    costs["again"] = cost(found, lambda: play("mesh.yml", found, count))
    costs["pairs"] = pairs
    return [
        row(count, kind, {name: value[kind] if value else None for name, value in costs.items()})
        for kind in ("wall", "cpu")
    ]


def row(count: int, kind: str, costs: Mapping[str, float | None]) -> list[str]:
    """The cells of one row: seconds, and the ratios that have targets."""
    ratios = (("mesh", "pdsh"), ("mesh", "ping"), ("pairs", "mesh"))
    found = [(costs[above], costs[below]) for above, below in ratios]
    return [
        str(count),
        kind,
        *(f"{value:.1f}" if value else "-" for value in costs.values()),
        *(f"{above / below:.1f}" if above and below else "-" for above, below in found),
    ]


def cost(found: Targets, work: Callable[[], object]) -> dict[str, float]:
    """The wall time of some work, and its processor time here and on the targets."""
    before, began = found.cpu() + own_cpu(), time.monotonic()
    work()
    return {"wall": time.monotonic() - began, "cpu": found.cpu() + own_cpu() - before}


def own_cpu() -> float:
    """The processor time of what this program ran and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fan_out(found: Targets, addresses: Sequence[str]) -> None:
    """One command on all nodes by pdsh, with its own defaults."""
    environment = {**os.environ, "PDSH_SSH_ARGS_APPEND": " ".join(["-q", *found.options])}
    run(["pdsh", "-S", "-R", "ssh", "-l", USER, "-w", ",".join(addresses), "true"], env=environment)


def plain(found: Targets, addresses: Sequence[str]) -> None:
    """One command on all nodes by ssh alone."""
    with ThreadPoolExecutor(FANOUT) as pool:
        list(pool.map(lambda address: run(["ssh", *found.options, f"{USER}@{address}", "true"]), addresses))


def play(playbook: str, found: Targets, count: int) -> None:
    """Run a playbook as a user does from a clone."""
    ansible("ansible-playbook", found, count, str(PLAYBOOKS / playbook))


def ansible(program: str, found: Targets, count: int, *arguments: str) -> None:
    """Run a program of Ansible on connections of its own."""
    inventory = found.inventory(count)
    control = found.folder / "control"
    control.mkdir(exist_ok=True)
    environment = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control)}
    try:
        done = subprocess.run(
            [program, "-i", str(inventory), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SandboxError(
                f"{program} {arguments[-1]} failed on {count} targets:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
            )
    finally:
        for socket in control.iterdir():
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "-"], capture_output=True, check=False)


def check(found: Targets, count: int) -> None:
    """The last node reaches the first and itself by name or address, or the row would say nothing."""
    first, last = (list(found.addresses.values())[at] for at in (0, count - 1))
    for target in (first, last):
        run(["ssh", *found.options, f"{USER}@{last}", f"ssh -o BatchMode=yes {target} true"])


if __name__ == "__main__":
    main()
