# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What NVIDIA's driver is called, in which repository, on which system. Pure functions over data/driver_packages.yml.

Names come and go: a branch is part of a name up to 580 on Ubuntu, of a stream on RHEL 8 and 9, of no name elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The lists of data/driver_packages.yml.
Rows = Mapping[str, Any]

SOURCES = {"cuda_repository": "CUDA repository", "distribution": "distribution's archive", "runfile": "runfile"}

# What tells the kernel modules that a package brings or depends on; the first that matches counts.
_FLAVOURS = (
    ("open", re.compile(r"^nvidia-open|-open(-|$)")),
    (
        "proprietary",
        re.compile(r"^cuda-drivers|^nvidia-(driver|dkms|kernel-source|headless)(-no-dkms)?(-\d+)?(-server)?$"),
    ),
    ("proprietary", re.compile(r"^nvidia-kernel-dkms$|^kmod-nvidia-latest-dkms$|^linux-modules-nvidia-\d+")),
)
# Debian's nvidia-driver and RHEL's nvidia-driver come with either.
_EITHER = frozenset({"nvidia-driver", "nvidia-driver-cuda"})
# Debian's modules under names that NVIDIA's own packages do not take over: DKMS would compile both.
_DEBIANS = re.compile(r"^nvidia-(open-kernel|tesla)-")
_BRANCH = re.compile(r"(?<![\d.])(\d{3})(?![\d.])")
# The kernel that prebuilt modules are for may have three digits of its own: linux-signatures-nvidia-5.15.0-105-generic.
_KERNEL = re.compile(r"-\d+\.\d+\.\d+-\d+\b.*")
# Ubuntu's own kernels; one that somebody has compiled is served by none of its metapackages but the usual one.
_UBUNTU_FLAVOURS = ("generic", "aws", "azure", "gcp", "gke", "ibm", "lowlatency", "nvidia", "oracle")
# The kernels that a release of Ubuntu was born with; newer ones have the metapackages of the hardware enablement.
_UBUNTU_KERNELS = {"22.04": "5.15.", "24.04": "6.8.", "26.04": "7.0."}


@dataclass(frozen=True)
class System:
    """A node, as far as names depend on it.

    :ivar distribution, family, release: as Ansible's facts have them; the release with its minor version.
    :ivar kernel: what C(uname -r) says.
    """

    distribution: str
    family: str
    release: str
    kernel: str

    @property
    def major(self) -> str:
        """12 of Debian 12.9, 22 of Ubuntu 22.04."""
        return self.release.split(".")[0]

    @property
    def apt(self) -> bool:
        """Whether dpkg and apt install packages here; otherwise rpm and dnf do."""
        return self.family == "Debian"

    @property
    def meta(self) -> str:
        """The suffix of the metapackages that follow Ubuntu's kernels: generic, aws, generic-hwe-22.04."""
        flavour = self.kernel.rpartition("-")[2]
        if flavour not in _UBUNTU_FLAVOURS:
            return "generic"
        born = _UBUNTU_KERNELS.get(self.release)
        newer = flavour == "generic" and born is not None and not self.kernel.startswith(born)
        return f"generic-hwe-{self.release}" if newer else flavour

    def __str__(self) -> str:
        return f"{self.distribution} {self.release}"


@dataclass(frozen=True)
class Driver:
    """A driver that packages are sought for.

    :ivar source: cuda_repository or distribution. flavour: open or proprietary.
    :ivar secure_boot: whether its modules must be signed by somebody whom the firmware knows.
    """

    source: str
    branch: str
    flavour: str = ""
    secure_boot: bool = False


@dataclass(frozen=True)
class Packages:
    """What is installed for a driver, and how its branch is kept.

    :ivar branch_by: name, pin, stream or lock.
    :ivar stream: the module stream that dnf enables before; empty where there is none.
    """

    install: Sequence[str]
    branch_by: str
    stream: str = ""


def packages(rows: Rows, system: System, driver: Driver) -> Packages | None:
    """What a driver is made of; None where its source has none such for the system."""
    row = _first(rows["driver"], system, driver)
    if row is None:
        return None
    filled = _fill([*row["install"], row.get("stream", "")], system, driver.branch)
    return Packages(filled[:-1], str(row["branch_by"]), filled[-1])


