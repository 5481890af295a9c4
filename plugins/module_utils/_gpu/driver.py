# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of the NVIDIA driver on a host: what is loaded, what lies on the disk, where it came from, who uses it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import Package, carried, packages
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers


class Built(TypedDict):
    """Kernel modules on disk: version and flavour of that for the running kernel, and all kernels that have one."""

    version: str | None
    flavour: str | None
    kernels: list[str]


class User(TypedDict):
    """A process that holds a device of the driver."""

    pid: int
    command: str


class Driver(TypedDict):
    """The driver; what cannot be told is null."""

    loaded: str | None
    library: str | None
    libraries: list[str]
    agrees: bool | None
    flavour: str | None
    cuda: str | None
    packages: list[Package]
    built: Built
    runfile: str | None
    origin: str
    users: list[User] | None


_VERSION = r"[0-9]{2,}\.[0-9]+(?:\.[0-9]+)?"
_LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/nvidia/*",  # Debian's alternatives
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/aarch64-linux-gnu/nvidia/*",
    "usr/lib64",
    "usr/lib64/nvidia",
    "usr/local/nvidia/lib64",
    "usr/lib",
)
_LIBRARIES = ("libnvidia-ml.so", "libcuda.so")
# Where DKMS, runfiles, kmod packages and prebuilt modules of distributions put the module below lib/modules/KERNEL.
_MODULE_PLACES = (
    "updates",
    "extra",
    "weak-updates",
    "misc",
    "kernel/nvidia*",
    "kernel/drivers/video",
    "kernel/drivers/char/drm",
)
# Debian names the file for its alternatives: nvidia-current.ko is the module nvidia.
_MODULE_NAME = re.compile(r"nvidia(-current|-tesla(-[0-9]+)?|-legacy-[0-9]+xx)?(-open)?\.ko(\.\w+)?")
# Services of the driver itself: they hold its devices, and stop with it. /proc shows 15 characters of a name.
_OWN_PROCESSES = ("nvidia-persiste", "nv-fabricmanage", "nvidia-smi", "nvlsm", "nvidia-imex")


def loaded(host: Host) -> tuple[str | None, str | None]:
    """Version and flavour of the loaded kernel module, by its own words.

    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.182.03  Fri ..." or
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  ..."
    """
    line = next(iter(re.findall(r"^NVRM version:(.*)$", host.text("proc/driver/nvidia/version"), re.MULTILINE)), "")
    match = re.search(rf"(?:^|\s)({_VERSION})(?:\s|$)", line)
    if match:
        return match[1], "open" if "Open Kernel Module" in line else "proprietary"
    version = host.text("sys/module/nvidia/version")
    return version if re.fullmatch(_VERSION, version) else None, None


def _library_files(host: Host) -> list[Path]:
    """The files of the user-space library that lie on this host; those that a container engine lends are not ours."""
    found = host.glob(*(f"{folder}/{name}.*" for folder in _LIBRARY_FOLDERS for name in _LIBRARIES))
    return found or [Path(path) for path in re.findall(r"=> (\S*/libnvidia-ml\.so\.\S+)", host.said("ldconfig", "-p"))]


def _file_version(path: Path) -> str | None:
    match = re.fullmatch(rf"lib(?:nvidia-ml|cuda)\.so\.({_VERSION})", path.name)
    return match[1] if match else None


def library(host: Host) -> tuple[str | None, list[str]]:
    """The version that programs load, which is where the link libnvidia-ml.so.1 ends, and all versions on the disk."""
    files = _library_files(host)
    linked = [_file_version(host.follow(path)) for path in files if path.name.endswith(".so.1")]
    there = {version for version in (*map(_file_version, files), *linked) if version}
    chosen = next(filter(None, linked), None) or max(there, key=numbers, default=None)
    return chosen, sorted(there, key=numbers)


def _lent(host: Host) -> bool:
    """Whether the library comes from outside, as where a container engine mounts the driver of its host.

    It mounts single files, or the folder /usr/local/nvidia, which nothing else has.
    """
    mounts = {line.split()[4] for line in host.text("proc/self/mountinfo").splitlines() if line.count(" ") > 4}
    paths = [f"/{path.relative_to(host.root)}" for path in _library_files(host) if host.root in path.parents]
    return any(path in mounts or path.startswith("/usr/local/nvidia/") for path in paths)


