# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One installer at a time in an environment, and a mark of one that did not come to its end.

A power loss, a full disk or a kill ends an installer anywhere. The mark stays then, so that the next run does not take
for installed what is half there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.probe import INSTALLING

_POLL_SECONDS = 0.5


class InstallerAtWork(Exception):
    """Another installer did not come to its end in time; the text is a sentence for the user."""


def is_marked(prefix: str) -> bool:
    """Whether an installer began in an environment and has not come to its end."""
    return Path(prefix, INSTALLING).exists()


def _locked(path: Path, seconds: float) -> int:
    """An open file with its lock, once nobody else has it."""
    deadline = time.monotonic() + seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had the lock before may have removed the file meanwhile.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise InstallerAtWork(
                    f"Another run has installed packages for more than {seconds:g} s ({path} is locked); wait for its "
                    "end, or end it."
                ) from None
            time.sleep(_POLL_SECONDS)
        except OSError:
            # Some network file systems have no locks; the mark itself works there too.
            return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def installing(prefix: str, packages: Sequence[str], seconds: float) -> Iterator[bool]:
    """Mark an environment while an installer works there; the mark goes where the block ends without an exception.

    :param packages: what is installed, for whoever reads the mark.
    :param seconds: how long to wait for another installer.
    :return: whether an earlier installer was cut off. Its mark stays as it is: since then files may be damaged.
    :raises InstallerAtWork: another installer is still there.
    """
    path = Path(prefix, INSTALLING)
    path.parent.mkdir(exist_ok=True)
    descriptor = _locked(path, seconds)
    try:
        earlier = os.read(descriptor, 1 << 16)
        if not earlier:
            os.write(descriptor, "".join(f"{package}\n" for package in packages or ["nothing by name"]).encode())
            os.fsync(descriptor)
        yield bool(earlier)
        path.unlink()
    finally:
        os.close(descriptor)
