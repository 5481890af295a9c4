"""What can happen to a run, a node, its network and its disk; all but the first are undone before the next run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.soak.runs import PATIENCE, Run
from bench.soak.world import World

# The disk of a server as a whole: what is written to while a cluster is set up.
DISK = ("/etc", "/home", "/opt", "/tmp", "/var")
FILLER = ".soak-filler"
# All that Ansible has started: the sessions of sshd, and what has left them but belongs to the account.
_KILL = r"""
listener=$(cat /run/sshd.pid)
below() { for child in $(pgrep -P "$1"); do echo "$child"; below "$child"; done; }
kill -9 $(below "$listener") $(pgrep -u trainer) 2>/dev/null || true
"""
# The very mount has writers, so it cannot be made read-only: a second one above it can, with the files below /etc that
# Docker has mounted there.
_FIX = r"""
for folder in {folders}; do
  mount --rbind "$folder" "$folder"
  awk -v top="$folder" '$2 == top || index($2, top "/") == 1 {{ print $2 }}' /proc/mounts | sort -u |
  while read -r place; do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
  done
done
"""
_RELEASE = 'for folder in {folders}; do umount --lazy "$folder"; done'
# Some bytes are left, so that a write ends in the middle of a file.
_FILL = r"""
for folder in {folders}; do
  free=$(df --output=avail --block-size=1 "$folder" | tail -1)
  left={left}
  [ "$free" -gt "$left" ] && fallocate --length $((free - left)) "$folder/{filler}"
done
true
"""
_EMPTY = "for folder in {folders}; do rm -f $folder/{filler}; done"
# A bucket that is smaller than any packet drops them all; what the kernel has everywhere, unlike netem.
_DROP = "tc qdisc add dev eth0 root tbf rate 8bit burst 1 latency 1ms"
_PASS = "tc qdisc del dev eth0 root"


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    :param strike: makes it happen on a node, during a run, and says more about it.
    :param heal: undoes it.
    :param hold: for how many seconds it lasts; null: until the run has ended.
    """

    name: str
    strike: Callable[[World, str, Run, random.Random], str]
    heal: Callable[[World, str], None]
    hold: Callable[[random.Random], float | None]


def _run(_world: World, _node: str, run: Run, rng: random.Random) -> str:
    if rng.random() < 0.25:
        run.interrupt()
        return "SIGINT"
    run.kill()
    return "SIGKILL"


def _processes(world: World, node: str, _run: Run, _rng: random.Random) -> str:
    world.shell(node, _KILL)
    return ""


def _node(world: World, node: str, _run: Run, _rng: random.Random) -> str:
    # Docker writes this file anew at each start; a server keeps what it has.
    world.shell(node, "cp /etc/hosts /srv/hosts")
    world.docker("kill", node)
    return ""


def _start(world: World, node: str) -> None:
    world.docker("start", node)
    world.shell(node, "cat /srv/hosts > /etc/hosts && rm /srv/hosts")
    world.wait(node)


def _drop(world: World, node: str, _run: Run, _rng: random.Random) -> str:
    world.shell(node, _DROP)
    return ""


def _pass(world: World, node: str) -> None:
    world.shell(node, _PASS)


def _pause(world: World, node: str, _run: Run, _rng: random.Random) -> str:
    world.docker("pause", node)
    return ""


def _unpause(world: World, node: str) -> None:
    world.docker("unpause", node)


def _full(world: World, node: str, _run: Run, rng: random.Random) -> str:
    left = rng.choice((0, 4096, 65536, 1048576))
    world.shell(node, _FILL.format(folders=" ".join(world.disks), left=left, filler=FILLER))
    return f"{left} bytes left"


def _empty(world: World, node: str) -> None:
    world.shell(node, _EMPTY.format(folders=" ".join(world.disks), filler=FILLER))


def _fix(world: World, node: str, _run: Run, _rng: random.Random) -> str:
    world.shell(node, _FIX.format(folders=" ".join(DISK)))
    return ""


def _release(world: World, node: str) -> None:
    world.shell(node, _RELEASE.format(folders=" ".join(DISK)))


def _nothing(_world: World, _node: str) -> None:
    return None


def _to_the_end(_rng: random.Random) -> float | None:
    return None


def _longer_than_patience(rng: random.Random) -> float | None:
    return rng.uniform(PATIENCE + 2, PATIENCE + 8)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("run", _run, _nothing, _to_the_end),
        Fault("processes", _processes, _nothing, _to_the_end),
        Fault("node", _node, _start, lambda rng: rng.uniform(0.5, 4)),
        # A third of them is over before the run gives the node up.
        Fault("drop", _drop, _pass, lambda rng: rng.choice((rng.uniform(1, PATIENCE - 1), None, None))),
        Fault("pause", _pause, _unpause, _longer_than_patience),
        Fault("full", _full, _empty, _to_the_end),
        Fault("readonly", _fix, _release, _to_the_end),
    )
}
