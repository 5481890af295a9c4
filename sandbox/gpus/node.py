"""How a world gets into a node of the sandbox: one folder that the node mounts where the simulator is at home."""

from __future__ import annotations

import difflib
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.gpus.packages import installed
from sandbox.gpus.programs import LAUNCHER, PROGRAMS
from sandbox.gpus.tree import Program, write
from sandbox.gpus.world import WorldError, read
from sandbox.nvidia import deb
from sandbox.shell import ROOT, SandboxError

WORLDS = ROOT / "molecule" / "shared" / "worlds"
# What the nodes need of this package; the rest makes packages, which is done before they start.
_MODULES = ("__init__", "drivers", "files", "kmod", "machine", "programs", "smi", "tools", "tree", "world")


def assign(words: Iterable[str], nodes: Sequence[str]) -> dict[str, Path]:
    """The file of each node's world, from words such as C(node2=a100x8-driver470) or plain names in the nodes' order.

    :raises SandboxError: a world or a node is not there.
    """
    chosen: dict[str, Path] = {}
    order = iter(nodes)
    for word in words:
        node, equals, name = word.rpartition("=")
        if not equals:
            node = next(order, "")
        if node not in nodes:
            raise SandboxError(
                f"World '{name}' is for node '{node}', which the cluster has not: {', '.join(nodes)}."
                if node
                else f"There are more worlds than nodes: nothing is left for '{name}'."
            )
        chosen[node] = find(name)
    return chosen


def find(name: str) -> Path:
    """The file of a world, by its name or its path."""
    path = Path(name) if name.endswith(".yml") else WORLDS / f"{name}.yml"
    if not path.is_file():
        names = sorted(file.stem for file in WORLDS.glob("*.yml"))
        near = difflib.get_close_matches(name, names, 1)
        hint = f"'{near[0]}' may be meant." if near else f"There are {', '.join(names)}."
        raise SandboxError(f"There is no world '{name}'. {hint}")
    return path


def digest(file: Path) -> str:
    """The name of a world with its content: a node of another one has to be made anew."""
    return f"{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"


def furnish(folder: Path, file: Path) -> None:
    """Fill the folder that a node mounts: the world, its packages, the programs and the Python that they are.

    Files are written in place, so a node that runs has the new programs at once.

    :raises SandboxError: the file is no world.
    """
    said: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        world = read(said)
    except WorldError as error:
        raise SandboxError(f"{file}: {error}") from error
    python = folder / "python" / "sandbox" / "gpus"
    python.mkdir(parents=True, exist_ok=True)
    for name in _MODULES:
        shutil.copyfile(Path(__file__).with_name(f"{name}.py"), python / f"{name}.py")
    write(folder, {name: Program(LAUNCHER.replace("@NAME@", name)) for name in PROGRAMS})
    shutil.rmtree(folder / "packages", ignore_errors=True)
    (folder / "packages").mkdir()
    for package, _ in installed(world):
        deb.write(package, folder / "packages")
    (folder / "world.json").write_text(json.dumps(said or {}), encoding="utf-8")
