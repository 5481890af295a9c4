# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about conda share: their error, how they start conda, and how they read its answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import (
    account,
    nearest_folder,
    one_line,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run

__all__ = ["CondaError", "Start", "account", "answer", "one_line", "require_writable", "starter"]

# Starts a program with the account's environment and a bound in seconds. Tests hand in their own.
Start = Callable[[Sequence[str], float], Finished]

# CI makes conda accept Anaconda's terms unasked; the others make its Python find modules that are not its own.
_NEVER_INHERITED = ("CI", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "CONDA_PREFIX")


class CondaError(RuntimeError):
    """Something about conda cannot be had; the message is a sentence for the user."""


def starter(extra: Mapping[str, str], pass_fds: Sequence[int] = ()) -> Start:
    """A way to start programs with this account's environment, less what leads conda astray, plus C(extra)."""
    inherited = {name: value for name, value in os.environ.items() if name not in _NEVER_INHERITED}
    environment = {**inherited, **extra}

    def start(argv: Sequence[str], timeout: float) -> Finished:
        try:
            return run(argv, "", environment, timeout, pass_fds)
        except OSError as error:
            return Finished(127, "", f"{argv[0]}: {error.strerror}")

    return start


def answer(text: str) -> dict[str, Any]:
    """The last JSON object in what conda printed, behind any lines of progress; empty where there is none."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            found = value if isinstance(value, dict) else found
        at = text.find("{", end)
    return found


def require_writable(path: Path, remedy: str) -> None:
    """:raises CondaError: this account may not create C(path)."""
    folder = path if path.is_dir() else nearest_folder(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CondaError(f"{account()} may not write to {folder}, where {path} has to go; {remedy}")
