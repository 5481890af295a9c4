"""A world, read: what its file leaves out is filled in, and what cannot be is refused in a sentence."""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NVIDIA = "10de"
AMD = "1002"

_KEYS = {
    "world": (
        *("gpus", "amd", "mig", "nvswitch", "link", "driver", "packages", "runfile", "users", "blockers"),
        *("secure_boot", "kernel"),
    ),
    "gpus": ("pci_id", "pci_class", "name", "count", "memory_mib", "compute_capability", "gfx", "mig", "lost"),
    "driver": ("loaded", "library", "built", "cuda", "flavour", "signer", "persistence"),
    "package": ("version", "held", "broken", "alone"),
    "blockers": ("loaded", "in_use", "blocked", "initramfs"),
    "kernel": ("headers", "newest"),
}
# Data centre GPUs are 3D controllers, AMD's MI100 and MI200 display controllers.
_CLASSES = {NVIDIA: "0302", AMD: "0380"}


class WorldError(ValueError):
    """A world cannot be as it is written; the text is a sentence for who wrote it."""


@dataclass(frozen=True)
class Gpu:
    """One GPU; C(index) counts in the order of the bus addresses. One that is C(lost) has fallen off the bus."""

    index: int
    address: str
    pci_id: str
    pci_class: str
    name: str
    memory_mib: int
    compute_capability: str | None
    gfx: str | None
    mig: str | None
    lost: bool = False

    @property
    def vendor(self) -> str:
        """The PCI vendor: 10de is NVIDIA, 1002 AMD."""
        return self.pci_id.partition(":")[0]

    def uuid(self, hostname: str) -> str:
        """The same GPU of the same host has the same UUID after every start."""
        return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{self.address}.{hostname}')}"


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver: C(loaded) in the kernel, C(library) in user space, C(built) as a module on disk."""

    loaded: str | None = None
    library: str | None = None
    built: str | None = None
    flavour: str = "proprietary"
    signer: str | None = None
    cuda: str | None = None
    persistence: bool = False


@dataclass(frozen=True)
class Package:
    """An installed package; C(broken) is half configured, as after a postinst that failed, C(alone) lacks its needs."""

    name: str
    version: str
    held: bool = False
    broken: bool = False
    alone: bool = False

    @property
    def state(self) -> str:
        """As dpkg records it: what is wanted, whether it is sound, what it is."""
        return f"{'hold' if self.held else 'install'} ok {'half-configured' if self.broken else 'installed'}"

    @property
    def upstream(self) -> str:
        """The version without epoch and revision: that of the files in it."""
        return self.version.rpartition(":")[2].partition("-")[0]


@dataclass(frozen=True)
class Blockers:
    """Other drivers that take NVIDIA's GPUs: nouveau, nova_core, nova_drm, nvidiafb."""

    loaded: Sequence[str] = ()
    in_use: bool = False
    blocked: bool = False
    initramfs: bool = False


@dataclass(frozen=True)
class World:
    """A host, complete."""

    gpus: Sequence[Gpu]
    driver: Driver
    blockers: Blockers
    packages: Sequence[Package] = ()
    nvswitch: int = 0
    link: str | None = None
    runfile: str | None = None
    users: Sequence[str] = ()
    secure_boot: bool | None = None
    headers: bool = True
    newest: str | None = None

    @property
    def nvidia(self) -> list[Gpu]:
        """The GPUs that NVIDIA's driver would take."""
        return [gpu for gpu in self.gpus if gpu.vendor == NVIDIA]


def read(said: Mapping[str, Any] | None) -> World:
    """The world that a file's mapping says; an empty one is a server without GPUs.

    :raises WorldError: a key is unknown, or a value is not what its key wants.
    """
    said = said or {}
    _known("world", said, "The world")
    driver = _driver(said.get("driver") or {}, said.get("runfile"))
    blockers = said.get("blockers") or {}
    _known("blockers", blockers, "blockers")
    kernel = said.get("kernel") or {}
    _known("kernel", kernel, "kernel")
    loaded = tuple(blockers.get("loaded") or ())
    return World(
        gpus=_gpus(said),
        driver=driver,
        blockers=Blockers(
            loaded=loaded,
            in_use=bool(blockers.get("in_use", False)),
            # Whoever installed a driver has denied nouveau: packages and runfiles both bring the file.
            blocked=bool(blockers.get("blocked", driver.library is not None)),
            initramfs=bool(blockers.get("initramfs", bool(loaded))),
        ),
        packages=tuple(_packages(said.get("packages") or {})),
        nvswitch=int(said.get("nvswitch") or 0),
        link=said.get("link"),
        runfile=_version("runfile", said.get("runfile")),
        users=tuple(said.get("users") or ()),
        secure_boot=said.get("secure_boot"),
        headers=bool(kernel.get("headers", True)),
        newest=kernel.get("newest"),
    )


