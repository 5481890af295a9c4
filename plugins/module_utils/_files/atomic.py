# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are written whole or not at all, and copies of what was there."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import stat
import time
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import about


def beside(path: Path) -> Path:
    """A name for a file that will take the place of another; no other process has it, nor another node on a share."""
    return path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")


def left_behind(path: Path) -> list[Path]:
    """Files by that name that a process of this node did not get to put in place: it was killed, and is gone."""
    name = re.compile(rf"{re.escape(f'.{path.name}.{os.uname().nodename}.')}(\d+)(\.pub)?")
    try:
        found = sorted(path.parent.iterdir())
    except (FileNotFoundError, PermissionError):
        return []
    named = ((part, name.fullmatch(part.name)) for part in found)
    return [part for part, match in named if match and not _runs(int(match[1]))]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It belongs to somebody else.
        return True
    return True


def write(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Give a file its content in one step, so that a reader, or a power loss, meets the old one or the new one.

    A file that is there keeps its owner. Its folder has to be there.

    :param mode: by default that of the file that is there, or 0644.
    :raises OSError: with the path of the file.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    with about(path):
        draft = beside(path)
        before = path.stat() if path.exists() else None
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if before:
                _give(draft, before)
            draft.chmod(mode if mode is not None else stat.S_IMODE(before.st_mode) if before else 0o644)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _give(draft: Path, before: os.stat_result) -> None:
    """Give a draft the owner of the file that it replaces, and its group where that may be."""
    if before.st_uid != os.geteuid():
        os.chown(draft, before.st_uid, before.st_gid)
    elif before.st_gid != os.getegid():
        with contextlib.suppress(PermissionError):
            os.chown(draft, -1, before.st_gid)


def keep_copy(path: Path) -> Path:
    """A copy with the time in its name, as closed as the original; an older copy is never overwritten.

    apt, dnf and run-parts pass over names that end like this.
    """
    name = f"{path.name}.{time.strftime('%Y-%m-%d@%H:%M:%S')}"
    for number in itertools.count(1):
        copy = path.with_name(f"{name}~" if number == 1 else f"{name}.{number}~")
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            continue
    shutil.copy2(path, copy)
    return copy
