"""Runs of ansible-playbook that can be watched, waited for and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.soak.moments import Execution, Moment, executions
from sandbox.shell import ROOT

CALLBACKS = (ROOT / "sandbox" / "callbacks", Path(__file__).parent / "callbacks")
PLAYBOOKS = Path(__file__).parent / "playbooks"
# Folders of the control node, for temporary files: Ansible's own, and those of everything else.
ANSIBLE_TEMPORARY, TEMPORARY = "local_tmp", "tmp"
# A node that does not answer is given up after some seconds in place of thirty: hundreds of runs wait for it.
PATIENCE = 6
QUICK_SSH = "-o ServerAliveInterval=2 -o ServerAliveCountMax=3"
LONGEST = 420
POLL = 0.02
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A playbook with its variables."""

    playbook: Path
    variables: Mapping[str, object]


class Run:
    """A run that has begun; its output and its events are files in a folder."""

    def __init__(self, command: Command, inventory: Path, folder: Path, name: str) -> None:
        self.log, self.events = folder / f"{name}.log", folder / f"{name}.events"
        self.events.write_text("", encoding="utf-8")
        self.began = time.time()
        with self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                arguments(command, inventory),
                cwd=ROOT,
                env=environment(self.events, folder.parent),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def executions(self) -> list[Execution]:
        """What has run so far; a line that is not finished yet is left for later."""
        text = self.events.read_text(encoding="utf-8")
        return executions(text[: text.rfind("\n") + 1].splitlines())

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    def reach(self, moment: Moment) -> bool:
        """Wait for a moment; false where the run ended before."""
        while not self.ended:
            begun = [one for one in self.executions if one.key == moment.execution.key]
            if begun:
                time.sleep(max(0, begun[0].began + moment.delay - time.time()))
                return not self.ended
            time.sleep(POLL)
        return False

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code; null where it still runs after these seconds. One that hangs is killed, and has -9."""
        try:
            return self._process.wait(LONGEST if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            if seconds is not None:
                return None
        self.kill()
        return self._process.wait()

    def kill(self) -> None:
        """End it and all its processes at once; Ansible's workers have sessions of their own."""
        # The list comes first: what has lost its parent is no descendant any more.
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def interrupt(self) -> None:
        """What Ctrl-C in a terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        left += (mine := children.get(left.pop(), []))
        found += mine
    return found


def arguments(command: Command, inventory: Path) -> list[str]:
    """The command line of a run."""
    variables = {"ansible_ssh_extra_args": QUICK_SSH, **command.variables}
    return ["ansible-playbook", "-i", str(inventory), "-e", json.dumps(variables), str(command.playbook)]


def environment(events: Path, folder: Path) -> dict[str, str]:
    """What a run sees: no colours, the callbacks, and folders for temporary files that can be looked at."""
    (folder / TEMPORARY).mkdir(exist_ok=True)
    return {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": ":".join(map(str, CALLBACKS)),
        "ANSIBLE_CALLBACKS_ENABLED": "keep_modules,soak_events",
        "ANSIBLE_LOCAL_TEMP": str(folder / ANSIBLE_TEMPORARY),
        "TMPDIR": str(folder / TEMPORARY),
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_NOCOLOR": "true",
        "SOAK_EVENTS": str(events),
    }


def changed(output: str) -> dict[str, int]:
    """How many tasks changed something, by host."""
    return {host: int(count) for host, count in _RECAP.findall(output)}


def tail(log: Path, lines: int = 25) -> Sequence[str]:
    """The end of what a run printed."""
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
