# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Call apt and dpkg, wait for their locks with a bound, and turn what they complain about into sentences."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._timed_command import Finished, Runner

_LOCK = re.compile(
    r"^(?:E: )?Could not get lock (?P<path>\S+?)\.(?: It is held by process (?P<pid>\d+) \((?P<name>[^)]*)\))?"
    r"|^dpkg: error: dpkg (?:frontend|database) lock was locked by another process with pid (?P<holder>\d+)"
    r"|^dpkg: error: dpkg (?:frontend|status database) is locked by another process",
    re.MULTILINE,
)
_COMPLAINT = re.compile(r"^(?:E|W): (.*)$", re.MULTILINE)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n((?: .*\n)+)", re.MULTILINE)
_FULL = re.compile(
    r"^.*(?:don't have enough free space in|No space left on device|Disk quota exceeded).*$", re.MULTILINE
)
_PROCESSING = re.compile(r"^dpkg: error processing (?:package|archive) (\S+) [^\n]*\n\s*([^\n]*)", re.MULTILINE)
_UNFETCHED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
# Pinned dependencies of apt's own languages, and no question that nobody would answer.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "LC_ALL": "C.UTF-8"}
_PAUSE = 2.0


class AptError(Exception):
    """apt or dpkg failed; the text is a sentence for the user, `output` all that was said."""

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(sentence)
        self.output = output


class Apt:
    """Runs programs of apt one after the other.

    :param lock_timeout: seconds to wait for another process that has a lock.
    :param timeout: seconds for one program.
    :param options: settings for every call, such as C(Dir::Etc::sourceparts=-).
    """

    def __init__(
        self,
        run: Runner,
        environment: Mapping[str, str],
        lock_timeout: float = 300,
        timeout: float = 3600,
        options: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run, self._clock, self._sleep = run, clock, sleep
        self._environment = {**environment, **_ENVIRONMENT}
        self._lock_timeout, self._timeout = lock_timeout, timeout
        self._options = [word for option in options for word in ("-o", option)]

    def settings(self) -> list[str]:
        """The options of every apt command that changes something."""
        waiting = [f"DPkg::Lock::Timeout={int(self._lock_timeout)}", "Acquire::Retries=3"]
        files = ["Dpkg::Options::=--force-confdef", "Dpkg::Options::=--force-confold"]
        return [*(word for option in (*waiting, *files) for word in ("-o", option)), *self._options]

    def ask(self, argv: Sequence[str]) -> Finished:
        """Run a program that only reads."""
        return self._run([argv[0], *self._options, *argv[1:]], "", self._environment, self._timeout)

    def read(self, argv: Sequence[str]) -> str:
        """What a program prints that only reads and knows none of apt's settings, whatever its exit code."""
        return self._run(argv, "", self._environment, self._timeout).stdout

    def change(self, argv: Sequence[str], stdin: str = "") -> Finished:
        """Run a program that changes something, again and again while another one has a lock.

        :raises AptError: the lock is not given back in time, the time is up, or the program failed.
        """
        deadline = self._clock() + self._lock_timeout
        while True:
            finished = self._run(argv, stdin, self._environment, self._timeout)
            output = f"{finished.stdout}\n{finished.stderr}"
            if finished.rc == 0:
                return finished
            if finished.rc is None:
                raise AptError(
                    f"'{' '.join(argv)}' did not end within {self._timeout:.0f} s and was stopped. It said last: "
                    f"{finished.last_words} Run 'dpkg --configure -a' on the node, or set repair to true.",
                    output,
                )
            locked = _LOCK.search(finished.stderr)
            if not locked:
                raise AptError(sentence(argv, output), output)
            if self._clock() >= deadline:
                raise AptError(_of_a_lock(locked, self._lock_timeout), output)
            self._sleep(_PAUSE)


def _of_a_lock(locked: re.Match[str], waited: float) -> str:
    pid, name = locked["pid"] or locked["holder"], locked["name"]
    holder = f"process {pid}{f' ({name})' if name else ''}" if pid else "another process"
    return (
        f"{locked['path'] or 'The lock of dpkg'} is held by {holder}, and was not given back within {waited:.0f} s; "
        "wait for it to end, or raise the bound, and repeat."
    )


def sentence(argv: Sequence[str], output: str) -> str:
    """Why a command of apt failed, as far as its output tells."""
    full = _FULL.search(output)
    if full:
        return f"There is no space left for the packages: {full.group().strip()} Make room and repeat."
    unmet = _UNMET.search(output)
    if unmet:
        lines = " ".join(unmet[1].split())
        return f"The packages have dependencies that cannot be met together: {lines}. Nothing was changed."
    failed = _PROCESSING.findall(output)
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed)
        return (
            f"dpkg could not finish: {reasons}. The packages stay as they are, half installed; mend the reason and "
            "repeat, or look at /var/log/apt/term.log."
        )
    unfetched = _UNFETCHED.findall(output)
    if unfetched:
        return f"{unfetched[0][0]} could not be fetched: {unfetched[0][1]}. Nothing was changed."
    complaints = _COMPLAINT.findall(output)
    words = " ".join(complaints) or (output.strip().splitlines() or ["it said nothing."])[-1]
    return f"'{' '.join(argv[:1])}' failed: {words}"
