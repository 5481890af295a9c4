# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts a short run with ds-launch, bounds its time, and reads what the ranks and ds-launch report."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import HostfileError, parse_hostfile

_MARK = re.compile(r"FROMZERO_VERIFY (?=\{)")
_SENTENCE = re.compile(r"^ds-launch: (\S.*)$", re.MULTILINE)
# ds-launch gives the ranks some seconds to end, and each node some more to confirm it.
_GRACE = 40.0
_MOST_SENTENCES = 20
# A line of a rank, behind the node and the number that ds-launch puts before it, and the last line of a traceback.
_OF_RANK = re.compile(r"^\[(?P<node>[^\]\s]+):(?P<rank>\d+)\] ?(?P<text>.*)$")
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)\b(: .*)?$")
_MOST_EXCEPTIONS = 50
_LONGEST_ERROR = 600


class LaunchError(Exception):
    """Nothing can be started; the message is a sentence for the user."""


@dataclass(frozen=True)
class Files:
    """What the role hostfile has written for a launch: the launcher, the hostfile, and DeepSpeed's configuration."""

    launcher: str
    hostfile: str
    config: str


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status (124 when the time was up), all it wrote, and how long it took."""

    status: int
    output: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the command was stopped because its time was up."""
        return self.status == 124


def launch_files(settings: str, given: Mapping[str, str | None]) -> tuple[Files, dict[str, str]]:
    """The files of a launch, and those among them that a user has named and the settings have not.

    :param settings: the path of C(ds-launch.json), which the role hostfile writes.
    :param given: by the name of a file a path that goes before that of the settings; empty for none.
    :raises LaunchError: the settings or the configuration are missing, or cannot be read.
    """
    try:
        written = dict(json.loads(Path(settings).read_text(encoding="utf-8")))
    except OSError as error:
        raise LaunchError(f"{settings} cannot be read ({error.strerror}); run the playbook 'hostfile'.") from error
    except (ValueError, TypeError) as error:
        raise LaunchError(f"{settings} is not what the role hostfile writes; run the playbook 'hostfile'.") from error
    own = {name: path for name, path in given.items() if path}
    paths = {name: own.get(name) or str(written.get(name) or "") for name in given}
    nameless = [name for name, path in paths.items() if not path]
    if nameless:
        raise LaunchError(f"{settings} does not name the {nameless[0]}; run the playbook 'hostfile'.")
    paths = {name: str(Path(path).expanduser()) for name, path in paths.items()}
    if not Path(paths["config"]).is_file():
        raise LaunchError(
            f"{paths['config']}, the configuration of DeepSpeed, is missing; run the playbook 'hostfile'."
        )
    return Files(**paths), own


def reports(output: str) -> list[dict[str, Any]]:
    """What the ranks have reported, in the order in which it arrived; a line that was cut is passed over."""
    decoder, found = json.JSONDecoder(), []
    for match in _MARK.finditer(output):
        with contextlib.suppress(ValueError):
            found.append(decoder.raw_decode(output, match.end())[0])
    return found


def sentences(output: str) -> list[str]:
    """What ds-launch itself says; the lines of a rank that it repeats are indented, and left out."""
    return _SENTENCE.findall(output)[:_MOST_SENTENCES]


def exceptions(output: str) -> list[dict[str, Any]]:
    """The node, the rank and the first Python exception of each rank that had one, in the order in which they arrived.

    Of exceptions that follow from each other Python prints the cause first.
    """
    found: dict[int, dict[str, Any]] = {}
    within: set[int] = set()
    for line in output.splitlines():
        match = _OF_RANK.match(line)
        if not match:
            continue
        rank = int(match["rank"])
        if match["text"].startswith("Traceback (most recent call last)"):
            within.add(rank)
        elif rank in within and _ERROR.match(match["text"]):
            within.discard(rank)
            error = {"node": match["node"], "rank": rank, "error": match["text"][:_LONGEST_ERROR]}
            found.setdefault(rank, error)
    return list(found.values())[:_MOST_EXCEPTIONS]


def participants(hostfile: str, nodes: Sequence[str]) -> dict[str, int]:
    """The slots of those hosts of a hostfile that are among the nodes, in the order of the hostfile.

    :raises HostfileError: the hostfile cannot be used, or names none of the nodes.
    """
    slots = {name: count for name, count in parse_hostfile(hostfile).items() if name in set(nodes)}
    if not slots:
        raise HostfileError(f"The hostfile names none of {', '.join(nodes)}; run the playbook 'hostfile'.")
    return slots


def launch_command(
    files: Files, own: Mapping[str, str], everyone: Sequence[str], chosen: Sequence[str], port: int
) -> list[str]:
    """The command up to the script, as short as users type it.

    Only a hostfile that is not that of ds-launch is named, and only a run on fewer hosts has to choose among them.
    """
    command = [files.launcher]
    command += ["--hostfile", files.hostfile] if "hostfile" in own else []
    command += ["--master_port", str(port)] if port else []
    return command if list(everyone) == list(chosen) else [*command, "--include", "@".join(chosen)]


class _Listener(threading.Thread):
    """Collects what a process writes."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._stream = stream

    def run(self) -> None:
        """Read to the end."""
        self.lines.extend(self._stream)


def nobody_reads(descriptor: int = 1) -> bool:
    """Whether what this process writes goes nowhere, because whoever started it over ssh was interrupted."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in watch.poll(0))


def _wait(process: subprocess.Popen[str], seconds: float, abandoned: Callable[[], bool]) -> bool:
    """Wait for a process; whether it ended by itself."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if abandoned() or time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _stop(process: subprocess.Popen[str]) -> None:
    """End ds-launch: politely first, since it then ends the ranks on all nodes."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_bounded(
    command: Sequence[str],
    folder: str,
    seconds: float,
    abandoned: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a command in a session of its own; it is stopped when its time is up, or once nobody waits for it any more.

    :raises OSError: the command cannot be started.
    """
    started = time.monotonic()
    # run_command of Ansible's modules has no time limit and cannot end the children.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        listener = _Listener(cast("IO[str]", process.stdout))
        listener.start()
        ended = _wait(process, seconds, abandoned)
        took = time.monotonic() - started
        if not ended:
            _stop(process)
        status = process.wait()
        # A child that outlives the launcher may hold the pipe open.
        listener.join(timeout=5)
    timed_out = not ended and took >= seconds
    return Ended(124 if timed_out else status or int(not ended), "".join(listener.lines), round(took, 1))


__all__ = [
    "Ended",
    "Files",
    "HostfileError",
    "LaunchError",
    "exceptions",
    "launch_command",
    "launch_files",
    "nobody_reads",
    "parse_hostfile",
    "participants",
    "reports",
    "run_bounded",
    "sentences",
]
