# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An installation of conda at a prefix: what is there, whether it may be used, and how it comes about.

An installation is whole when its installer ended well and C(bin/conda) runs. While an installer works, it holds a lock
on a file C(<prefix>.installing) beside the prefix. Such a file without a lock means that an installer was cut off.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.installer import Fetch, require_sum, verified
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import (
    CondaError,
    Start,
    account,
    one_line,
    require_writable,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import Mark, held, mark_of

MISSING, PRESENT, BUSY, CUT_OFF, BROKEN, OCCUPIED = "missing", "present", "busy", "cut off", "broken", "occupied"
# How long conda may take to say its version: seconds, on a slow network file system.
VERSION_SECONDS = 120

# Written by this collection into an installation that it made; one without is somebody's own and is left as it is.
_OURS = Path("conda-meta", "fromzero")
_TRACES = ("conda-meta", "condabin", "install_tmp", "pkgs", "_conda", "conda.exe", "_conda.exe")
_ANACONDA = re.compile(r"^(defaults|anaconda|main|r|msys2|pkgs/.*|.*\brepo\.anaconda\.com\b.*)$")
_CUT_OFF_TIME = "%Y%m%dT%H%M%S"
_CUT_OFF = re.compile(r"\.cut-off-\d{8}T\d{6}")
_VERSION = re.compile(r"\bconda (\S+)")

# Makes a way to start programs that inherit these open files.
Starter = Callable[[tuple[int, ...]], Start]


@dataclass(frozen=True)
class Wish:
    """What the user asked for; C(timeout) in seconds, an empty C(condarc) leaves the file alone."""

    prefix: Path
    distribution: str = "miniforge"
    installer: str = ""
    checksum: str = ""
    channels: tuple[str, ...] = ()
    accept_anaconda_terms: bool = False
    condarc: str = ""
    timeout: float = 1800

    @property
    def conda(self) -> Path:
        return self.prefix / "bin" / "conda"


@dataclass(frozen=True)
class Found:
    """What is at the prefix; C(reason) is a part of a sentence where conda cannot be used."""

    state: str
    version: str = ""
    ours: bool = False
    condarc: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was there, what is there, and where a half-made installation went that holds environments."""

    before: Found
    after: Found
    moved_to: str = ""
    backup: str = ""

    @property
    def changed(self) -> bool:
        return self.action != "none"

    @property
    def action(self) -> str:
        if self.before == self.after:
            return "none"
        return "configure" if self.before.state == PRESENT else "install"


def look(prefix: Path, start: Start) -> Found:
    """What is at the prefix, without changing it."""
    mark = mark_of(prefix)
    if mark.exists():
        return Found(BUSY) if held(mark) else Found(CUT_OFF)
    return _inspect(prefix, start)


def _inspect(prefix: Path, start: Start) -> Found:
    if not prefix.exists() or (prefix.is_dir() and not any(prefix.iterdir())):
        return Found(MISSING)
    if not any((prefix / trace).exists() for trace in _TRACES):
        return Found(OCCUPIED)
    for part in (Path("bin", "conda"), Path("conda-meta", "history")):
        if not (prefix / part).is_file():
            return Found(BROKEN, reason=f"it has no {part}")
    if (prefix / "install_tmp").exists():
        return Found(BROKEN, reason="it has the folder install_tmp, in which an installer works")
    finished = start([str(prefix / "bin" / "conda"), "--version"], VERSION_SECONDS)
    said = _VERSION.search(finished.stdout)
    if finished.rc != 0 or not said:
        return Found(BROKEN, reason=f"bin/conda does not run ({one_line(finished.last_words or 'no answer', 200)})")
    condarc = prefix / ".condarc"
    text = condarc.read_text("utf-8") if condarc.is_file() and os.access(condarc, os.R_OK) else ""
    return Found(PRESENT, said.group(1), (prefix / _OURS).is_file(), text)


def judge(wish: Wish, found: Found) -> None:
    """Refuse what must not be done, before anything changes.

    :raises CondaError: with a sentence for the user.
    """
    prefix = wish.prefix
    theirs = [channel for channel in wish.channels if _ANACONDA.match(channel)]
    if not wish.accept_anaconda_terms and (theirs or wish.distribution in ("miniconda", "anaconda")):
        what = f"The channels {', '.join(theirs)} are" if theirs else f"The distribution {wish.distribution} is"
        raise CondaError(
            f"{what} Anaconda's, under terms that only you can accept: read https://www.anaconda.com/legal and set "
            f"conda_accept_anaconda_terms: true, or keep to conda_distribution: miniforge and conda_channels: "
            f"[conda-forge]."
        )
    if found.state == OCCUPIED:
        raise CondaError(f"{prefix} exists and holds no conda; move it away or name another folder (conda_prefix).")
    if found.state == BROKEN:
        raise CondaError(
            f"{prefix} holds an installation of conda that is not whole: {found.reason}. It was neither used nor "
            f"changed. Repair it, move it away, or name another folder (conda_prefix)."
        )
    if found.state == PRESENT:
        return
    if wish.distribution == "existing":
        raise CondaError(
            f"There is no conda at {wish.conda}, and conda_distribution: existing installs none; name the folder of "
            f"the installation (conda_prefix), or choose a distribution."
        )
    if re.search(r"\s", str(prefix)):
        raise CondaError(f"conda cannot be installed into '{prefix}', which has a space in it; name another folder.")
    if not wish.installer:
        raise CondaError(f"There is no conda at {prefix} and no installer; set conda_version or conda_installer_url.")
    require_sum(wish.checksum, wish.installer)


def ensure(wish: Wish, starter: Starter, fetch: Fetch, backup: Callable[[str], str], check: bool = False) -> Outcome:
    """Have conda at the prefix, or in check mode say whether it would be installed or configured.

    :param backup: copies a file and returns the path of the copy.

    :raises CondaError: with a sentence about what stands in the way; nothing is left half done.
    """
    before = look(wish.prefix, starter(()))
    judge(wish, before)
    if before.state == PRESENT and (not before.ours or before.condarc == wish.condarc or not wish.condarc):
        return Outcome(before, before)
    if check:
        return Outcome(before, Found(PRESENT, before.version, True, wish.condarc or before.condarc))
    condarc = wish.prefix / ".condarc"
    if before.state == PRESENT:
        kept = backup(str(condarc)) if condarc.is_file() else ""
        _write(condarc, wish.condarc)
        return Outcome(before, look(wish.prefix, starter(())), backup=kept)
    moved_to = _install(wish, starter, fetch)
    if wish.condarc:
        _write(condarc, wish.condarc)
    return Outcome(before, look(wish.prefix, starter(())), moved_to)


def _install(wish: Wish, starter: Starter, fetch: Fetch) -> str:
    """Run the installer; return where a half-made installation was moved to, if there was one that must stay."""
    prefix = wish.prefix
    require_writable(prefix.parent, "hand the folder to that account or name another one (conda_prefix).")
    with verified(wish.installer, wish.checksum, fetch) as installer, Mark(prefix, wish.timeout, CondaError) as lock:
        if not lock.was_cut_off:
            now = _inspect(prefix, starter(()))
            judge(wish, now)
            if now.state == PRESENT:
                return ""  # Another node that shares this folder was faster.
        moved_to = _move_aside(prefix) if lock.was_cut_off else ""
        if prefix.is_dir():
            prefix.rmdir()  # Empty, and the installer wants none.
        lock.begin()
        finished = starter((lock.file,))(["bash", str(installer), "-b", "-p", str(prefix)], wish.timeout)
        if finished.rc == 0:
            found = _inspect(prefix, starter(()))
            problem = f"it ended well, but {found.reason or 'no conda is there'}" if found.state != PRESENT else ""
        else:
            ended = "time was up" if finished.rc is None else f"it ended with {finished.rc}"
            problem = f"{ended} and said: {one_line(finished.stderr.strip() or finished.stdout.strip())}"
        if problem:
            shutil.rmtree(prefix, ignore_errors=True)
        else:
            (prefix / _OURS).write_text(f"{wish.installer}\n", "utf-8")
        lock.end()
        if problem:
            full = "No space left on device" in problem
            raise CondaError(
                f"The installer {wish.installer} failed and what it made in {prefix} is removed: {problem}"
                f"{'. The disk is full there or in the folder for temporary files; make room.' if full else ''}"
            )
        _remove_cut_off(prefix)
        return moved_to if moved_to and Path(moved_to).exists() else ""


def _move_aside(prefix: Path) -> str:
    if not prefix.exists():
        return ""
    target = prefix.with_name(f"{prefix.name}.cut-off-{time.strftime(_CUT_OFF_TIME, time.gmtime())}")
    prefix.rename(target)
    return str(target)


def _remove_cut_off(prefix: Path) -> None:
    """Remove what installers that were cut off have made; one with environments in it was in use, and stays."""
    for folder in prefix.parent.glob(f"{prefix.name}.cut-off-*"):
        environments = folder / "envs"
        used = environments.is_dir() and any(entry.is_dir() for entry in environments.iterdir())
        if _CUT_OFF.fullmatch(folder.name[len(prefix.name) :]) and not folder.is_symlink() and not used:
            shutil.rmtree(folder, ignore_errors=True)


def _write(target: Path, text: str) -> None:
    try:
        write(target, text)
    except OSError as error:
        raise CondaError(f"{account()} may not write {target} ({error.strerror}); hand it to that account.") from error
