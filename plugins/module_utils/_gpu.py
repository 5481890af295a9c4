# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which NVIDIA GPUs a node has, by whatever can tell: the driver's tool, the loaded driver, or the PCI bus.

What reads is handed in, so that a folder and a function can stand for a node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

# Runs a command; returns its exit status, what it wrote to stdout, what it wrote to stderr.
Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

_NVIDIA = "0x10de"
# VGA controllers and 3D controllers; the other functions of a card are audio and USB.
_DISPLAY_CLASSES = ("0x0300", "0x0302")
_QUERY = ("--query-gpu=index,name,uuid,memory.total", "--format=csv,noheader,nounits")


class Gpu(TypedDict):
    """One GPU; what the source cannot tell is null."""

    index: int
    name: str | None
    uuid: str | None
    memory_mib: int | None


class Gpus(TypedDict):
    """All GPUs of a node; source is nvidia-smi, proc, pci or none, error is what nvidia-smi said when it failed."""

    gpus: list[Gpu]
    source: str
    error: str | None


def parse_query(text: str) -> list[Gpu]:
    """Lines of C(nvidia-smi --query-gpu=index,name,uuid,memory.total --format=csv,noheader,nounits)."""
    found = []
    for line in text.splitlines():
        # A name may hold a comma, the other fields cannot.
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(.+?)\s*,\s*(GPU-[^,\s]+)\s*,\s*([^,]*?)\s*", line)
        if match:
            memory = re.match(r"\d+", match[4])
            found.append(
                Gpu(index=int(match[1]), name=match[2], uuid=match[3], memory_mib=int(memory[0]) if memory else None)
            )
    return found


def _first_sentence(*texts: str) -> str:
    return next((line.strip() for text in texts for line in text.splitlines() if line.strip()), "it said nothing")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def from_proc(root: Path) -> list[Gpu]:
    """The GPUs that the loaded driver has taken, in the order of their bus addresses."""
    found = []
    for index, path in enumerate(sorted(root.glob("proc/driver/nvidia/gpus/*/information"))):
        facts = dict(re.findall(r"^([^:\n]+):\s*(.*?)\s*$", _text(path), re.MULTILINE))
        uuid = facts.get("GPU UUID", "")
        found.append(
            Gpu(
                index=index,
                name=facts.get("Model") or None,
                uuid=uuid if uuid and "?" not in uuid else None,
                memory_mib=None,
            )
        )
    return found


def from_pci(root: Path) -> list[Gpu]:
    """The GPUs on the PCI bus, with or without a driver, in the order of their bus addresses."""
    found: list[Gpu] = []
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        if _text(device / "vendor") == _NVIDIA and _text(device / "class")[:6] in _DISPLAY_CLASSES:
            found.append(Gpu(index=len(found), name=None, uuid=None, memory_mib=None))
    return found


def gather(root: Path, run: Run, nvidia_smi: str | None) -> Gpus:
    """The GPUs of the node whose file system is at root.

    :param nvidia_smi: the path of the driver's tool, null where there is none. When it fails, as it does after an
        upgrade of its libraries under a loaded driver, the GPUs are still counted, and its words are kept.
    """
    error = None
    if nvidia_smi:
        status, output, errors = run([nvidia_smi, *_QUERY])
        gpus = parse_query(output)
        if status == 0 and gpus:
            return Gpus(gpus=gpus, source="nvidia-smi", error=None)
        if status != 0:
            error = f"nvidia-smi ended with {status}: {_first_sentence(output, errors)}"
    for source, read in (("proc", from_proc), ("pci", from_pci)):
        gpus = read(root)
        if gpus:
            return Gpus(gpus=gpus, source=source, error=error)
    return Gpus(gpus=[], source="none", error=error)
