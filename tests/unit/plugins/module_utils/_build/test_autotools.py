# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.autotools import (
    BuildError,
    Recipe,
    build,
    built,
    require,
)

SUM = "b47b3e4662736ef44b6fe86e3d380f95e591863e69163aa0592e9f9f618521e9"


class Workshop:
    """A tarball, a prefix, and a runner that remembers what it was asked for."""

    def __init__(self, folder: Path, *files: str) -> None:
        self.folder = folder
        self.commands: list[str] = []
        self.failing = ""
        for name in files or ("tool-1.0/configure",):
            path = folder / "packed" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
        self.archive = folder / "tool-1.0.tar.gz"
        with tarfile.open(self.archive, "w:gz") as tar:
            for path in (folder / "packed").iterdir():
                tar.add(path, path.name)
        digest = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self.recipe = Recipe("tool", digest, folder / "prefix", ["--with-ssh"])

    def run(self, command: Sequence[str], folder: Path) -> tuple[int, str]:
        assert (folder / "configure").is_file()
        self.commands.append(" ".join(command))
        failed = bool(self.failing) and self.commands[-1].startswith(self.failing)
        return (2, "line one\nno such header") if failed else (0, "")

    def build(self, recipe: Recipe | None = None) -> None:
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        build(recipe or self.recipe, self.archive, self.run, scratch, jobs=3)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_the_steps_run_in_order_in_the_unpacked_folder(workshop: Workshop) -> None:
    workshop.build()
    prefix = workshop.recipe.prefix
    assert workshop.commands == [f"./configure --prefix={prefix} --with-ssh", "make -j3", "make install"]


def test_what_was_built_is_recorded_and_other_inputs_are_another_build(workshop: Workshop) -> None:
    assert built(workshop.recipe) == ""
    workshop.build()
    assert built(workshop.recipe) == workshop.recipe.stamp
    assert built(workshop.recipe) != replace(workshop.recipe, configure=["--with-rsh"]).stamp
    assert built(workshop.recipe) != replace(workshop.recipe, checksum=SUM).stamp


@pytest.mark.parametrize("step", ["./configure", "make -j", "make install"])
def test_a_failed_step_leaves_no_record_and_its_last_words(workshop: Workshop, step: str) -> None:
    workshop.failing = step
    with pytest.raises(BuildError, match=rf"Building tool failed: {step}.* ended with 2.*\n.*line one\nno such header"):
        workshop.build()
    assert built(workshop.recipe) == ""


def test_a_snapshot_without_configure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"has no configure; give the release tarball"):
        Workshop(tmp_path, "tool-1.0/configure.ac").build()


def test_a_file_that_is_no_tarball_is_refused(workshop: Workshop) -> None:
    workshop.archive.write_text("<html>not found</html>")
    with pytest.raises(BuildError, match="cannot be unpacked"):
        workshop.build()


def test_what_is_missing_is_named_at_once() -> None:
    with pytest.raises(BuildError, match="needs no-such-cc, no-such-make, which this node does not have"):
        require("tool", ["no-such-cc", "sh", "no-such-make"])
    require("tool", ["sh"])
