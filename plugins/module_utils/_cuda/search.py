# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the toolkits of a node are, and where the path that stands for the default one leads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import Start, Toolkit, look
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor

# update-alternatives keeps its links here, on Debian and in the RHEL family.
ALTERNATIVES = "/etc/alternatives/"
# What it knows of each name: Debian's folder, that of the RHEL family.
ADMIN_FOLDERS = ("/var/lib/dpkg/alternatives", "/var/lib/alternatives")


@dataclass(frozen=True)
class Link:
    """What the path of the default toolkit is, where it leads, and what else the alternatives offer."""

    kind: str
    target: str = ""
    choices: tuple[str, ...] = ()


def find(version: str, folders: Sequence[Path], start: Start) -> tuple[Path, Toolkit]:
    """The folder where a toolkit of a version belongs, and the first that serves, else what is at that folder.

    :param folders: what may hold folders such as cuda-13.0; it belongs into the first.
    """
    name = f"cuda-{minor(version)}"
    home = folders[0] / name
    first = look(home, start)
    if first.serves(version):
        # A link that this collection made leads to where it really is.
        return home, replace(first, prefix=home.resolve())
    for folder in folders[1:]:
        other = look(folder / name, start)
        if other.serves(version):
            return home, replace(other, prefix=other.prefix.resolve())
    return home, replace(first, prefix=home.resolve())


def default_link(path: Path, admin_folders: Iterable[str] = ADMIN_FOLDERS) -> Link:
    """What is at a path such as /usr/local/cuda."""
    if not path.is_symlink():
        return Link("folder", str(path)) if path.exists() else Link("missing")
    target = str(path.resolve())
    if not str(path.readlink()).startswith(ALTERNATIVES):
        return Link("link", target)
    return Link("alternatives", target, tuple(_choices(path, admin_folders)))


def _choices(path: Path, admin_folders: Iterable[str]) -> list[str]:
    """The paths that can be chosen: in the file of a name, lines with a path above a line with its priority."""
    for folder in admin_folders:
        try:
            lines = Path(folder, path.name).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        pairs = zip(lines, lines[1:])
        return [line for line, priority in pairs if line.startswith("/") and priority.strip().lstrip("-").isdigit()]
    return []


def names(homes: Iterable[Path], link: Link, path: Path) -> set[str]:
    """Every name that leads to the default toolkit."""
    known = {str(home) for home in homes}
    return known | ({str(path)} if link.target in known else set())
