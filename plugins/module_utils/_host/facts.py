# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a node says about itself that decides whether it can take part: clock, disk, account, identity."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict


class Disk(TypedDict):
    """The file system that a folder is on, or will be; path is the nearest folder that exists.

    C(held_by) is the owner of the folder where it is there and holds something, else null.
    """

    path: str
    free_bytes: int
    writable: bool
    held_by: str | None


class Account(TypedDict):
    """An account by its name; home is null where there is no such account."""

    name: str
    exists: bool
    home: str | None


def nearest_existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def disk(path: Path) -> Disk:
    """Room for a folder that need not exist yet; free_bytes is what an ordinary account may still write."""
    place = nearest_existing(path)
    figures = os.statvfs(place)
    return Disk(
        path=str(place),
        free_bytes=figures.f_bavail * figures.f_frsize,
        writable=os.access(place, os.W_OK | os.X_OK),
        held_by=_owner(path) if place == path and _holds_something(path) else None,
    )


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except PermissionError:
        return True


def _owner(path: Path) -> str:
    """The name of the account that a path belongs to; its number where it has no name."""
    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def account(name: str) -> Account:
    """The account of that name, asked of the system's name service."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return Account(name=name, exists=False, home=None)
    return Account(name=name, exists=True, home=entry.pw_dir)


def identity(root: Path) -> str | None:
    """A text that two names share only when they lead to one running machine or container; null where unknown.

    The boot id tells machines apart even where images share a machine-id, the process namespace tells containers apart.
    """
    try:
        boot = (root / "proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(root / 'proc/self/ns/pid').readlink()}"
    except OSError:
        return None


# File systems that several machines mount at the same time, as the kernel names them.
_SHARED_KINDS = re.compile(
    r"nfs4?|lustre|gpfs|ceph|beegfs|cifs|smb3|gfs2|ocfs2|afs|panfs|wekafs|pvfs2|fuse\.(glusterfs|ceph\S*|juicefs|sshfs)"
)


# What is in a home, and changes at different moments on machines that were made from one image.
_IN_A_HOME = (".", ".ssh", ".ssh/authorized_keys", ".bashrc", ".ansible")


def home_identity(root: Path, path: Path) -> str | None:
    """A text that two nodes share only when a home is one and the same for both; null where unknown.

    Two machines share a folder of a network's file system: the same source and inode. Two containers may share any
    folder: the same device, inodes and times. Machines from one image have other times, to the nanosecond.
    """
    try:
        found = path.stat()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        files = [(path / name).stat() for name in _IN_A_HOME if (path / name).exists()]
    except OSError:
        return None
    device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    for line in mounts:
        of_mount, _separator, of_system = (part.split() for part in line.partition(" - "))
        if len(of_mount) > 2 and of_mount[2] == device and len(of_system) > 1 and _SHARED_KINDS.fullmatch(of_system[0]):
            return f"{of_system[0]} {of_system[1]} {found.st_ino}"
    return f"{device} {' '.join(f'{file.st_ino}:{file.st_ctime_ns}' for file in files)}"


def glibc(confstr: Callable[[str], str | None]) -> str | None:
    """The version of the GNU C library such as 2.36; null where the system has another one.

    :param confstr: os.confstr, or what stands for it. Only glibc knows the name that is asked for.
    """
    try:
        found = re.fullmatch(r"glibc (\d+\.\d+)(\.\d+)?", confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        return None
    return found[1] if found else None
