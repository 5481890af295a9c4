"""What is known of NVIDIA's drivers: the CUDA they carry, the GPUs they run, the words of their kernel module.

Sources: NVIDIA's release notes of CUDA (table of drivers), its supported-GPU lists, the README of
open-gpu-kernel-modules (Turing and newer; Blackwell has nothing else). This is the simulator's own small table, on
purpose: a mistake in data/ shall not be repeated by what tests it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.gpus.world import Gpu

_CUDA = {
    **{418: "10.1", 440: "10.2", 450: "11.0", 455: "11.1", 460: "11.2", 465: "11.3", 470: "11.4", 495: "11.5"},
    **{510: "11.6", 515: "11.7", 520: "11.8", 525: "12.0", 530: "12.1", 535: "12.2", 545: "12.3", 550: "12.4"},
    **{555: "12.5", 560: "12.6", 565: "12.7", 570: "12.8", 575: "12.9", 580: "13.0", 590: "13.1", 595: "13.2"},
    **{610: "13.3", 615: "13.4", 620: "13.5"},
}
# The first branch that runs GPUs of a compute capability.
_FIRST = {(7, 0): 384, (7, 5): 410, (8, 0): 450, (8, 6): 455, (8, 9): 520, (9, 0): 520, (10, 0): 570, (12, 0): 570}
_LAST_OF_PASCAL_AND_VOLTA = 580
# nvidia-smi's queries that came later than the oldest drivers; the branch that brought each.
FIELDS: Mapping[str, int] = {
    **dict.fromkeys(("mig.mode.current", "mig.mode.pending"), 450),
    "compute_cap": 510,
    **dict.fromkeys(("fabric.state", "fabric.status"), 535),
}


def branch(version: str) -> int:
    """550 of 550.54.14."""
    return int(version.partition(".")[0])


def cuda(version: str) -> str:
    """The highest CUDA that a driver carries."""
    return next((carried for first, carried in sorted(_CUDA.items(), reverse=True) if first <= branch(version)), "10.0")


def runs(gpu: Gpu, version: str, flavour: str) -> bool:
    """Whether a driver's kernel module takes a GPU."""
    major, minor = (int(part) for part in (gpu.compute_capability or "0.0").split("."))
    capability = (major, minor)
    first = max((since for least, since in _FIRST.items() if least <= capability), default=0)
    if branch(version) < first:
        return False
    if capability < (7, 5):
        return flavour == "proprietary" and branch(version) <= _LAST_OF_PASCAL_AND_VOLTA
    return flavour == "open" or capability < (10, 0)


def banner(version: str, flavour: str) -> str:
    """The text of /proc/driver/nvidia/version."""
    kind = "Open Kernel Module for x86_64" if flavour == "open" else "x86_64 Kernel Module"
    build = "  Release Build  (dvs-builder@localhost)" if flavour == "open" else ""
    first = f"NVRM version: NVIDIA UNIX {kind}  {version}{build}  Thu Feb 22 01:25:25 UTC 2024"
    return f"{first}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14) \n"
