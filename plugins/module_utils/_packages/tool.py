# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Call a package manager, and wait with a bound while another process has its lock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, Runner

_PAUSE = 2.0


class ToolError(Exception):
    """A package manager failed; the text is a sentence for the user, `output` all that was said."""

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(sentence)
        self.output = output


class Tool:
    """Runs the programs of a package manager one after the other.

    :ivar locked: what they say where another process has a lock.
    :ivar holder: where they say which one, in groups path, pid and name.
    :param environment: all variables of this process.
    :param lock_timeout: seconds to wait for a lock.
    :param timeout: seconds for one program.
    """

    locked: re.Pattern[str]
    holder: re.Pattern[str]
    variables: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        run: Runner,
        environment: Mapping[str, str],
        lock_timeout: float = 300,
        timeout: float = 3600,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run, self._clock, self._sleep = run, clock, sleep
        self._environment = {**environment, "LC_ALL": "C.UTF-8", **self.variables}
        self._lock_timeout, self._timeout = lock_timeout, timeout

    def settings(self) -> list[str]:
        """The options of every command that changes something."""
        raise NotImplementedError

    def sentence(self, argv: Sequence[str], output: str) -> str:
        """Why a command failed, as far as its output tells."""
        raise NotImplementedError

    def succeeded(self, finished: Finished) -> bool:
        """Whether a program has done what it was called for."""
        return finished.rc == 0

    def ask(self, argv: Sequence[str]) -> Finished:
        """Run a program that only reads."""
        return self._run(argv, "", self._environment, self._timeout)

    def change(self, argv: Sequence[str]) -> Finished:
        """Run a program that changes something, again and again while another one has a lock.

        :raises ToolError: the lock is not given back in time, the time is up, or the program failed.
        """
        deadline = self._clock() + self._lock_timeout
        while True:
            finished = self._run(argv, "", self._environment, self._timeout)
            output = f"{finished.stdout}\n{finished.stderr}"
            if self.succeeded(finished):
                return finished
            if finished.rc is None:
                raise ToolError(
                    f"'{' '.join(argv)}' did not end within {self._timeout:.0f} s and was stopped. It said last: "
                    f"{finished.last_words} What it has begun may be half done: run again with repair set to true.",
                    output,
                )
            if not self.locked.search(output):
                raise ToolError(self.sentence(argv, output), output)
            if self._clock() >= deadline:
                found = self.holder.search(output)
                raise ToolError(_held(found.groupdict() if found else {}, self._lock_timeout), output)
            self._sleep(_PAUSE)


def _held(found: Mapping[str, str | None], waited: float) -> str:
    pid, name = found.get("pid") or found.get("holder"), found.get("name")
    holder = f"process {pid}{f' ({name})' if name else ''}" if pid else "another process"
    return (
        f"{found.get('path') or 'The lock of the package manager'} is held by {holder}, and was not given back within "
        f"{waited:.0f} s; wait for it to end, or raise the bound, and repeat."
    )


def uses_dnf(manager: str, root: Path = Path("/")) -> bool:
    """Whether a node is to be served by dnf; a system may have both programs, and then its family decides."""
    if manager != "auto":
        return manager == "dnf"
    family = any((root / name).exists() for name in ("etc/redhat-release", "etc/system-release"))
    return family or not (root / "usr" / "bin" / "apt-get").exists()
