# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node's driver compared with what is requested: one sentence for each lack, before a change and after it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import carried
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import unfit
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import Gpu, Rules

_NVIDIA = "nvidia"
# The profile at the end of a virtual GPU's name: NVIDIA A40-8Q, GRID A100-2-10C.
_SLICE = re.compile(r"-\d+[ABCQ]$")


class Node:
    """What the module gpu_info returned about a node, read for its driver."""

    def __init__(self, host: str, facts: Mapping[str, Any]) -> None:
        driver: Mapping[str, Any] = facts.get("driver") or {}
        manager: Mapping[str, Any] = facts.get("fabric_manager") or {}
        self.host = host
        self.facts = facts
        self.gpus = [gpu for gpu in facts.get("gpus") or [] if gpu.get("vendor", _NVIDIA) == _NVIDIA]
        self.architectures = sorted({str(gpu["architecture"]) for gpu in self.gpus if gpu.get("architecture")})
        self.loaded: str | None = driver.get("loaded")
        self.library: str | None = driver.get("library")
        built: Mapping[str, Any] = driver.get("built") or {}
        self.built: str | None = built.get("version")
        self.flavour: str | None = driver.get("flavour") or built.get("flavour")
        self.runfile: str | None = driver.get("runfile")
        self.packages: Sequence[Mapping[str, Any]] = driver.get("packages") or []
        self.names = [str(package["name"]) for package in self.packages]
        self.carriers = [str(package["name"]) for package in self.packages if carried(package)]
        self.origin: str | None = driver.get("origin")
        self.broken = [str(package["name"]) for package in self.packages if package.get("broken")]
        self.error: str | None = facts.get("error")
        self.secure_boot = facts.get("secure_boot") is True
        self.headers = bool((facts.get("kernel") or {}).get("headers"))
        self.fabric_version: str | None = manager.get("version")
        self.fabric_active: bool | None = manager.get("active")

    @property
    def kinds(self) -> list[Gpu]:
        """The GPUs, as rules about drivers tell them apart."""
        names = ("name", "architecture", "compute_capability")
        every = [[str(gpu[name]) if gpu.get(name) else None for name in names] for gpu in self.gpus]
        return [Gpu(_NVIDIA, name or f"{kind or 'unknown'} GPU", kind, own) for name, kind, own in every]

    @property
    def compiled(self) -> bool:
        """Whether DKMS has the source of the modules that belong to the libraries, so that it can make them again."""
        sources = (package for package in self.packages if re.search(r"dkms|akmod", str(package["name"])))
        return not self.runfile and self.library is not None and self.library in map(carried, sources)

    @property
    def lent(self) -> bool:
        """Whether the driver works without having been installed here, as in WSL and in containers."""
        return self.loaded is not None and self.loaded == self.library and self.origin == "none"

    def belongs_elsewhere(self) -> str:
        """Why nobody can exchange the driver on the node itself, as a sentence; empty where somebody can."""
        sliced = [str(gpu.get("name")) for gpu in self.gpus if _SLICE.search(str(gpu.get("name")))]
        if sliced:
            return (
                f"The GPUs of {self.host} are virtual ({sliced[0]}), and run only with the driver of NVIDIA's vGPU "
                "release that the machine below has; have its administrator give you that one."
            )
        if self.lent:
            return (
                f"The driver {self.library} of {self.host} is not installed there: WSL, or the engine of a container, "
                "lends that of the machine below; exchange it there."
            )
        return ""

    def wants_fabric(self, request: Request) -> bool:
        """Whether this node needs a fabric manager."""
        if request.fabric_manager == "auto":
            return int(self.facts.get("nvswitch") or 0) > 0 and not self.lent
        return request.fabric_manager == "always"

    def described(self) -> str:
        """The GPUs, counted by name."""
        counted = Counter(str(gpu.get("name") or gpu.get("pci_id") or "unknown") for gpu in self.gpus)
        return ", ".join(f"{count} x {name}" for name, count in counted.items())

    def lacks(self, request: Request, rules: Rules) -> list[str]:
        """One sentence for each way in which the driver that runs is not sufficient."""
        if not self.loaded and not self.library:
            return [f"{self.host} has no driver for its GPUs ({self.described()})."]
        found = []
        if self.loaded and self.library and self.loaded != self.library:
            found.append(
                f"The kernel of {self.host} runs the NVIDIA module {self.loaded}, but the libraries are of "
                f"{self.library}."
            )
        elif not self.loaded:
            found.append(f"The driver {self.library} is installed on {self.host}, but its kernel module is not loaded.")
        elif not self.library:
            found.append(f"The kernel of {self.host} runs the NVIDIA module {self.loaded}, but its libraries are gone.")
        version = str(self.library or self.loaded)
        found += [
            f"{self.host} has the driver {version}, but {why}." for why in unfit(rules, request, version, self.flavour)
        ]
        if self.broken:
            found.append(f"Packages are half installed on {self.host}: {', '.join(self.broken)}.")
        if not found and self.error:
            found.append(f"The driver of {self.host} does not answer: {self.error}")
        return [*found, *(self._fabric_lacks() if self.wants_fabric(request) else [])]

    def _fabric_lacks(self) -> list[str]:
        if not self.fabric_version:
            return [f"{self.host} has NVSwitches and no fabric manager, without which CUDA ends with error 802."]
        if self.library and self.fabric_version != self.library:
            return [
                f"The fabric manager {self.fabric_version} of {self.host} does not start beside the driver "
                f"{self.library}; it must be of exactly the same version."
            ]
        return [f"The fabric manager of {self.host} does not run."] if self.fabric_active is False else []

    def unproven(self, request: Request, rules: Rules, gpus: int) -> list[str]:
        """One sentence for each way in which a driver that was changed does not do yet what it should.

        :param gpus: how many GPUs there were before.
        """
        if self.facts.get("source") != "nvidia-smi":
            return [f"The driver of {self.host} does not answer: {self.error or 'there is no nvidia-smi.'}"]
        found = self.lacks(request, rules)
        if len(self.gpus) != gpus:
            found.append(
                f"The driver of {self.host} sees {len(self.gpus)} of {gpus} GPUs; its kernel says why (dmesg, lines "
                "with NVRM)."
            )
        if self.built != self.library:
            on_disk = f"the module {self.built}" if self.built else "no module"
            found.append(
                f"For its running kernel {self.host} has {on_disk} on disk, not {self.library}, and would start "
                "without GPUs the next time; 'dkms status' and /var/lib/dkms/nvidia/*/build/make.log there say why."
            )
        return found
