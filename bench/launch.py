"""`python -m bench.launch [--nodes N ...]`: what ds-launch costs against plain deepspeed, its look, and its --sync.

Prints, for each number of nodes with one slot each, seconds: from the command to the first step that changes weights,
by plain deepspeed over pdsh and by ds-launch; a launch that the look refuses; rsync of a folder of 1,000 small files to
one node; ds-launch --sync of it to all nodes, the first time and again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sandbox import engine, image, nodes, offers, prepared, typed
from sandbox.shell import SandboxError, run

NAME = "bench-launch"
EXTRA = ["--extra-vars", '{"cluster_accelerator": "cpu", "hostfile_cpu_slots": 1}']
CONFIG = "--deepspeed --deepspeed_config /opt/fromzero/etc/ds_config.json"
SCRIPT = """\
import argparse, time
import deepspeed, torch
parser = deepspeed.add_config_arguments(argparse.ArgumentParser())
parser.add_argument("--local_rank", type=int)
deepspeed.init_distributed("gloo")
model = torch.nn.Linear(8, 1)
engine = deepspeed.initialize(args=parser.parse_args(), model=model, model_parameters=model.parameters())[0]
engine.backward(engine(torch.ones(1, 8)).sum())
engine.step()
print("FIRST", time.time(), flush=True)
"""
PREPARE = f"""
mkdir -p ~/job ~/many && cd ~/job && cat > train.py <<'END'
{SCRIPT}END
for number in $(seq 1000); do echo "$number" > ~/many/$number; done
ds-launch --sync
"""
BEGIN = "cd ~/job; echo BEGAN $(date +%s.%N)"
PLAIN = "PATH=/opt/fromzero/envs/train/bin:$PATH DS_ACCELERATOR=cpu deepspeed --hostfile /job/hostfile"
ROUNDS = 3


def main() -> None:
    """Measure each number of nodes in turn, with nothing else running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4, 8])
    columns = ("nodes", "deepspeed", "ds-launch", "ratio", "refused", "rsync", "sync", "again")
    print(" ".join(f"{column:>9}" for column in columns))
    for count in parser.parse_args().nodes:
        print(" ".join(f"{value:>9}" for value in measure(count)), flush=True)


def measure(count: int) -> Sequence[str]:
    """One row of the table; the cluster is removed afterwards."""
    engine.ensure()
    cluster = offers.wheels(offers.conda(nodes.Cluster(NAME, count, image.ensure())))
    cluster = replace(cluster, image=prepared.ensure("stack"))
    try:
        inventory = nodes.up(cluster)
        run(["ansible-playbook", "site.yml", "-i", str(inventory), *EXTRA])
        return measured(inventory, count)
    finally:
        nodes.down(NAME)


def measured(inventory: Path, count: int) -> Sequence[str]:
    """The values of a row; each launch is the best of some rounds, the first of which compiles and warms up."""
    last = f"node{count}"
    type_(inventory, PREPARE)
    address = type_(inventory, "awk '{print $2; exit}' /opt/fromzero/etc/addresses").split()[-1]
    plain = min(first_step(inventory, f"{PLAIN} --master_addr {address} train.py {CONFIG}") for _round in range(ROUNDS))
    ours = min(first_step(inventory, f"ds-launch train.py {CONFIG}") for _round in range(ROUNDS))
    refused = seconds(inventory, f"ssh {last} mv job/train.py job/away", "! ds-launch train.py 2>/dev/null")
    rsync = seconds(inventory, f"ssh {last} mkdir -p one", f"rsync -a ~/many/ {last}:one/")
    sync = seconds(inventory, "true", "ds-launch --sync ~/many")
    again = seconds(inventory, "true", "ds-launch --sync ~/many")
    return [
        str(count),
        *(f"{value:.1f}" for value in (plain, ours)),
        f"{ours / plain:.2f}",
        *(f"{value:.1f}" for value in (refused, rsync, sync, again)),
    ]


def type_(inventory: Path, script: str) -> str:
    """Type commands on the head and return what they print.

    :raises SandboxError: one of them fails.
    """
    command = typed.command(inventory, f"set -e\n{script}")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SandboxError(f"On the head, exit code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def first_step(inventory: Path, command: str) -> float:
    """Seconds from a command to the last rank's first step; all nodes share this machine's clock."""
    said = type_(inventory, f"{BEGIN}\n{command} 2>&1")
    [began] = re.findall(r"BEGAN ([\d.]+)", said)
    return max(map(float, re.findall(r"FIRST ([\d.]+)", said))) - float(began)


def seconds(inventory: Path, prepare: str, command: str) -> float:
    """Seconds that a command takes on the head."""
    said = type_(inventory, f"{prepare}\n{BEGIN}\n{command}\necho ENDED $(date +%s.%N)")
    [(began, ended)] = re.findall(r"BEGAN ([\d.]+)[\s\S]*ENDED ([\d.]+)", said)
    return float(ended) - float(began)


if __name__ == "__main__":
    main()
