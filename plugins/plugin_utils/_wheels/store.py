# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The finished wheels that the control node keeps, and sources that it hands to a node for a build.

Each wheel has a folder C(<name>-<key>) with C(wheel.json), which says what it was built from. Nothing reads a folder
without that file, which is written last; any of the folders may be removed by hand.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import SourceError, files_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of


class WheelError(RuntimeError):
    """A wheel cannot be kept or found; the text is a sentence for the user."""


def folder_of(artifacts: Path, name: str, key: str) -> Path:
    """Where the wheel of a build is kept."""
    return artifacts / f"{name}-{key}"


def kept(artifacts: Path, name: str, key: str) -> dict[str, Any]:
    """What is known of a wheel that is kept, with its C(path); empty where there is none, or another than was kept."""
    folder = folder_of(artifacts, name, key)
    try:
        found: dict[str, Any] = json.loads((folder / "wheel.json").read_text(encoding="utf-8"))
        path = folder / found["filename"]
        if sum_of(path) != found["sha256"]:
            return {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {**found, "path": str(path)}


def keep(artifacts: Path, manifest: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Keep a wheel that has come from a node; C(file) is moved.

    :raises WheelError: it is not the one that was built, or there is no place for it.
    """
    found = sum_of(file)
    if found != manifest["sha256"]:
        raise WheelError(
            f"{manifest['filename']} arrived from {manifest['built_on']} with the sha256 sum {found}, and was "
            f"built with {manifest['sha256']}; it was not kept. Run again."
        )
    folder = folder_of(artifacts, manifest["name"], manifest["key"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(str(file), str(folder / manifest["filename"]))
        write(folder / "wheel.json", json.dumps(dict(manifest), indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise WheelError(
            f"{folder} cannot be written ({error.strerror}); set cluster_artifacts to a folder that can."
        ) from error
    return {**manifest, "path": str(folder / manifest["filename"])}


def pack(folder: Path) -> Path:
    """The project in a folder as an archive that is the same whenever the files are; the caller removes it.

    :raises SourceError: the folder is no Python project.
    """
    handle, name = tempfile.mkstemp(prefix="fromzero-source-", suffix=".tar.gz")
    with open(handle, "wb") as raw:  # noqa: PTH123
        try:
            _pack(folder, raw)
        except BaseException:
            Path(name).unlink()
            raise
    return Path(name)


def _pack(folder: Path, raw: IO[bytes]) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in files_of(folder):
            entry = tar.gettarinfo(str(path), arcname=f"source/{path.relative_to(folder)}")
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if entry.mode & 0o111 else 0o644
            if entry.isreg():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)


def source_file(source: str) -> Path | None:
    """The file or folder of the control node that a source names; null where it names something elsewhere.

    :raises SourceError: a path leads to nothing.
    """
    if source.startswith("git+") or "://" in source or "==" in source:
        return None
    path = Path(source).expanduser()
    if not path.exists():
        raise SourceError(f"There is no {path} on the control node; correct the path of the source.")
    return path


def foreseen(name: str, host: str, built: bool, packages: Mapping[str, str]) -> str:
    """What a run that is not in check mode would do for a wheel, as sentences.

    :param built: whether the node has it. packages: of the system, that would be installed for the build.
    """
    if built:
        return f"{name} has been built on {host}, and would be taken from there."
    before = f" Packages to install there before: {', '.join(sorted(packages))}." if packages else ""
    return f"{name} would be built on {host}.{before}"


def progress_line(name: str, host: str, progress: Mapping[str, Any]) -> str:
    """How far a build is, for a reader who waits."""
    minutes, seconds = divmod(int(progress.get("seconds") or 0), 60)
    past = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
    steps = f", compiled {progress['steps']}" if progress.get("steps") else ""
    return f"{name} is being built on {host}: {past}{steps}"
