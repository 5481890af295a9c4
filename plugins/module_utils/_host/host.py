# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that is read and never changed: its files below a root, its programs through a function."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run

# Runs a program by its name and arguments; None where the host has no such program.
Run = Callable[[Sequence[str]], Optional[Finished]]
_LONGEST_CHAIN = 16


def programs(find: Callable[[str], str | None], timeout: float) -> Run:
    """How the programs of the node itself are run: in the language that is parsed, each given up after some seconds.

    :param find: the path of a program, null where there is none.
    """
    environment = {**os.environ, "LC_ALL": "C"}

    def called(command: Sequence[str]) -> Finished | None:
        program = find(command[0])
        if program is None:
            return None
        try:
            return run([program, *command[1:]], "", environment, timeout)
        except OSError as error:
            return Finished(126, "", str(error))

    return called


@dataclass(frozen=True)
class Host:
    """How a host is read, so that a folder and a function can stand for one.

    :ivar root: the folder that holds etc, proc, sys and the rest.
    :ivar run: runs a program.
    :ivar privileged: whether everything can be seen, as root does.
    """

    root: Path
    run: Run
    privileged: bool = True

    def text(self, path: str | Path) -> str:
        """What a file says, without white space around it; empty where it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def data(self, path: str | Path) -> bytes | None:
        """The bytes of a file; None where it cannot be read."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def glob(self, *patterns: str) -> list[Path]:
        """What is there of the patterns, each sorted; without what vanishes or hides while it is looked for."""
        found: list[Path] = []
        for pattern in patterns:
            try:
                found += sorted(self.root.glob(pattern))
            except OSError:
                continue
        return found

    def is_there(self, path: str | Path) -> bool:
        """Whether a path leads to something."""
        try:
            return self.follow(self.root / path).exists()
        except OSError:
            return False

    def follow(self, path: Path) -> Path:
        """The end of a chain of links. What a link says of C(/) is meant below the root."""
        for _step in range(_LONGEST_CHAIN):
            try:
                target = str(path.readlink())
            except OSError:
                break
            path = self.root / target.lstrip("/") if target.startswith("/") else path.parent / target
        return path

    def said(self, *command: str) -> str:
        """The standard output of a program that succeeds; empty where it is missing or fails."""
        done = self.run(command)
        return done.stdout if done is not None and done.rc == 0 else ""