def only_branches(rows: Rows, system: System, source: str) -> list[str]:
    """The branches of a source that has no others for a system, as Debian's archive; empty where it has many."""
    found = [row for row in rows["driver"] if row["source"] == source and _fits(row, system)]
    return sorted({row["from"] for row in found if "from" in row and row.get("to") == row["from"]})


def signed(rows: Rows, system: System, branch: str, flavour: str) -> str:
    """The source whose modules Secure Boot lets in; empty where there is none."""
    for source in ("distribution", "cuda_repository"):
        if _first(rows["driver"], system, Driver(source, branch, flavour, True)) is not None:
            return source
    return ""


def fabric_manager(rows: Rows, system: System, driver: Driver, architectures: Iterable[str]) -> list[str]:
    """The packages for NVSwitches; empty where the source has none."""
    manager = _first(rows["fabric_manager"], system, driver)
    if manager is None:
        return []
    subnet = _first(rows["subnet_manager"], system, driver)
    second = subnet["install"] if subnet and set(architectures) & set(subnet["architectures"]) else []
    return _fill([*manager["install"], *second], system, driver.branch)


def headers(rows: Rows, system: System) -> list[str]:
    """The packages that modules for the running kernel are compiled against."""
    return _fill(next((row["install"] for row in rows["headers"] if _fits(row, system)), []), system, "")


def tools(rows: Rows, system: System) -> list[str]:
    """The packages that the installer of a runfile needs."""
    return _fill(next((row["install"] for row in rows["tools"] if _fits(row, system)), []), system, "")


def branch_of(name: str, version: str = "") -> str:
    """The branch that a package belongs to: that of its version, else that of its name; empty where neither tells."""
    upstream = re.sub(r"^\d+:", "", version)
    match = re.match(r"(\d{3})\.\d", upstream) or _BRANCH.search(_KERNEL.sub("", name))
    return match[1] if match else ""


def flavour_of(name: str) -> str:
    """open or proprietary for a package that decides on it, empty for the others."""
    if name in _EITHER:
        return ""
    return next((flavour for flavour, pattern in _FLAVOURS if pattern.search(name)), "")


def obsolete(installed: Iterable[str], chosen: Packages, driver: Driver) -> list[str]:
    """Installed packages of drivers that cannot stay beside the chosen ones.

    Those have another branch in their name, or the other flavour of modules, or a branch or a C(-server) in their name
    where the chosen ones have none, or are Debian's modules beside NVIDIA's. Any other package without a branch in its
    name is upgraded with the others.
    """
    named = chosen.branch_by == "name"
    server = any("-server" in name for name in chosen.install)
    found = []
    for name in installed:
        within = branch_of(name)
        foreign = within != "" and (within != driver.branch or not named)
        # Ubuntu has one fabric manager for its desktop and its server drivers.
        archive = within != "" and ("-server" in name) != server and not name.startswith("nvidia-fabricmanager")
        foreign |= driver.source == "cuda_repository" and _DEBIANS.match(name) is not None
        if name not in chosen.install and (foreign or archive or flavour_of(name) not in ("", driver.flavour)):
            found.append(name)
    return sorted(found)


def _first(rows: Sequence[Mapping[str, Any]], system: System, driver: Driver) -> Mapping[str, Any] | None:
    for row in rows:
        if (
            row["source"] == driver.source
            and _fits(row, system)
            and bool(row.get("secure_boot")) == driver.secure_boot
            and row.get("flavour", driver.flavour) == driver.flavour
            and int(row.get("from", 0)) <= int(driver.branch) <= int(row.get("to", 9999))
        ):
            return row
    return None


def _fits(row: Mapping[str, Any], system: System) -> bool:
    wanted = row["distributions"]
    # Debian is a distribution and the family of Ubuntu: only the families of others count.
    named = system.distribution in wanted or (system.family != "Debian" and system.family in wanted)
    return named and ("releases" not in row or system.major in row["releases"])


def _fill(names: Iterable[str], system: System, branch: str) -> list[str]:
    return [name.format(branch=branch, kernel=system.kernel, meta=system.meta) for name in names]
