# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who holds the lock of a cluster: a run of a playbook, known by its process, and whether that process has gone."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

# Seconds between two renewals of a lock, and without one after which a lock counts as left behind.
RENEWAL, LEASE = 20, 90


@dataclass(frozen=True)
class Owner:
    """One run.

    :param token: what tells this run from all others. since: seconds since 1970.
    :param pid: the process of C(ansible-playbook); started: when it began, in the words of its system.
    :param boot: the boot of the control node. space: the process ids that pid is one of, since containers have their
        own. machine: the control node, whatever its boot is.
    :param keeper: the process that renews the lock, 0 where there is none yet.
    """

    token: str
    user: str
    host: str
    playbook: str
    since: float
    pid: int
    started: str
    boot: str
    space: str
    machine: str
    keeper: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether the process is there; only of use on the machine that it is on."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        # The process of another account may be hidden.
        return started(self.pid) in (self.started, "")

    def has_gone(self, observer: Owner) -> bool:
        """Whether it is certain that this run is over, for somebody who runs where the observer does."""
        if (self.boot, self.space) == (observer.boot, observer.space):
            return not self.is_alive
        # After a loss of power. On two machines of one name and id, the boots alone differ.
        return self.boot != observer.boot and self.machine == observer.machine != ""

    def describe(self) -> str:
        """The run in words."""
        then, now = time.localtime(self.since), time.localtime()
        at = time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)
        return (
            f"{self.user}@{self.host} has been running the playbook '{self.playbook}' since {at} (process {self.pid})"
        )

    def refusal(self, observer: Owner) -> str:
        """Why the observer cannot begin, and what to do."""
        sentences = f"{self.describe()}. Wait for its end, or stop it there."
        if (self.boot, self.space) == (observer.boot, observer.space):
            return sentences
        return f"{sentences} If it was cut off, its lock ends by itself after {LEASE} s; then run again."

    def text(self) -> str:
        """The run in one line."""
        return json.dumps(asdict(self), sort_keys=True)


def read_owner(text: str) -> Owner | None:
    """The run that a line tells of; None where it is damaged."""
    try:
        found = json.loads(text)
        owner = Owner(**{field.name: found[field.name] for field in fields(Owner)})
    except (ValueError, KeyError, TypeError):
        return None
    numbers = isinstance(owner.pid, int) and isinstance(owner.since, (int, float)) and isinstance(owner.keeper, int)
    return owner if numbers else None


def this_run(pid: int, playbook: str) -> Owner:
    """The run whose main process this is.

    :param playbook: its name, as others shall see it.
    """
    return Owner(
        token=secrets.token_hex(8),
        user=os.environ.get("SUDO_USER") or getpass.getuser(),
        host=socket.gethostname(),
        playbook=playbook,
        since=time.time(),
        pid=pid,
        started=started(pid),
        boot=_read("/proc/sys/kernel/random/boot_id") or socket.gethostname(),
        space=_link("/proc/self/ns/pid"),
        machine=f"{machine} {socket.gethostname()}" if (machine := _read("/etc/machine-id")) else "",
    )


def started(pid: int) -> str:
    """When a process began; empty where it has gone or is hidden."""
    stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if stat:
        return "" if len(stat) < 20 else f"ended {stat[19]}" if stat[0] in "ZX" else stat[19]
    if Path("/proc/self/stat").exists():
        return ""
    # macOS
    try:
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
