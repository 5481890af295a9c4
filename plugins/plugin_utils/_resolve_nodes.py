# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes reported, brought down to what decides about a stack; nodes alike in all of that are one group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import key

_VERSION = re.compile(r"\d+(\.\d+)+")
_VENDORS = {"cuda": "nvidia", "rocm": "amd"}


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU; what is not known is none. For AMD the capability is the gfx name."""

    vendor: str
    name: str
    architecture: str | None
    capability: str | None


@dataclass(frozen=True)
class Driver:
    """What there is of a driver. module: whether the running kernel has its module, none where unknown."""

    loaded: str | None = None
    library: str | None = None
    flavour: str | None = None
    module: bool | None = None

    @property
    def now(self) -> str | None:
        """What runs, or would."""
        return self.loaded or self.library

    @property
    def settled(self) -> str | None:
        """What runs once the module is that of the libraries."""
        return self.library or self.loaded

    @property
    def parted(self) -> bool:
        """Whether the loaded module is not that of the libraries, with which nothing computes."""
        return bool(self.loaded and self.library and self.loaded != self.library)


@dataclass(frozen=True)
class Group:
    """Nodes that are alike. gpus: each kind once, with how many a node has."""

    gpus: tuple[tuple[Gpu, int], ...] = ()
    driver: Driver = field(default_factory=Driver)
    machine: str = "x86_64"
    glibc: str | None = None
    system: str = ""
    manage: bool = True
    branch: str = ""
    version: str = ""
    flavour: str = "auto"
    hosts: tuple[str, ...] = ()

    def of(self, accelerator: str) -> list[Gpu]:
        """The kinds of GPUs that an accelerator computes on."""
        return [gpu for gpu, _count in self.gpus if gpu.vendor == _VENDORS.get(accelerator)]

    def words(self, accelerator: str) -> str:
        """The GPUs of one node in words: 2 x Tesla V100S-PCIE-32GB."""
        of_it = [(gpu, count) for gpu, count in self.gpus if accelerator == "cpu" or gpu in self.of(accelerator)]
        return " + ".join(f"{count} x {gpu.name}" for gpu, count in of_it)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _version(value: object) -> str | None:
    found = _VERSION.search(_text(value))
    return found[0] if found else None


def _truth(value: object, default: bool) -> bool:
    if value is None or _text(value) == "":
        return default
    return _text(value).lower() not in ("false", "no", "0", "off")


def _gpu(value: Mapping[str, Any]) -> Gpu:
    vendor = _text(value.get("vendor")).lower() or "nvidia"
    architecture = _text(value.get("architecture")) or None
    capability = _text(value.get("gfx") if vendor == "amd" else value.get("compute_capability")) or None
    name = _text(value.get("name")) or (f"{architecture} GPU" if architecture else "")
    return Gpu(vendor, name or f"GPU {_text(value.get('pci_id'))}".strip(), architecture, capability)


def _driver(value: Mapping[str, Any]) -> Driver:
    loaded, library = _version(value.get("loaded")), _version(value.get("library"))
    built = _version((value.get("built") or {}).get("version"))
    if not library:
        packaged = [_version(package.get("version")) for package in value.get("packages") or () if not loaded]
        library = next((version for version in packaged if version and key(version)[0] > 100), None)
    if not (loaded or library):
        library = built
    settled = library or loaded
    module = None if not built else built == settled
    if module is None and "built" in value and not loaded:
        module = False
    return Driver(loaded, library, _text(value.get("flavour")) or None, module)


def _group(node: Mapping[str, Any]) -> Group:
    gpus = [_gpu(gpu) for gpu in node.get("gpus") or () if isinstance(gpu, Mapping)]
    driver = node.get("driver")
    flavour = _text(node.get("driver_flavour")).lower() or "auto"
    return Group(
        gpus=tuple(Counter(gpus).items()),
        driver=_driver(driver) if isinstance(driver, Mapping) else Driver(),
        machine=_text(node.get("machine")) or "x86_64",
        glibc=_version(node.get("glibc")),
        system=" ".join(filter(None, (_text(node.get("distribution")), _text(node.get("distribution_version"))))),
        manage=_truth(node.get("driver_manage"), True),
        branch=_text(node.get("driver_branch")).replace("auto", ""),
        version=_text(node.get("driver_version")).replace("auto", ""),
        flavour=flavour,
    )


def grouped(nodes: Mapping[str, Mapping[str, Any]]) -> list[Group]:
    """The groups of nodes, in the order of their first nodes."""
    found: dict[Group, list[str]] = {}
    for name, node in nodes.items():
        found.setdefault(_group(node), []).append(str(name))
    return [replace(group, hosts=tuple(hosts)) for group, hosts in found.items()]


def vendors(groups: Iterable[Group]) -> set[str]:
    """The vendors of all GPUs."""
    return {gpu.vendor for group in groups for gpu, _count in group.gpus}


def hosts_of(groups: Sequence[Group], everyone: Sequence[str]) -> list[str]:
    """The nodes of groups, in the order of the inventory."""
    held = {host for group in groups for host in group.hosts}
    return [host for host in everyone if host in held]