def module_files(host: Host) -> dict[str, Path]:
    """NVIDIA's kernel module by the release of the kernel that it is for."""
    found: dict[str, Path] = {}
    for place in _MODULE_PLACES:
        for path in host.glob(f"lib/modules/*/{place}/**/nvidia*.ko*"):
            if _MODULE_NAME.fullmatch(path.name):
                found.setdefault(path.relative_to(host.root / "lib/modules").parts[0], path)
    return found


def module_facts(host: Host, path: Path) -> tuple[str | None, str | None]:
    """Version and flavour of a kernel module on disk."""
    said = host.said("modinfo", str(path))
    facts = dict(re.findall(r"^(version|license):\s*(.+?)\s*$", said, re.MULTILINE))
    license_ = facts.get("license")
    flavour = None if license_ is None else "proprietary" if license_ == "NVIDIA" else "open"
    return facts.get("version"), flavour


def runfile(host: Host, library_version: str | None) -> str | None:
    """The version that an installer without packages left, "unknown" where it does not say; null where none did.

    Its record of what it has installed begins with "1.0-5355403 (535.54.03)", and only root can read it. Its log tells
    a version to everybody, and outlives a proper uninstallation, so that it proves nothing.
    """
    record = host.text("var/lib/nvidia/log")
    if not record and not host.is_there("usr/bin/nvidia-uninstall"):
        return None
    installed = re.findall(rf"(?<![0-9.])({_VERSION})\)?$", record.partition("\n")[0])
    logged = re.findall(rf"^installer version:\s*({_VERSION})", host.text("var/log/nvidia-installer.log"), re.MULTILINE)
    return next(iter([*installed, *logged[-1:]]), library_version or "unknown")


def users(host: Host) -> list[User] | None:
    """Processes that hold the driver's devices, but for its own services; null where only root could tell."""
    if not host.privileged:
        return None
    found = []
    for process in host.glob("proc/[0-9]*"):
        if _holds_a_device(process / "fd"):
            command = host.text(process / "comm")
            if command not in _OWN_PROCESSES:
                found.append(User(pid=int(process.name), command=command))
    return sorted(found, key=lambda user: user["pid"])


def _holds_a_device(folder: Path) -> bool:
    """Whether a process has a device of the driver among its open files; not so when it has ended meanwhile.

    A busy host has open files by the ten thousands, for which Path is too slow.
    """
    try:
        with os.scandir(folder) as links:
            return any(_target(link.path).startswith("/dev/nvidia") for link in links)
    except OSError:
        return False


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:
        return ""


def _origin(by_package: bool, by_runfile: bool) -> str:
    return {(True, True): "both", (True, False): "packages", (False, True): "runfile"}.get(
        (by_package, by_runfile), "none"
    )


def _installs_files(found: Iterable[Package]) -> bool:
    """Whether any of the packages carries a driver; a pin or a tool alone does not."""
    return any(map(carried, found))


def gather(host: Host, release: str, cuda: str | None, told: str | None) -> Driver:
    """The driver's state.

    :param release: the running kernel.
    :param cuda: the highest CUDA by nvidia-smi.
    :param told: the version by nvidia-smi, which only answers where module and library agree.
    """
    module, flavour = loaded(host)
    library_version, libraries = library(host)
    module, library_version = module or told, library_version or told
    found = packages(host)
    modules = module_files(host)
    on_disk, disk_flavour = module_facts(host, modules[release]) if release in modules else (None, None)
    if module and flavour is None and on_disk == module:
        flavour = disk_flavour
    left = runfile(host, library_version)
    by_package = _installs_files(found)
    if left is None and libraries and not by_package and not _lent(host):
        left = library_version
    return Driver(
        loaded=module,
        library=library_version,
        libraries=libraries,
        agrees=module == library_version if module and library_version else None,
        flavour=flavour,
        cuda=cuda,
        packages=found,
        built=Built(version=on_disk, flavour=disk_flavour, kernels=sorted(modules, key=numbers)),
        runfile=left,
        origin=_origin(by_package, left is not None),
        users=users(host),
    )
