# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one program with a bound on its time, and leave none of its children behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# Seconds until what was killed counts as one that cannot be.
_GRACE = 5.0


@dataclass(frozen=True)
class Finished:
    """How a program ended. rc is negative for a signal, and None where its time was up."""

    rc: int | None
    stdout: str = ""
    stderr: str = ""

    @property
    def last_words(self) -> str:
        """The last line that the program wrote to standard error, else to standard output."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else ""


# argv, standard input, the whole environment, seconds
Runner = Callable[[Sequence[str], str, Mapping[str, str], float], Finished]


def run(
    argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float, pass_fds: Sequence[int] = ()
) -> Finished:
    """Run a program to its end.

    :param pass_fds: open files that the program inherits, such as a lock that it holds even when its parent dies.
    :raises OSError: the program cannot be started.
    """
    # run_command of Ansible's modules has no time limit and cannot end the children.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",  # the folder that Ansible happens to be in may be unreadable for a user that was become
        env=dict(environment),
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=pass_fds,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout)
        return Finished(process.returncode, stdout, stderr)
    except subprocess.TimeoutExpired:
        return _killed(process)


def _killed(process: subprocess.Popen[str]) -> Finished:
    """End a program, and its children with it.

    What waits within a driver, as nvidia-smi does for a GPU that has fallen off the bus, cannot be killed: it is left
    behind, with what it has said so far lost.
    """
    os.killpg(process.pid, signal.SIGKILL)
    try:
        return Finished(None, *process.communicate(timeout=_GRACE))
    except subprocess.TimeoutExpired:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
        return Finished(None)
