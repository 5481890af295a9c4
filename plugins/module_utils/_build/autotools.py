# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds a release tarball with configure and make, once for each set of inputs."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Runs a command in a folder and returns its exit code and all that it printed.
Runner = Callable[[Sequence[str], Path], tuple[int, str]]
#: Brings the tarball into a folder and returns where it lies.
Fetcher = Callable[[Path], Path]

_LINES_OF_A_FAILURE = 15


class BuildError(RuntimeError):
    """The build cannot begin or failed; the text is a sentence for the user."""


@dataclass(frozen=True)
class Recipe:
    """What is built, and how; the stamp in the prefix records all of it.

    :ivar name: what the sentences call it.
    :ivar source: a URL or a path, for the sentences; the checksum says what it is.
    :ivar checksum: the SHA-256 sum of the tarball as hexadecimal digits.
    :ivar configure: the flags of configure, beside the prefix.
    """

    name: str
    source: str
    checksum: str
    prefix: Path
    configure: Sequence[str]

    @property
    def stamp(self) -> str:
        """The text that tells this build from others."""
        inputs = {"checksum": self.checksum, "configure": list(self.configure)}
        return json.dumps(inputs, indent=2, sort_keys=True) + "\n"

    @property
    def stamp_path(self) -> Path:
        """Where the text is kept once the build has landed."""
        return self.prefix / "share" / self.name / "build.json"


def built(recipe: Recipe) -> str:
    """The stamp of what is in the prefix, empty where nothing was built there."""
    try:
        return recipe.stamp_path.read_text(encoding="utf-8")
    except OSError:
        return ""


def parse_checksum(text: str) -> str:
    """The hexadecimal digits of a SHA-256 sum, with or without its prefix.

    :raises BuildError: the text is no such sum.
    """
    digits = text.strip().lower().removeprefix("sha256:")
    if len(digits) != hashlib.sha256().digest_size * 2 or set(digits) - set("0123456789abcdef"):
        raise BuildError(f"The checksum {text!r} is no SHA-256 sum; give its 64 hexadecimal digits.")
    return digits


def require(name: str, needs: Sequence[str]) -> None:
    """Check that the commands which a build calls are there.

    :raises BuildError: some are missing.
    """
    missing = [command for command in needs if shutil.which(command) is None]
    if missing:
        raise BuildError(
            f"{name} is built from source here, and that needs {', '.join(missing)}, which this node does not have; "
            "have a compiler and make installed (Debian: gcc make libc6-dev; RHEL: gcc make)."
        )


def build(recipe: Recipe, fetch: Fetcher, run: Runner, scratch: Path, jobs: int) -> None:
    """Build into the prefix, and record it only when all of it has landed.

    :param scratch: an empty folder to work in.
    :raises BuildError: the tarball is another one, or a step failed.
    """
    archive = fetch(scratch)
    found = _digest(archive)
    if found != recipe.checksum:
        raise BuildError(
            f"{recipe.source} has the SHA-256 sum {found}, but {recipe.checksum} was expected; "
            "the file is damaged or another one: nothing was built from it."
        )
    folder = _unpack(archive, scratch / "source")
    for step in (
        ["./configure", f"--prefix={recipe.prefix}", *recipe.configure],
        ["make", f"-j{jobs}"],
        ["make", "install"],
    ):
        code, output = run(step, folder)
        if code != 0:
            tail = "\n".join(output.strip().splitlines()[-_LINES_OF_A_FAILURE:])
            raise BuildError(
                f"Building {recipe.name} failed: {' '.join(step)} ended with {code}. Its last words:\n{tail}"
            )
    recipe.stamp_path.parent.mkdir(parents=True, exist_ok=True)
    recipe.stamp_path.write_text(recipe.stamp, encoding="utf-8")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _unpack(archive: Path, folder: Path) -> Path:
    """The folder in which configure lies."""
    try:
        with tarfile.open(archive) as tar:
            # Not every Python 3.9 has filters. The checksum has already said that this is the file that was meant.
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                tar.extractall(folder)
    except (OSError, tarfile.TarError) as error:
        raise BuildError(f"{archive.name} cannot be unpacked: {error}.") from error
    found = sorted(folder.glob("configure")) + sorted(folder.glob("*/configure"))
    if not found:
        raise BuildError(
            f"{archive.name} has no configure; give the release tarball, not a snapshot of the repository."
        )
    return found[0].parent
