"""A whole host below a root, for tests that need no node: what its disk, its kernel and its packages show."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.gpus.files import at_creation, devices, disk, libraries, view
from sandbox.gpus.packages import installed
from sandbox.gpus.tree import Entry, Link, write
from sandbox.gpus.world import World, read
from sandbox.nvidia.deb import File


def materialise(said: Mapping[str, Any] | None, root: Path, *, release: str = "", hostname: str = "node1") -> None:
    """Write the host that a world's mapping says below a root: disk, /proc, /sys and /dev, packages included.

    :param release: of the running kernel; that of this machine where it is not given.
    :param hostname: what tells the UUIDs of its GPUs from those of another host of the same world.
    :raises WorldError: the world is not what it should be.
    """
    world = read(said)
    release = release or platform.release()
    kernel = at_creation(world)
    # Where the packages bring more or less than the world has, the world is right.
    for tree in (_packages(world), disk(world, release), libraries(world), view(world, kernel, hostname)):
        write(root, tree)
    write(root, {f"dev/{name}": b"" for name in devices(world, kernel)})


def _packages(world: World) -> dict[str, Entry]:
    """The files of all packages, and dpkg's records of them."""
    tree: dict[str, Entry] = {}
    stanzas = []
    for package, state in installed(world):
        stanzas.append(f"Package: {package.name}\nStatus: {state}\n{package.control.partition(chr(10))[2]}")
        names = [*package.files, *package.links]
        tree[f"var/lib/dpkg/info/{package.name}.list"] = "".join(f"{name}\n" for name in names)
        for name, file in package.files.items():
            content = file.content if isinstance(file, File) else file
            tree[name.lstrip("/")] = content.read_bytes() if isinstance(content, Path) else content
        tree |= {name.lstrip("/"): Link(target) for name, target in package.links.items()}
    return {**tree, "var/lib/dpkg/status": "\n".join(stanzas)}
