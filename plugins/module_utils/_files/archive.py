# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives of sources, unpacked below one folder and nowhere else."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path


class ArchiveError(ValueError):
    """An archive cannot be unpacked; the text is a sentence for the user."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tarball or a zip file; returns the one folder that most archives hold, else where it was unpacked.

    :raises ArchiveError: it is neither, it is damaged, or a member would land outside of the folder.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                _extract(tar, folder)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ArchiveError(f"{archive} cannot be unpacked: {error}.") from error
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    # Not every Python 3.9 has filters: what would land outside is refused by hand.
    for member in tar.getmembers():
        if member.name.startswith("/") or ".." in Path(member.name).parts or not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"{member.name} is not a plain file below the archive's own folder")
    tar.extractall(folder)
