# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's driver from its own installer: verified, the version that was meant, with the kernel modules that fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import Fetch
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, verified
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

# Runs a program; None where there is none of the name.
Run = Callable[[Sequence[str]], "Finished | None"]

LOG = Path("/var/log/nvidia-installer.log")
# Before, the flavour was the name of a folder in the installer.
_KERNEL_MODULE_TYPE_SINCE = 560
_HEAD = 64 << 10
_LABEL = re.compile(rb'^label="NVIDIA [^"]*? (\d{3}(?:\.\d+){1,2})"', re.MULTILINE)
# How the installer says that it stumbled, in its log.
_ERROR = re.compile(r"^\s*ERROR:\s*(.+)$", re.MULTILINE)


class RunfileError(RuntimeError):
    """The driver cannot be had from this file; the text is a sentence for the user."""


WORDS = Words(
    what="runfile",
    checksum="nvidia_driver_runfile_checksum",
    elsewhere="correct nvidia_driver_runfile, or name a mirror there",
    fail=RunfileError,
    name="driver.run",
)


@dataclass(frozen=True)
class Wish:
    """What is installed.

    :ivar source: an address, or a path on the node. checksum: its SHA-256 sum.
    :ivar flavour: of the kernel modules, open or proprietary.
    :ivar log: where the installer writes what it does.
    """

    source: str
    checksum: str
    version: str
    flavour: str
    log: Path = LOG


def arguments(version: str, flavour: str, dkms: bool) -> list[str]:
    """What the installer is told; it asks nothing and looks for no X server."""
    told = ["--silent", "--accept-license", "--no-x-check", "--no-nouveau-check"]
    if dkms:
        told.append("--dkms")
    if int(version.partition(".")[0]) >= _KERNEL_MODULE_TYPE_SINCE:
        return [*told, f"--kernel-module-type={flavour}"]
    return [*told, "--kernel-module-build-directory=kernel-open"] if flavour == "open" else told


def install(wish: Wish, run: Run, fetch: Fetch) -> None:
    """Verify the runfile and run it.

    :raises RunfileError: it is another file than was meant, or its installer failed.
    """
    with verified(wish.source, wish.checksum, fetch, WORDS) as path:
        _inspect(wish, path)
        done = run(["sh", str(path), *arguments(wish.version, wish.flavour, run(["dkms", "--version"]) is not None)])
    if done is None or done.rc != 0:
        raise RunfileError(
            f"The installer of the driver {wish.version} failed: {_reason(wish.log, done)} All of it is in {wish.log}; "
            "mend that and run again."
        )


def _inspect(wish: Wish, path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    label = _LABEL.search(head)
    if not head.startswith(b"#!") or label is None:
        raise RunfileError(
            f"{wish.source} is no runfile of NVIDIA's driver; a download that ended at a web page looks like that. It "
            "was not run."
        )
    version = label[1].decode()
    if version != wish.version:
        raise RunfileError(
            f"{wish.source} holds the driver {version}, not {wish.version}; correct nvidia_driver_runfile or "
            "nvidia_driver_version. It was not run."
        )


def _reason(log: Path, done: Finished | None) -> str:
    try:
        errors = _ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        errors = []
    words = errors[0] if errors else (done.last_words if done else "there is no shell")
    return f"{words.strip().rstrip('.') or 'it said nothing'}."
