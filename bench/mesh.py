"""`python -m bench.mesh [--nodes N ...]`: what a mesh of N nodes costs, against the floor and the usual way.

Every number is the wall time in seconds of one whole command, from no open connection to its end:

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
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.targets import USER, Targets, targets
from sandbox.shell import ROOT, SandboxError, run

PLAYBOOKS = Path(__file__).parent / "mesh_playbooks"
FANOUT = 32
HEAD = ("nodes", "pdsh s", "ssh s", "ping s", "mesh s", "again s", "pairs s", "mesh/pdsh", "mesh/ping", "pairs/mesh")


def main() -> None:
    """Measure each number of nodes in turn, with nothing else running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--pairs-up-to", type=int, default=25, metavar="N", help="the usual way takes minutes (25)")
    given = parser.parse_args()
    with targets(max(given.nodes)) as found:
        print("  ".join(f"{title:>10}" for title in HEAD), flush=True)
        for count in given.nodes:
            print("  ".join(f"{cell:>10}" for cell in measure(found, count, given.pairs_up_to)), flush=True)


def measure(found: Targets, count: int, pairs_up_to: int) -> list[str]:
    """One row of the table."""
    addresses = list(found.addresses.values())[:count]
    pdsh = seconds(lambda: fan_out(found, addresses)) if shutil.which("pdsh") else None
    ssh = seconds(lambda: plain(found, addresses))
    ping = seconds(lambda: ansible("ansible", found, count, "nodes", "--become", "-m", "ansible.builtin.ping"))
    pairs = None
    if count <= pairs_up_to:
        found.reset(count)
        pairs = seconds(lambda: play("pairs.yml", found, count))
        check(found, count)
    found.reset(count)
    mesh = seconds(lambda: play("mesh.yml", found, count))
    check(found, count)
    again = seconds(lambda: play("mesh.yml", found, count))
    cells = [f"{value:.1f}" if value else "-" for value in (pdsh, ssh, ping, mesh, again, pairs)]
    return [
        str(count),
        *cells,
        f"{mesh / pdsh:.1f}" if pdsh else "-",
        f"{mesh / ping:.1f}",
        f"{pairs / mesh:.1f}" if pairs else "-",
    ]


def seconds(work: Callable[[], object]) -> float:
    """The wall time of some work."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


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
