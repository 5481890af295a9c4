# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of a cluster on the control node: C(lock.json) in the artifacts of the inventory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files import atomic
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import LEASE, Owner, read_owner

LOCK = "lock.json"
# Seconds for giving a lock back.
_PATIENCE = 10


def take(folder: Path, run: Owner) -> Owner:
    """Whose the lock is after this: the run's, or that of another one, which goes on.

    Where an earlier playbook of the same process has the lock, that one is returned: it is the same run.

    :raises OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        holder = _holder(folder, run)
        if holder:
            return holder
        write(folder, run)
        return run


def write(folder: Path, run: Owner) -> None:
    """Write down who has the lock, whole or not at all."""
    atomic.write(folder / LOCK, run.text() + "\n")


def renew(folder: Path, run: Owner) -> None:
    """Show that the run goes on."""
    if is_held(folder, run):
        os.utime(folder / LOCK)


def release(folder: Path, run: Owner) -> None:
    """Give the lock back, where it is still the run's."""
    with _alone(folder):
        if is_held(folder, run):
            (folder / LOCK).unlink()


def dismiss(folder: Path, run: Owner) -> None:
    """Tell the keeper of a run that it is over, and wait until the lock is free; one that hangs is left to itself."""
    if not run.keeper or not is_held(folder, run):
        return
    with contextlib.suppress(OSError):
        os.kill(run.keeper, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while is_held(folder, run) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_held(folder: Path, run: Owner) -> bool:
    """Whether the lock is that of the run."""
    found = _stored(folder)
    return found is not None and found.token == run.token


def _stored(folder: Path) -> Owner | None:
    try:
        return read_owner((folder / LOCK).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _holder(folder: Path, run: Owner) -> Owner | None:
    found = _stored(folder)
    if found is None or found.has_gone(run):
        return None
    is_here = (found.boot, found.space) == (run.boot, run.space)
    # On a folder that control nodes share.
    is_late = abs(time.time() - (folder / LOCK).stat().st_mtime) > LEASE
    return found if is_here or not is_late else None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else takes or releases the lock meanwhile, as far as the file system can tell."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
