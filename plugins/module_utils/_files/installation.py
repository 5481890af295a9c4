# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What installers of large things at a prefix have in common: who may write there, and whether one was cut off.

While an installer works, it holds a lock on a file C(<prefix>.installing) beside the prefix. Such a file without a lock
means that an installer was cut off.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import time
from collections.abc import Callable
from pathlib import Path


def one_line(text: str, limit: int = 600) -> str:
    """The text without line breaks. Where it is too long for a sentence, its end stays, which says what went wrong."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"...{line[-limit:]}"


def account() -> str:
    """The name of the account that this runs as, for sentences."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"the account with uid {os.getuid()}"


def nearest_folder(path: Path) -> Path:
    """The deepest folder above C(path) that exists."""
    return next(folder for folder in path.parents if folder.is_dir())


def mark_of(prefix: Path) -> Path:
    """The file that stands beside the prefix while an installer works."""
    return prefix.with_name(f"{prefix.name}.installing")


def held(mark: Path) -> bool:
    """Whether the installer that a mark belongs to is still at work."""
    try:
        with mark.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Mark:
    """The mark beside the prefix, held; the installer inherits it and so holds it even when this program dies.

    :param fail: makes the error for a sentence, where another installer takes longer than C(timeout) seconds.
    """

    def __init__(self, prefix: Path, timeout: float, fail: Callable[[str], Exception]) -> None:
        self.path = mark_of(prefix)
        self.timeout = timeout
        self.file = -1
        self.was_cut_off = False
        self._fail = fail

    def __enter__(self) -> Mark:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.timeout
        while not self._take():
            if time.monotonic() > deadline:
                raise self._fail(
                    f"Another installer has been at work for more than {self.timeout:g} s ({self.path} is locked); "
                    f"end it or wait for it, then run again."
                )
            time.sleep(0.5)
        self.was_cut_off = os.fstat(self.file).st_size > 0
        return self

    def __exit__(self, *_: object) -> None:
        if os.fstat(self.file).st_size == 0:
            self.path.unlink()
        os.close(self.file)

    def begin(self) -> None:
        """From here on, the mark without a lock means that an installer was cut off."""
        os.truncate(self.file, 0)
        os.write(self.file, f"{os.getpid()}\n".encode())

    def end(self) -> None:
        os.truncate(self.file, 0)

    def _take(self) -> bool:
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed it meanwhile; a lock on a removed file protects nothing.
            if self.path.exists() and self.path.stat().st_ino == os.fstat(self.file).st_ino:
                return True
        except BlockingIOError:
            pass
        os.close(self.file)
        return False
