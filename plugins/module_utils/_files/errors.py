# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the system says of a file that cannot be read or written, as a sentence with a way out."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_SENTENCES = {
    errno.EROFS: "{path} lies on a file system that is mounted read-only; mount it for writing (after a fault of the "
    "disk the system itself makes it read-only, and dmesg tells).",
    errno.ENOSPC: "{path} cannot be written, since its disk is full; make room there.",
    errno.EDQUOT: "{path} cannot be written, since the quota of the account is used up; make room there.",
    errno.ENOTDIR: "{obstacle} is a file where a folder is needed, for {path}; move it away.",
    errno.EISDIR: "{path} is a folder where a file is needed; move it away.",
}


def complaint(error: OSError) -> str:
    """The sentence for an error; the path is that of the error, since only it tells which file is meant."""
    path = Path(str(error.filename or "A file"))
    obstacle = next((each for each in reversed(path.parents) if each.exists() and not each.is_dir()), path.parent)
    sentence = _SENTENCES.get(error.errno or 0, "{path} cannot be read or written: {why}.")
    return sentence.format(path=path, obstacle=obstacle, why=error.strerror or error)


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Errors in this block are about this file: not about its draft, and not about no file at all.

    :raises OSError: with the path of the file.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or os.strerror(error.errno or 0), str(path)) from error


__all__ = ["about", "complaint"]
