"""Running programs of this machine, with errors that say what to do."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


class SandboxError(RuntimeError):
    """The sandbox cannot go on; the text is a sentence for the user."""


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    :param timeout: in seconds.
    :raises SandboxError: the program is missing, fails or takes too long.
    """
    try:
        done = subprocess.run(
            list(argv), input=input, env=env, timeout=timeout, check=False, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise SandboxError(f"{argv[0]} is not installed on this machine.") from error
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"'{shlex.join(argv)}' gave no answer within {timeout} s.") from error
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise SandboxError(f"'{shlex.join(argv)}' failed with exit code {done.returncode}:\n{output}")
    return done.stdout


def works(argv: Sequence[str], timeout: float | None = None) -> bool:
    """Whether a program runs and ends with success."""
    try:
        run(argv, timeout=timeout)
    except SandboxError:
        return False
    return True


def say(text: str) -> None:
    """Tell the user what happens, at once even when the output is a pipe."""
    print(text, flush=True)
