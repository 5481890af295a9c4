# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A CUDA toolkit from NVIDIA's runfile: verified, installed without its driver, whole or not at all.

The installer writes its target into files of its own, so an installation cannot be made elsewhere and renamed. A mark
beside the prefix tells instead whether the installer came to its end (module_utils/_files/installation.py).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import (
    BROKEN,
    BUSY,
    CUT_OFF,
    MISSING,
    OCCUPIED,
    PRESENT,
    Start,
    Toolkit,
    inspect,
    look,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import Fetch
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import (
    Mark,
    account,
    nearest_folder,
    one_line,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import (
    Words,
    require_sum,
    verified,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

# argv, variables beside those of the account, seconds, files that the program inherits
Install = Callable[[Sequence[str], Mapping[str, str], float, Sequence[int]], Finished]

# The installer is linked with this one, and says nothing useful where it is missing.
LIBRARY = "libxml2.so.2"
LOG = "cuda-installer.log"
_HEAD = 64 << 10
# What a runfile becomes where its header does not tell: twice its size, as those of NVIDIA do.
_GROWTH = 2
_FILES = re.compile(rb'^filesizes="([\d ]+)"', re.MULTILINE)
_LINES = re.compile(rb'^skip="(\d+)"|head -n (\d+) "\$0"', re.MULTILINE)
_UNPACKED = re.compile(rb"Uncompressed size: (\d+) KB")
_FOREIGN = {"x86_64": re.compile(r"_(sbsa|aarch64|arm64|ppc64le)\b"), "aarch64": re.compile(r"_linux\.run$|x86_64")}


class RunfileError(RuntimeError):
    """A toolkit cannot be had from a runfile; the message is a sentence for the user."""


WORDS = Words(
    what="runfile",
    checksum="its checksum in cuda_toolkit_runfiles",
    elsewhere="correct its source in cuda_toolkit_runfiles, or name a mirror (cuda_toolkit_runfile_mirror)",
    fail=RunfileError,
    name="cuda.run",
)


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    :param version: such as 13.0, or 13.0.3 where it must be that one.
    :param runfile: an address, or a path on the node; empty where there is none.
    :param scratch: the folder for what is unpacked; None where the first one that serves is taken.
    :param timeout: in seconds.
    """

    prefix: Path
    version: str
    runfile: str = ""
    checksum: str = ""
    scratch: Path | None = None
    timeout: float = 3600


@dataclass(frozen=True)
class Node:
    """What a node can do; tests hand in their own.

    :param loads: whether a shared library can be loaded.
    :param temporary: the folder that the installer writes its log to, whatever else it is told.
    """

    start: Start
    install: Install
    fetch: Fetch
    loads: Callable[[str], bool]
    machine: str
    root: bool
    temporary: Path = Path("/tmp")


@dataclass(frozen=True)
class Header:
    """What the head of a runfile says: the size of the whole, and of what it unpacks; 0 where it does not."""

    size: int = 0
    unpacked: int = 0


def ensure(wish: Wish, node: Node, check: bool = False) -> tuple[Toolkit, Toolkit]:
    """Have the toolkit at its prefix; return what was there and what is there, or in check mode would be.

    :raises RunfileError: with a sentence about what stands in the way; nothing is left half done.
    """
    before = look(wish.prefix, node.start)
    if before.serves(wish.version):
        return before, before
    _judge(wish, node, before, check)
    if check:
        return before, Toolkit(wish.prefix, PRESENT, wish.version)
    with verified(
        wish.runfile, wish.checksum, node.fetch, WORDS, folder=nearest_folder(wish.prefix), suspicion=suspicion
    ) as runfile:
        header = read_header(runfile, wish.runfile)
        need = header.unpacked or runfile.stat().st_size * _GROWTH
        with _scratch(wish, node, need) as scratch, Mark(wish.prefix, wish.timeout, RunfileError) as mark:
            now = before if mark.was_cut_off else inspect(wish.prefix, node.start)
            if now.serves(wish.version):
                return before, now  # Another node that shares this folder was faster.
            return before, _install(wish, node, mark, runfile, scratch)


def _judge(wish: Wish, node: Node, found: Toolkit, check: bool) -> None:
    """Refuse what must not be done, before anything changes or is downloaded."""
    prefix = wish.prefix
    if found.state == PRESENT:
        raise RunfileError(
            f"{prefix} holds CUDA {found.version}, and {wish.version} is wished for; wish for the one that is there "
            f"(cuda_toolkit_versions), move it away, or name another folder (cuda_toolkit_prefix)."
        )
    if found.state in (BROKEN, OCCUPIED):
        raise RunfileError(
            f"{prefix} exists, but {found.reason}. It was neither used nor changed. Repair it or move it away, or name "
            f"another folder (cuda_toolkit_prefix)."
        )
    if re.search(r"\s", str(prefix)):
        raise RunfileError(f"CUDA cannot be installed into '{prefix}', which has a space in it; name another folder.")
    if not wish.runfile:
        raise RunfileError(
            f"There is no CUDA {wish.version} at {prefix} and no runfile for it; name one in cuda_toolkit_runfiles."
        )
    foreign = _FOREIGN.get(node.machine)
    if foreign and foreign.search(wish.runfile.rpartition("/")[2]):
        raise RunfileError(
            f"{wish.runfile} is by its name for another architecture than {node.machine}, that of this node; name the "
            f"runfile for this one."
        )
    require_sum(wish.checksum, wish.runfile, WORDS)
    folder = nearest_folder(prefix)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunfileError(
            f"{account()} may not write to {folder}, where {prefix} has to go; hand the folder to that account or name "
            f"another one (cuda_toolkit_prefix)."
        )
    # In check mode, the package with it may be one that would have been installed before.
    if not node.loads(LIBRARY) and not (check and node.root):
        raise RunfileError(
            f"NVIDIA's installer needs the library {LIBRARY}, which this node does not have; install it (libxml2)."
        )
    log = node.temporary / LOG
    if not node.root and log.exists() and log.stat().st_uid != os.getuid():
        raise RunfileError(
            f"{log} belongs to another account, and NVIDIA's installer breaks down over it; ask that account, or root, "
            f"to remove it."
        )


def suspicion(path: Path) -> str:
    """What a file that is not the expected one looks like, as a sentence; empty where it may be anything."""
    try:
        read_header(path, "It")
    except RunfileError as error:
        return str(error)
    return ""


def read_header(path: Path, name: str) -> Header:
    """The head of a runfile.

    :param name: what a sentence calls the file.
    :raises RunfileError: it is no runfile, or cut short.
    """
    with path.open("rb") as source:
        head = source.read(_HEAD)
    if not head.startswith(b"#!"):
        begins = one_line(head[:60].decode("ascii", "replace")) or "nothing at all"
        page = " That is a web page, perhaps one that asks to log in." if head.lstrip()[:1] == b"<" else ""
        raise RunfileError(f"{name} is no runfile: it begins with '{begins}'.{page}")
    sizes, lines, unpacked = _FILES.search(head), _LINES.search(head), _UNPACKED.search(head)
    if not sizes and b"akeself" not in head:
        raise RunfileError(f"{name} is a script, but no runfile of NVIDIA's: it has no archive in it.")
    if not sizes or not lines:
        return Header()
    count = int(next(group for group in lines.groups() if group))
    text = sum(map(len, head.splitlines(keepends=True)[:count]))
    whole = text + sum(map(int, sizes.group(1).split()))
    there = path.stat().st_size
    if there < whole:
        raise RunfileError(f"{name} is cut short: it has {there} of {whole} bytes.")
    return Header(whole, int(unpacked.group(1)) << 10 if unpacked else 0)


@contextmanager
def _scratch(wish: Wish, node: Node, need: int) -> Iterator[Path]:
    """A folder that programs can be unpacked to and run from, on a disk that holds C(need) bytes; gone afterwards."""
    home = nearest_folder(wish.prefix)
    candidates = [wish.scratch] if wish.scratch else [node.temporary, home]
    reasons = []
    for folder in candidates:
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            reasons.append(f"{folder} cannot be written")
        elif os.statvfs(folder).f_flag & os.ST_NOEXEC:
            reasons.append(f"no program may run from {folder} (it is mounted noexec)")
        elif _free(folder) < need * (2 if folder.stat().st_dev == home.stat().st_dev else 1):
            reasons.append(f"{folder} has {_free(folder) >> 20} MiB left")
        else:
            break
    else:
        raise RunfileError(
            f"The runfile unpacks {need >> 20} MiB, and as much goes to {wish.prefix}: {', and '.join(reasons)}. Make "
            f"room, or name a folder that has it (cuda_toolkit_scratch)."
        )
    if _free(home) < need:
        raise RunfileError(
            f"CUDA {wish.version} needs {need >> 20} MiB in {home}, which has {_free(home) >> 20} MiB left; make room, "
            f"or name another folder (cuda_toolkit_prefix)."
        )
    own = Path(tempfile.mkdtemp(prefix="cuda-", dir=folder))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _install(wish: Wish, node: Node, mark: Mark, runfile: Path, scratch: Path) -> Toolkit:
    """Run the installer. What an earlier one left half made is removed first, and so is what this one does."""
    prefix, log = wish.prefix, node.temporary / LOG
    shutil.rmtree(prefix, ignore_errors=True)
    log.unlink(missing_ok=True)
    mark.begin()
    argv = [
        *("sh", str(runfile), "--silent", "--toolkit", f"--toolkitpath={prefix}"),
        # --override passes over the installer's own opinion on gcc: the role checks it, and brings one that fits.
        *("--override", "--no-man-page", f"--tmpdir={scratch}"),
        # Menus and links for the whole system go there instead of to places that only root may write.
        *(() if node.root else (f"--defaultroot={prefix}",)),
    ]
    finished = node.install(argv, {"TMPDIR": str(scratch)}, wish.timeout, (mark.file,))
    made = inspect(prefix, node.start)
    if finished.rc != 0 or not made.serves(wish.version):
        shutil.rmtree(prefix, ignore_errors=True)
        mark.end()
        raise RunfileError(
            f"The runfile {wish.runfile} failed and what it made is removed: {_why(finished, made, log)}."
        )
    mark.end()
    return made


def _why(finished: Finished, made: Toolkit, log: Path) -> str:
    said = _end_of(log) or finished.stderr.strip() or finished.stdout.strip()
    if finished.rc == 0:
        there = f"CUDA {made.version} is there" if made.state == PRESENT else made.reason or "nothing is there"
        return f"it ended well, but {there}"
    ended = "time was up" if finished.rc is None else f"it ended with {finished.rc}"
    if "Exec format error" in f"{finished.stderr}{finished.stdout}":
        return f"{ended}, since its programs are for another architecture"
    full = ". A disk is full; make room" if "No space left on device" in f"{said}{finished.stderr}" else ""
    return f"{ended} and said: {one_line(said) or 'nothing'}{full}"


def _end_of(log: Path) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    except OSError:
        return ""


__all__ = ["BUSY", "CUT_OFF", "MISSING", "Node", "RunfileError", "Wish", "ensure", "read_header", "suspicion"]
