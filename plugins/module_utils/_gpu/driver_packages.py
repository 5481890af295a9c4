# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packages of an NVIDIA driver are installed, by dpkg or rpm."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host


class Package(TypedDict):
    """An installed package; held against upgrades; broken where it is neither installed whole nor gone."""

    name: str
    version: str
    held: bool
    broken: bool


# What the package managers are asked for; the list is narrowed by _DRIVER below.
_PATTERNS = ("*nvidia*", "cuda-drivers*", "libcuda1*", "libnvcuvid*", "libnvsdm*", "libxnvctrl*", "nvlsm*", "nvlink*")
_DRIVER = re.compile(
    r"nvidia-(?!cuda-(?!mps)|container|docker|detect|driver-(local|assistant)|cudnn|nccl|profiler|openjdk|opencl-dev"
    r"|visual-profiler|texture|fs\b|gds|ml-dev|nsight)"
    r"|libnvidia-(?!container|ml-dev|egl-wayland)"
    r"|cuda-drivers|kmod-nvidia|dkms-nvidia|akmod-nvidia|libcuda1|libnvcuvid|libnvsdm|libxnvctrl|nvlsm|nvlink"
    r"|linux-(modules|objects|signatures)-nvidia|(xserver-xorg-video|xorg-x11-drv|xorg-x11)-nvidia"
    r"|firmware-nvidia-gsp|primus-libs-nvidia"
)
# Packages with versions that may go their own ways, and that stay or come without a driver: half of all desktops have
# libxnvctrl0.
_TOOLS = re.compile(
    r"nvidia-(settings|modprobe|persistenced|xconfig|installer|firmware|imex)|fabric-?manager|libxnvctrl|libnvidia-nscq"
    r"|libnvsdm|nvlink|nvlsm"
)
# Desired action and status of dpkg: "ii " installed, "hi " held, "iF " half configured, "rc " removed but for its
# configuration. Waiting for another package's trigger is no fault.
_DPKG_GONE, _DPKG_WHOLE = ("n", "c"), ("i", "W", "t")


def parse_dpkg(text: str) -> list[Package]:
    """Lines of status, name and version, separated by tabs."""
    found = []
    for line in text.splitlines():
        status, name, version = (*line.split("\t"), "", "")[:3]
        if len(status) > 1 and status[1] not in _DPKG_GONE and _DRIVER.match(name):
            broken = status[1] not in _DPKG_WHOLE or status[2:].strip() != ""
            found.append(Package(name=name, version=version, held=status[0] == "h", broken=broken))
    return found


def parse_rpm(text: str, locks: Sequence[str] = ()) -> list[Package]:
    """Lines of name, version with release, and architecture, separated by tabs.

    :param locks: the patterns of dnf's versionlock plugin.
    """
    found = []
    for line in text.splitlines():
        name, version, machine = (*line.split("\t"), "", "", "")[:3]
        if version and _DRIVER.match(name):
            epoch, _colon, plain = version.rpartition(":")
            full = [f"{name}-{plain}", f"{name}-{epoch or 0}:{plain}"]
            full = [name, *full, *(f"{one}.{machine}" for one in full)]
            held = any(fnmatch.fnmatchcase(one, lock) for one in full for lock in locks)
            found.append(Package(name=name, version=version, held=held, broken=False))
    return found


def _locks(host: Host) -> list[str]:
    """The patterns that dnf keeps as they are; lines that begin with an exclamation mark exclude instead."""
    lines = host.text("etc/dnf/plugins/versionlock.list").splitlines()
    fifth = re.findall(r'^\s*name\s*=\s*"([^"]+)"', host.text("etc/dnf/versionlock.toml"), re.MULTILINE)
    return [line.strip() for line in lines if line.strip() and line.strip()[0] not in "#!"] + fifth


def packages(host: Host) -> list[Package]:
    """The driver's packages, sorted by name. dpkg ends with 1 where a pattern fits nothing, and lists the rest."""
    asked = host.run(["dpkg-query", "-W", "-f=${db:Status-Abbrev}\t${Package}\t${Version}\n", *_PATTERNS])
    found = parse_dpkg(asked.stdout) if asked else []
    evr = "%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}"
    listed = host.said("rpm", "-qa", "--qf", f"%{{NAME}}\t{evr}\t%{{ARCH}}\n", *_PATTERNS)
    found += parse_rpm(listed, _locks(host) if listed else ())
    return sorted(found, key=lambda package: package["name"])


def upstream(version: str) -> str | None:
    """The driver's version in that of a package: 550.54.14 of 550.54.14-0ubuntu1 and of 3:550.54.14-1.el9."""
    match = re.match(r"(?:\d+:)?(\d{3}\.\d+(?:\.\d+)?)(?![.\d])", version)
    return match[1] if match else None


def carried(package: Mapping[str, Any]) -> str | None:
    """The version of the driver that a package is a part of; null for tools beside it."""
    return None if _TOOLS.search(str(package.get("name"))) else upstream(str(package.get("version")))