def _known(kind: str, said: object, what: str) -> None:
    if not isinstance(said, Mapping):
        raise WorldError(f"{what} is {said!r}; it must be a mapping.")
    for key in said:
        if key not in _KEYS[kind]:
            near = difflib.get_close_matches(str(key), _KEYS[kind], 1)
            hint = f" '{near[0]}' may be meant." if near else f" The keys are {', '.join(_KEYS[kind])}."
            raise WorldError(f"{what} has no key '{key}'.{hint}")


def _version(what: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+)+", value):
        raise WorldError(f"{what} is {value!r}; it must be a quoted version such as '550.54.14'.")
    return value


def _gpus(said: Mapping[str, Any]) -> tuple[Gpu, ...]:
    rows: list[Mapping[str, Any]] = []
    for key in ("gpus", "amd"):
        value = said.get(key) or []
        for row in value if isinstance(value, list) else [value]:
            _known("gpus", row, key)
            if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", str(row.get("pci_id"))):
                raise WorldError(f"{key} needs a pci_id such as \"10de:20b2\", in lower case; see 'lspci -nn'.")
            if not row.get("name") or not isinstance(row.get("memory_mib"), int):
                raise WorldError(f"{key} with pci_id {row['pci_id']} needs a name and memory_mib, a whole number.")
            rows += [row] * int(row.get("count", 1))
    # Eight buses lie between two GPUs, as in servers with PCIe switches; sixteen GPUs are the most.
    if len(rows) > 16:
        raise WorldError(f"The world has {len(rows)} GPUs; a host has at most 16 here.")
    return tuple(_gpu(index, row, said.get("mig")) for index, row in enumerate(rows))


def _gpu(index: int, row: Mapping[str, Any], mig: str | None) -> Gpu:
    vendor = row["pci_id"].partition(":")[0]
    capability = row.get("compute_capability")
    if vendor == NVIDIA and not (isinstance(capability, str) and re.fullmatch(r"\d+\.\d", capability)):
        raise WorldError(f'gpus with pci_id {row["pci_id"]} needs a quoted compute_capability such as "8.0".')
    return Gpu(
        index=index,
        address=f"0000:{7 + 8 * index:02x}:00.0",
        pci_id=row["pci_id"],
        pci_class=row.get("pci_class") or _CLASSES.get(vendor, "0302"),
        name=row["name"],
        memory_mib=row["memory_mib"],
        compute_capability=capability,
        gfx=row.get("gfx"),
        mig=row.get("mig", mig),
        lost=bool(row.get("lost", False)),
    )


def _driver(said: Mapping[str, Any], runfile: object) -> Driver:
    _known("driver", said, "driver")
    loaded, library = _version("driver.loaded", said.get("loaded")), _version("driver.library", said.get("library"))
    library = library or _version("runfile", runfile)
    # DKMS has built what is installed; a host where it has not says `built: null`.
    built = _version("driver.built", said["built"]) if "built" in said else library
    flavour = said.get("flavour", "proprietary")
    if flavour not in ("open", "proprietary"):
        raise WorldError(f"driver.flavour is {flavour!r}; it must be open or proprietary.")
    return Driver(loaded, library, built, flavour, said.get("signer"), said.get("cuda"), bool(said.get("persistence")))


def _packages(said: Mapping[str, Any]) -> Iterable[Package]:
    for name, value in said.items():
        row = value if isinstance(value, Mapping) else {"version": value}
        _known("package", row, f"packages.{name}")
        if not isinstance(row.get("version"), str):
            raise WorldError(f'packages.{name} needs a quoted version, such as "550.54.14-1".')
        flags = {key: bool(row.get(key, False)) for key in ("held", "broken", "alone")}
        yield Package(name, row["version"], **flags)
