# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts a short DeepSpeed run on several nodes, bounds its time, reads what the ranks tell, and cleans up."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch_hostfile import HostfileError, parse_hostfile

# Each rank writes a flat JSON object behind this mark; two ranks may share a line, and pdsh puts the host before it.
_TOLD = re.compile(r"FROMZERO_VERIFY (\{[^{}]*\})")
_NODE_FAILED = re.compile(r"^pdsh@[^:]+: [^:]+: ssh exited with exit code [1-9]")
_GRACE = 20.0
_AFTER_FAILURE = 10.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its status (124 when the time was up), all it wrote, and how long it took."""

    status: int
    output: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the command was stopped because its time was up."""
        return self.status == 124


def told(output: str) -> list[dict[str, Any]]:
    """What the ranks said, in the order in which it arrived; a line that was cut is passed over."""
    said = []
    for match in _TOLD.finditer(output):
        with contextlib.suppress(ValueError):
            said.append(json.loads(match.group(1)))
    return said


def participants(hostfile: str, nodes: Sequence[str]) -> dict[str, int]:
    """The slots of those hosts of a hostfile that are among the nodes, in the order of the hostfile.

    :raises HostfileError: the hostfile cannot be used, or names none of the nodes.
    """
    slots = {name: count for name, count in parse_hostfile(hostfile).items() if name in set(nodes)}
    if not slots:
        raise HostfileError(f"The hostfile names none of {', '.join(nodes)}; run the hostfile playbook.")
    return slots


def launch_command(
    launcher: str, hostfile: str, everyone: Sequence[str], chosen: Sequence[str], port: int
) -> list[str]:
    """The command up to the script. Only a run on fewer hosts than the hostfile names has to choose among them."""
    command = [launcher, "--hostfile", hostfile, "--master_port", str(port)]
    return command if list(everyone) == list(chosen) else [*command, "--include", "@".join(chosen)]


class _Listener(threading.Thread):
    """Collects what a process writes, and notices when pdsh says that a node's part has failed."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self.node_failed = threading.Event()
        self._stream = stream

    def run(self) -> None:
        """Read to the end."""
        for line in self._stream:
            self.lines.append(line)
            if _NODE_FAILED.search(line):
                self.node_failed.set()


def nobody_reads(descriptor: int = 1) -> bool:
    """Whether what this process writes goes nowhere, because whoever started it over ssh was interrupted."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in watch.poll(0))


def _wait(process: subprocess.Popen[str], listener: _Listener, seconds: float, abandoned: Callable[[], bool]) -> bool:
    """Wait for a process; whether it ended by itself. Once a node has failed, the others have a short while left."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if abandoned():
            return False
        if listener.node_failed.is_set():
            deadline = min(deadline, time.monotonic() + _AFTER_FAILURE)
            listener.node_failed.clear()
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _stop(process: subprocess.Popen[str]) -> None:
    """End a launcher with all its children: politely first, since it then stops the ranks on the other nodes."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_bounded(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    seconds: float,
    abandoned: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run a command in a session of its own.

    The ranks of the other nodes would wait for those of a node that failed, so the run is stopped soon after that.
    It is also stopped once nobody waits for it any more.

    :raises OSError: the command cannot be started.
    """
    started = time.monotonic()
    with subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        listener = _Listener(cast("IO[str]", process.stdout))
        listener.start()
        ended = _wait(process, listener, seconds, abandoned)
        took = time.monotonic() - started
        if not ended:
            _stop(process)
        status = process.wait()
        # A child that outlives the launcher may hold the pipe open.
        listener.join(timeout=_GRACE)
    timed_out = not ended and took >= seconds
    return Outcome(124 if timed_out else status or int(not ended), "".join(listener.lines), round(took, 1))


def sweep_command(hosts: Sequence[str], script: str, remove: bool = False) -> list[str]:
    """The command that ends what a broken run left on the nodes. The pattern does not match the command itself.

    :param remove: whether the folder of the script goes as well.
    """
    folder, name = script.rsplit("/", 1)
    pattern = f"{folder}/[{name[0]}]{name[1:]}"
    remote = f"pkill -KILL -f '{pattern}'; {f'rm -rf {shlex.quote(folder)}' if remove else 'true'}"
    return ["pdsh", "-R", "ssh", "-t", "10", "-u", "20", "-w", ",".join(hosts), remote]


__all__ = [
    "HostfileError",
    "Outcome",
    "launch_command",
    "nobody_reads",
    "parse_hostfile",
    "participants",
    "run_bounded",
    "sweep_command",
    "told",
]
