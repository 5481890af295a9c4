# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes reported, brought down to what decides about a stack; nodes alike in all of that are one group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import carried
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import State
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import FLAVOURS, Gpu
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import read
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark, merged

_VERSION = re.compile(r"\d+(\.\d+)+")
_VENDORS = {"cuda": "nvidia", "rocm": "amd"}


@dataclass(frozen=True)
class Group:
    """Nodes that are alike. gpus: each kind once, with how many a node has."""

    gpus: tuple[tuple[Gpu, int], ...] = ()
    driver: State = field(default_factory=State)
    machine: str = "x86_64"
    glibc: str | None = None
    system: str = ""
    manage: bool = True
    branch: str = ""
    version: str = ""
    flavour: str = ""
    hosts: tuple[str, ...] = ()

    def of(self, accelerator: str) -> list[Gpu]:
        """The kinds of GPUs that an accelerator computes on."""
        return [gpu for gpu, _count in self.gpus if gpu.vendor == _VENDORS.get(accelerator)]

    def words(self) -> str:
        """The GPUs of one node in words: 2 x Tesla V100S-PCIE-32GB."""
        return " + ".join(f"{count} x {gpu.name}" for gpu, count in self.gpus)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _version(value: object) -> str | None:
    found = _VERSION.search(_text(value))
    return found[0] if found else None


def _truth(value: object, default: bool) -> bool:
    return default if _text(value) == "" else _text(value).lower() not in ("false", "no", "0", "off")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _gpu(value: Mapping[str, Any]) -> Gpu:
    vendor = _text(value.get("vendor")).lower() or "nvidia"
    architecture = _text(value.get("architecture")) or None
    capability: str | None = _text(value.get("gfx"))
    if vendor != "amd":
        capability = _version(value.get("compute_capability"))
    name = _text(value.get("name")) or (f"{architecture} GPU" if architecture else f"GPU {_text(value.get('pci_id'))}")
    return Gpu(vendor, name.strip(), architecture, capability or None)


def _packaged(packages: Sequence[Any]) -> str | None:
    """The version of a driver by its packages; tools beside it prove none."""
    return next((version for package in packages if (version := carried(_mapping(package)))), None)


def _driver(value: Mapping[str, Any]) -> State:
    loaded, library = _version(value.get("loaded")), _version(value.get("library"))
    built = _version(_mapping(value.get("built")).get("version"))
    if not loaded and not library:
        library = _packaged(_sequence(value.get("packages"))) or built
    module = built == (library or loaded) if isinstance(value.get("built"), Mapping) else None
    return State(loaded, library, _text(value.get("flavour")).lower() or None, module)


def _wish(node: Mapping[str, Any], name: str) -> str:
    text = _text(node.get(name))
    return "" if text.lower() in ("auto", "none") else text


def _group(node: Mapping[str, Any]) -> Group:
    every = [_gpu(gpu) for gpu in _sequence(node.get("gpus")) if isinstance(gpu, Mapping)]
    # Graphics inside an AMD processor have no gfx name that is known, and are no accelerator.
    gpus = [gpu for gpu in every if gpu.vendor == "nvidia" or gpu.capability]
    return Group(
        gpus=tuple(Counter(gpus).items()),
        driver=_driver(_mapping(node.get("driver"))),
        machine=_text(node.get("machine")) or "x86_64",
        glibc=_version(node.get("glibc")),
        system=" ".join(filter(None, (_text(node.get("distribution")), _text(node.get("distribution_version"))))),
        manage=_truth(node.get("driver_manage"), True),
        branch=_wish(node, "driver_branch"),
        version=_wish(node, "driver_version"),
        flavour=_wish(node, "driver_flavour").lower(),
    )


def grouped(nodes: Mapping[str, Mapping[str, Any]]) -> list[Group]:
    """The groups of nodes, in the order of their first nodes."""
    found: dict[Group, list[str]] = {}
    for name, node in nodes.items():
        found.setdefault(_group(node), []).append(str(name))
    return [replace(group, hosts=tuple(hosts)) for group, hosts in found.items()]


def read_groups(groups: Sequence[Group]) -> tuple[list[Group], list[Remark], list[str]]:
    """Groups without what cannot be read of their wishes for a driver, and what is to be said of that."""
    kept, faults, warnings = [], [], []
    for group in groups:
        given = {"driver_branch": group.branch, "driver_version": group.version}
        reading = read({name: value for name, value in given.items() if value})
        faults += [replace(fault, text=f"{{hosts}}: {fault.text}", hosts=group.hosts) for fault in reading.faults]
        warnings += [warning for warning in reading.warnings if warning not in warnings]
        flavour = group.flavour
        if flavour and flavour not in FLAVOURS:
            text = f"{{hosts}}: nvidia_driver_flavour is {flavour!r}; it must be auto, open or proprietary"
            faults.append(Remark("driver_flavour", text, group.hosts))
            flavour = ""
        branch, version = reading.wishes.driver_branch, reading.wishes.driver_version
        kept.append(replace(group, branch=branch, version=version, flavour=flavour))
    return kept, merged(faults), warnings


def vendors(groups: Iterable[Group]) -> set[str]:
    """The vendors of all GPUs."""
    return {gpu.vendor for group in groups for gpu, _count in group.gpus}
