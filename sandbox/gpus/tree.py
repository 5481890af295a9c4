"""Files, folders and links to be, as one mapping from paths to what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Program:
    """A text file that may be executed."""

    text: str


@dataclass(frozen=True)
class Folder:
    """A folder that is there even when nothing lies in it."""


Entry: TypeAlias = str | bytes | Link | Program | Folder
# Paths are relative to a root and have no leading slash.
Tree = Mapping[str, Entry]


def write(root: Path, tree: Tree) -> None:
    """Make every entry below a root; what lies in its place is replaced, its neighbours stay."""
    for name, entry in tree.items():
        path = root / name
        if isinstance(entry, Folder):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(entry, Link):
            path.symlink_to(entry.target)
        elif isinstance(entry, bytes):
            path.write_bytes(entry)
        else:
            path.write_text(entry.text if isinstance(entry, Program) else entry, encoding="utf-8")
            path.chmod(0o755 if isinstance(entry, Program) else 0o644)
