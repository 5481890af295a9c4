# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines in profiles that set another CUDA than the one that is wished for. They are named, never changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Read by every shell that logs in.
SYSTEM_FILES = ("etc/environment", "etc/profile", "etc/bash.bashrc", "etc/bashrc", "etc/zsh/zshenv")
SYSTEM_FOLDERS = ("etc/profile.d",)
# Read by the shells of one account.
HOME_FILES = (
    *(".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zshenv", ".zprofile"),
    *(".cshrc", ".tcshrc"),
)

_SETS = re.compile(r"\b(CUDA_HOME|CUDA_PATH|CUDA_ROOT|CUDACXX|PATH|LD_LIBRARY_PATH|LIBRARY_PATH)\b[\s=]")
_CUDA_PATH = re.compile(r"(/[\w./+-]*?/cuda(?:[-_]?\d+(?:\.\d+)*)?)(?=[/:;\"'\s]|$)")
_OURS = re.compile(r"^# (BEGIN|END) .*fromzero\.deepspeed")


@dataclass(frozen=True)
class Line:
    """One line of a profile, counted from 1, and the toolkits that it names."""

    file: str
    number: int
    text: str
    toolkits: tuple[str, ...]


def others(text: str, file: str, wished: Collection[str]) -> Iterator[Line]:
    """The lines that set a CUDA which is none of those that are wished for.

    :param wished: paths of the wished toolkit, by each of its names.
    """
    ours = False
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _OURS.match(line)
        if mark:
            ours = mark.group(1) == "BEGIN"
        if ours or line.lstrip().startswith("#") or not _SETS.search(line):
            continue
        strangers = tuple(path for path in dict.fromkeys(_CUDA_PATH.findall(line)) if path not in wished)
        if strangers:
            yield Line(file, number, line.strip(), strangers)


def search(homes: Iterable[Path], wished: Collection[str], own: Collection[str], root: Path = Path("/")) -> list[Line]:
    """Such lines in the profiles of the system and of some homes.

    :param own: files that this collection writes.
    """
    files = [root / name for name in SYSTEM_FILES]
    files += [path for folder in SYSTEM_FOLDERS for path in sorted((root / folder).glob("*"))]
    files += [home / name for home in homes for name in HOME_FILES]
    found: list[Line] = []
    for file in files:
        if str(file) in own or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found += others(text, str(file), wished)
    return found
