# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Change a few files of the system together: all of them, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import keep_copy, write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import about


@dataclass
class Journal:
    """Writes and removes files, and knows how to bring back what was there.

    :ivar dry: only remember what would change.
    :ivar backups: copies of files that somebody else has made.
    """

    dry: bool = False
    backups: list[str] = field(default_factory=list)
    _before: dict[Path, bytes | None] = field(default_factory=dict)
    _after: dict[Path, bytes | None] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any file is another one than before."""
        return any(self._before[path] != self._after[path] for path in self._after)

    @property
    def diff(self) -> list[dict[str, str]]:
        """Each changed file before and after, as Ansible shows it."""
        return [
            {
                "before_header": str(path),
                "after_header": str(path),
                "before": _shown(self._before[path]),
                "after": _shown(after),
            }
            for path, after in self._after.items()
            if after != self._before[path]
        ]

    def read(self, path: Path) -> bytes | None:
        """What a file holds, or would hold by now; None where there is none."""
        if path in self._after:
            return self._after[path]
        return path.read_bytes() if path.is_file() else None

    def is_new(self, path: Path) -> bool:
        """Whether a file was not there before."""
        return path in self._before and self._before[path] is None

    def write(self, path: Path, content: bytes, *, keep: bool = False) -> None:
        """Give a file its content, readable for all.

        :param keep: what is there was written by somebody else, and a copy of it stays.
        """
        if self.read(path) == content:
            return
        self._remember(path, content, keep=keep)
        if not self.dry:
            put(path, content)

    def remove(self, path: Path, *, keep: bool = False) -> None:
        """Remove a file where it is there."""
        if self.read(path) is None:
            return
        self._remember(path, None, keep=keep)
        if not self.dry:
            with about(path):
                path.unlink()

    def witness(self, path: Path) -> None:
        """Take note of a file that another program is about to change."""
        self._before.setdefault(path, path.read_bytes() if path.is_file() else None)
        self._after.setdefault(path, self._before[path])

    def look_again(self) -> None:
        """Take note of what other programs have made of the files."""
        for path in self._after:
            self._after[path] = path.read_bytes() if path.is_file() else None

    def undo(self) -> None:
        """Bring everything back to what it was."""
        if self.dry:
            return
        for path, content in self._before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif not path.is_file() or path.read_bytes() != content:
                put(path, content)
        for copy in self.backups:
            Path(copy).unlink(missing_ok=True)
        self.backups.clear()

    def _remember(self, path: Path, content: bytes | None, *, keep: bool) -> None:
        before = self.read(path)
        self._before.setdefault(path, before)
        self._after[path] = content
        if keep and before is not None and not self.dry:
            with about(path):
                self.backups.append(str(keep_copy(path)))


def put(path: Path, content: bytes) -> None:
    """Write a file at once, as root's and readable for all."""
    with about(path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(path, content, 0o644)


def _shown(content: bytes | None) -> str:
    if content is None:
        return ""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"
