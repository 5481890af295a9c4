# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands around an NVIDIA driver: NVSwitches and their fabric manager, Secure Boot, other drivers, the kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import Package, upstream
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import NVIDIA, PciDevice
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers


class FabricManager(TypedDict):
    """The service without which GPUs on NVSwitches do not compute."""

    version: str | None
    package: str | None
    active: bool | None


class Blockers(TypedDict):
    """Drivers that take NVIDIA's GPUs first: those loaded, whether modprobe is told to deny them, and whether the
    initramfs of the running kernel would still load one, null where nobody looked or could."""

    loaded: list[str]
    blocked: bool
    initramfs: bool | None


class Kernel(TypedDict):
    """The running kernel, whether its headers are there, and the newest kernel installed."""

    release: str
    headers: bool
    newest: str | None


_BRIDGE, _INFINIBAND, _CONNECTX_7 = "0680", "0207", "15b3:1021"
# Bridges of nForce chipsets, long ago, have lower numbers than the first NVSwitch.
_FIRST_NVSWITCH = 0x1AC0
_BLOCKERS = ("nouveau", "nova_core", "nova_drm", "nvidiafb")
_MODPROBE_FOLDERS = (
    "lib/modprobe.d",
    "usr/lib/modprobe.d",
    "usr/local/lib/modprobe.d",
    "run/modprobe.d",
    "etc/modprobe.d",
)
_COMMAND_LINE = "proc/cmdline"
# nova_drm does nothing without nova_core.
_IN_IMAGES = "nouveau|nova[-_]core|nvidiafb"
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def nvswitches(host: Host, devices: Sequence[PciDevice]) -> int | None:
    """How many NVSwitches the host has; null where only root could tell.

    Those of A100, H100 and H200 boards are PCI bridges by NVIDIA. Those of B200 boards and later are reached through
    pairs of ConnectX-7 functions, which differ from network cards by their vital product data: it names SW_MNG.
    """
    bridges = [one for one in devices if one.vendor == NVIDIA and one.pci_class == _BRIDGE]
    count = sum(int(one.pci_id[5:], 16) >= _FIRST_NVSWITCH for one in bridges)
    files = len(host.glob("dev/nvidia-nvswitch[0-9]*"))
    if count or files or not any(one.vendor == NVIDIA for one in devices):
        return count or files
    managers = [one.address for one in devices if one.pci_id == _CONNECTX_7 and one.pci_class == _INFINIBAND]
    said = [host.data(f"sys/bus/pci/devices/{one}/vpd") for one in managers]
    if managers and not any(said):
        return None
    return (sum(b"SW_MNG" in (one or b"") for one in said) + 1) // 2


def fabric_manager(host: Host, packages: Sequence[Package]) -> FabricManager:
    """The installed fabric manager and whether its service runs; all null where there is none."""
    found = [one for one in packages if re.search(r"fabric-?manager(-\d+)?$", one["name"])]
    # A meta package is the one that is not NVIDIA's own name.
    package = next(iter(sorted(found, key=lambda one: not one["name"].startswith("nvidia"))), None)
    version = upstream(package["version"]) if package else None
    if package is None:
        match = re.search(r"version is\s*:\s*([0-9.]+)", host.said("nv-fabricmanager", "--version"))
        version = match[1] if match else None
    if package is None and version is None:
        return FabricManager(version=None, package=None, active=None)
    asked = host.run(["systemctl", "is-active", "nvidia-fabricmanager"])
    state = asked.stdout.strip() if asked else ""
    active = None if state in ("", "offline", "unknown") else state == "active"
    return FabricManager(version=version, package=package["name"] if package else None, active=active)


def secure_boot(host: Host) -> bool | None:
    """Whether Secure Boot is on. A machine without EFI has none; null where EFI hides its variables."""
    value = host.data(_SECURE_BOOT)
    if value is not None and len(value) >= 5:
        return value[4] == 1
    asked = host.run(["mokutil", "--sb-state"])
    said = re.search(r"SecureBoot (enabled|disabled)", asked.stdout) if asked else None
    if said:
        return said[1] == "enabled"
    return None if host.is_there("sys/firmware/efi") else False


def denials(host: Host) -> dict[str, list[str]]:
    """Which modules are denied, and by which files of modprobe.d or by the kernel's command line."""
    files: dict[str, Path] = {}
    for path in host.glob(*(f"{folder}/*.conf" for folder in _MODPROBE_FOLDERS)):
        files[path.name] = path  # a later folder overrides
    found: dict[str, list[str]] = {}
    for path in files.values():
        for line in re.findall(
            r"^\s*(?:blacklist\s+\S+|install\s+\S+\s+/(?:usr/)?bin/(?:false|true)\b)", host.text(path), re.M
        ):
            found.setdefault(line.split()[1].replace("-", "_"), []).append(path.name)
    for option in re.findall(r"(?:modprobe\.|rd\.driver\.)blacklist=(\S+)", host.text(_COMMAND_LINE)):
        for name in option.split(","):
            found.setdefault(name.replace("-", "_"), []).append(_COMMAND_LINE)
    return found


def _nova_is_there(host: Host, release: str) -> bool:
    return bool(host.glob(f"lib/modules/{release}/kernel/drivers/gpu/nova-core/nova?core.ko*"))


def _in_initramfs(host: Host, release: str, denied: Mapping[str, Sequence[str]]) -> bool | None:
    """Whether the image would load a blocker: it holds one, and nothing that denies it.

    Images are not made without a driver that is denied: the files of modprobe.d go into them, and keep it from loading.
    """
    images = {"lsinitramfs": f"boot/initrd.img-{release}", "lsinitrd": f"boot/initramfs-{release}.img"}
    for tool, image in images.items():
        listed = host.said(tool, str(host.root / image)) if host.is_there(image) else ""
        if listed:
            names = {name.replace("-", "_") for name in re.findall(rf"/({_IN_IMAGES})\.ko", listed)}
            return any(not _is_denied(denied.get(name, ()), listed) for name in names)
    return None


def _is_denied(places: Sequence[str], listed: str) -> bool:
    return any(place == _COMMAND_LINE or f"modprobe.d/{place}" in listed for place in places)


def blockers(host: Host, release: str, in_doubt: bool) -> Blockers:
    """The other drivers of NVIDIA's GPUs.

    :param in_doubt: whether to look into the initramfs, which takes seconds, though no blocker is loaded.
    """
    found = [name for name in _BLOCKERS if host.is_there(f"sys/module/{name}")]
    denied = denials(host)
    needed = {"nouveau", *found, *(["nova_core"] if _nova_is_there(host, release) else [])}
    if "nova_core" in denied:
        needed.discard("nova_drm")  # which needs nova_core
    look = bool(found) or in_doubt
    return Blockers(
        loaded=found,
        blocked=needed <= set(denied),
        initramfs=_in_initramfs(host, release, denied) if look else None,
    )


def kernel(host: Host, release: str) -> Kernel:
    """The running kernel beside those installed; newest is null where no installed kernel can be found."""
    there = [path.name[len("vmlinuz-") :] for path in host.glob("boot/vmlinuz-[0-9]*")]
    there += [path.parent.name for path in host.glob("lib/modules/*/vmlinuz")]
    return Kernel(
        release=release,
        headers=host.is_there(f"lib/modules/{release}/build"),
        newest=max(there, key=numbers, default=None),
    )
