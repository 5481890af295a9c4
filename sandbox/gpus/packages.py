"""What lies in a driver package, by its name: the little of a real one that tells a driver's state.

Source of the names: the packages of NVIDIA's repositories, of Debian (non-free) and of Ubuntu (restricted).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox.gpus.tree import Entry, Link, Program, Tree
from sandbox.gpus.world import Package

LIBRARIES = "usr/lib/x86_64-linux-gnu"
SIMULATOR = "/usr/local/lib/fromzero-sim"
DENIAL = "blacklist nouveau\noptions nouveau modeset=0\n"
_UNITS = "usr/lib/systemd/system"

# Older packages carry all in one: where no package of a world has a part, the first of these has it.
_WHOLE = re.compile(r"nvidia-driver(-\d+)?(-server)?(-open)?|cuda-drivers(-\d+)?|nvidia-open(-\d+)?")
_PARTS = {
    "library": re.compile(r"libnvidia-compute(-\d+)?(-server)?|libnvidia-ml1|libcuda1|nvidia-driver-cuda(-libs)?"),
    "nvidia-smi": re.compile(r"nvidia-smi|nvidia-utils(-\d+)?(-server)?|nvidia-driver-cuda"),
    "denial": re.compile(r"nvidia-kernel-common(-\d+)?(-server)?|nvidia-kernel-support|nvidia-modprobe"),
    "source": re.compile(
        r"nvidia-dkms(-\d+)?(-server)?(-open)?|nvidia(-open)?-kernel(-open)?-dkms|kmod-nvidia(-open|-latest)?-dkms"
    ),
    "persistenced": re.compile(r"nvidia-persistenced|nvidia-compute-utils(-\d+)?(-server)?"),
    "fabric manager": re.compile(r"(nvidia|cuda-drivers)-fabricmanager(-\d+)?|nvidia-fabric-manager"),
    "mokutil": re.compile(r"mokutil"),
    "dkms": re.compile(r"dkms"),
}


def call(program: str) -> Program:
    """A program that is one of the simulator's."""
    return Program(f'#!/bin/sh\nexec {SIMULATOR}/{program} "$@"\n')


def part(name: str, version: str, flavour: str) -> Tree:
    """The files of one part of a driver of a version."""
    trees: dict[str, Tree] = {
        "library": {
            f"{LIBRARIES}/libnvidia-ml.so.{version}": f"libnvidia-ml {version}\n",
            f"{LIBRARIES}/libnvidia-ml.so.1": Link(f"libnvidia-ml.so.{version}"),
            f"{LIBRARIES}/libcuda.so.{version}": f"libcuda {version}\n",
            f"{LIBRARIES}/libcuda.so.1": Link(f"libcuda.so.{version}"),
        },
        "nvidia-smi": {"usr/bin/nvidia-smi": call("nvidia-smi")},
        "denial": {"usr/lib/modprobe.d/nvidia-graphics-drivers.conf": DENIAL},
        "source": {f"usr/src/nvidia-{version}/dkms.conf": dkms_conf(version, flavour)},
        "persistenced": {
            "usr/bin/nvidia-persistenced": call("nvidia-persistenced"),
            f"{_UNITS}/nvidia-persistenced.service": unit(
                "NVIDIA Persistence Daemon", "/usr/bin/nvidia-persistenced --verbose"
            ),
        },
        "fabric manager": {
            "usr/bin/nv-fabricmanager": call("nv-fabricmanager"),
            f"{_UNITS}/nvidia-fabricmanager.service": unit(
                "NVIDIA fabric manager service", f"/usr/bin/nv-fabricmanager --of-version {version}"
            ),
        },
        "mokutil": {"usr/bin/mokutil": call("mokutil")},
        "dkms": {"usr/sbin/dkms": call("dkms")},
    }
    return trees[name]


def dkms_conf(version: str, flavour: str) -> str:
    """The recipe by which DKMS builds a module; which kind it becomes is written beside the real keys."""
    return (
        f'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="{version}"\nBUILT_MODULE_NAME[0]="nvidia"\n'
        f'DEST_MODULE_LOCATION[0]="/kernel/drivers/char/drm"\nAUTOINSTALL="yes"\n# flavour: {flavour}\n'
    )


def unit(description: str, program: str) -> str:
    """A service whose program stays in the foreground and says itself when it is ready to serve."""
    return (
        f"[Unit]\nDescription={description}\n\n[Service]\nType=notify\nNotifyAccess=all\nExecStart={program}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def parts(name: str) -> list[str]:
    """Which parts of a driver a package has by its name alone."""
    return [kind for kind, pattern in _PARTS.items() if pattern.fullmatch(name)]


def contents(packages: Sequence[Package], flavour: str) -> dict[str, dict[str, Entry]]:
    """The files of each package, by name; parts that no package is named for lie in the first that is a driver's."""
    owned: dict[str, dict[str, Entry]] = {package.name: {} for package in packages}
    for package in packages:
        for kind in parts(package.name):
            owned[package.name].update(part(kind, package.upstream, _flavour(package.name, flavour)))
    whole = next((package for package in packages if _WHOLE.fullmatch(package.name)), None)
    held = {kind for package in packages for kind in parts(package.name)}
    for kind in ("library", "nvidia-smi", "denial", "source") if whole else ():
        if whole and kind not in held:
            owned[whole.name].update(part(kind, whole.upstream, _flavour(whole.name, flavour)))
    return owned


def _flavour(name: str, otherwise: str) -> str:
    return "open" if "open" in name else otherwise
