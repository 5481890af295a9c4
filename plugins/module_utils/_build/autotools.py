# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds a release tarball with configure and make, once for each set of inputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.archive import ArchiveError, unpack
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write

#: Runs a command in a folder and returns its exit code and all that it printed.
Runner = Callable[[Sequence[str], Path], tuple[int, str]]

_LINES_OF_A_FAILURE = 15


class BuildError(RuntimeError):
    """The build cannot begin or failed; the text is a sentence for the user."""


@dataclass(frozen=True)
class Recipe:
    """What is built, and how; the stamp in the prefix records all of it.

    :ivar name: what the sentences call it.
    :ivar checksum: the SHA-256 sum of the tarball as hexadecimal digits.
    :ivar configure: the flags of configure, beside the prefix.
    """

    name: str
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


def build(recipe: Recipe, tarball: Path, run: Runner, scratch: Path, jobs: int) -> None:
    """Build into the prefix, and record it only when all of it has landed.

    :param tarball: known to be the one that is meant.
    :param scratch: a folder to work in.
    :raises BuildError: the tarball is no release, or a step failed.
    """
    try:
        folder = unpack(tarball, scratch / "source")
    except ArchiveError as error:
        raise BuildError(str(error)) from error
    if not (folder / "configure").is_file():
        raise BuildError(
            f"{tarball.name} has no configure; give the release tarball, not a snapshot of the repository."
        )
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
    write(recipe.stamp_path, recipe.stamp)
