# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files as they are and as they should be, and the step from one to the other."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import keep_copy, write

# A file that is itself a mount (/etc/hosts in a container) or lies where we may not make files cannot be renamed over.
_NOT_REPLACEABLE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Snapshot:
    """One file before a change.

    :param text: None where there is no file.
    """

    path: Path
    text: str | None
    mode: int | None


@dataclass(frozen=True)
class Landing:
    """One file after a change.

    :param text: None where the file should not be.
    :param mode: the mode it must have; None keeps what it has.
    :param ours: nothing that somebody else has written goes, so no copy is kept of what was there.
    """

    before: Snapshot
    text: str | None
    mode: int | None
    ours: bool

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        if self.text != self.before.text:
            return True
        return self.text is not None and self.mode is not None and self.mode != self.before.mode

    @property
    def diff(self) -> dict[str, Any]:
        """What C(--diff) shows."""
        named = str(self.before.path)
        if self.text == self.before.text:
            return {
                "before": f"mode {self.before.mode or 0:04o}\n",
                "after": f"mode {self.mode or 0:04o}\n",
                "before_header": named,
                "after_header": named,
            }
        return {
            "before": self.before.text or "",
            "after": self.text or "",
            "before_header": named,
            "after_header": named,
        }


def see(path: Path) -> Snapshot:
    """The file as it is now; a link is followed to the file that it means."""
    real = Path(os.path.realpath(str(path)))
    try:
        text = real.read_text(encoding="utf-8", errors="surrogateescape")
        return Snapshot(path=real, text=text, mode=stat.S_IMODE(real.stat().st_mode))
    except FileNotFoundError:
        return Snapshot(path=real, text=None, mode=None)


def land(landing: Landing) -> str | None:
    """Makes the file what it should be, in one step where the system allows it.

    :returns: the name of the copy that was kept of a file which others write too.
    """
    path, before = landing.before.path, landing.before
    if landing.text is None:
        path.unlink()
        return None
    if landing.text == before.text:
        path.chmod(landing.mode or 0o644)
        return None
    copy = None
    if before.text is not None and not landing.ours:
        copy = str(keep_copy(path))
    mode = landing.mode if landing.mode is not None else (before.mode if before.mode is not None else 0o644)
    data = landing.text.encode("utf-8", errors="surrogateescape")
    try:
        write(path, data, mode)
    except OSError as error:
        if before.text is None or error.errno not in _NOT_REPLACEABLE:
            raise
        _overwrite(path, data, mode)
    return copy


def _overwrite(path: Path, data: bytes, mode: int) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
