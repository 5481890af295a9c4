# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which GPUs a node has, by whatever can tell: the driver's tool, the loaded driver, or the PCI bus."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import nvidia_smi
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host

NVIDIA, AMD = "10de", "1002"
_VENDORS = {NVIDIA: "nvidia", AMD: "amd"}
# VGA controllers, 3D controllers, other display controllers, processing accelerators; the other functions of a card are
# audio and USB. AMD's Instinct are of the last two classes.
_GPU_CLASSES = ("0300", "0302", "0380", "1200")
_MIG = {"Enabled": "enabled", "Disabled": "disabled"}


class Gpu(TypedDict):
    """One GPU; what the source cannot tell is null. The index counts the GPUs of a vendor."""

    index: int
    vendor: str
    name: str | None
    architecture: str | None
    compute_capability: str | None
    gfx: str | None
    memory_mib: int | None
    uuid: str | None
    pci_address: str | None
    pci_id: str | None
    mig: str | None


@dataclass(frozen=True)
class PciDevice:
    """A function on the PCI bus; pci_id is vendor and device, pci_class the first four digits, driver what has it."""

    address: str
    pci_id: str
    pci_class: str
    driver: str | None

    @property
    def vendor(self) -> str:
        return self.pci_id[:4]


@dataclass(frozen=True)
class Found:
    """The GPUs of a node, and who told.

    :ivar source: nvidia-smi, proc, pci or none.
    :ivar error: what nvidia-smi said when it failed.
    :ivar away: GPUs that are on the bus and not among the found: lost by the driver, or handed to virtual machines.
    """

    gpus: list[Gpu]
    source: str
    error: str | None
    away: list[PciDevice]
    driver_version: str | None = None


def pci_devices(host: Host) -> list[PciDevice]:
    """What is on the PCI bus in the order of the addresses, but for virtual functions that belong to a device here."""
    found = []
    for folder in host.glob("sys/bus/pci/devices/*"):
        vendor, device = (host.text(folder / name)[2:].lower() for name in ("vendor", "device"))
        if vendor and not host.is_there(folder / "physfn"):
            driver = host.follow(folder / "driver").name if (folder / "driver").is_symlink() else None
            kind = host.text(folder / "class")[2:6]
            found.append(PciDevice(_address(folder.name), f"{vendor}:{device}", kind, driver))
    return found


def _address(text: str) -> str:
    """0000:07:00.0, as sysfs writes it; nvidia-smi has capitals and a domain of eight digits."""
    domain, _colon, rest = text.strip().lower().partition(":")
    return f"{domain.lstrip('0').rjust(4, '0')}:{rest}"


def _gpu(index: int, vendor: str, **known: str | int | None) -> Gpu:
    gpu = Gpu(
        index=index, vendor=vendor, name=None, architecture=None, compute_capability=None, gfx=None, memory_mib=None,
        uuid=None, pci_address=None, pci_id=None, mig=None,
    )  # fmt: skip
    gpu.update(known)  # type: ignore[typeddict-item]
    return gpu


def _number(text: str | None) -> int | None:
    match = re.match(r"[0-9]+", text or "")
    return int(match[0]) if match else None


def from_rows(rows: Sequence[Mapping[str, str]]) -> list[Gpu]:
    """The GPUs that nvidia-smi lists."""
    found = []
    for row in rows:
        # 0x233510DE: the device, then the vendor
        device = re.fullmatch(r"0x([0-9A-Fa-f]{4})10DE", row.get("pci.device_id", ""), re.IGNORECASE)
        found.append(
            _gpu(
                int(row["index"]),
                "nvidia",
                name=row.get("name"),
                compute_capability=row.get("compute_cap"),
                memory_mib=_number(row.get("memory.total")),
                uuid=row.get("uuid"),
                pci_address=_address(row["pci.bus_id"]) if "pci.bus_id" in row else None,
                pci_id=f"{NVIDIA}:{device[1].lower()}" if device else None,
                mig=_MIG.get(row.get("mig.mode.current", "")),
            )
        )
    return found


def from_proc(host: Host) -> list[Gpu]:
    """The NVIDIA GPUs that the loaded driver has taken, in the order of their bus addresses."""
    found: list[Gpu] = []
    for path in host.glob("proc/driver/nvidia/gpus/*/information"):
        facts = dict(re.findall(r"^([^:\n]+):\s*(.*?)\s*$", host.text(path), re.MULTILINE))
        if facts.get("GPU Excluded") == "Yes":
            continue
        uuid = facts.get("GPU UUID", "")
        found.append(
            _gpu(
                len(found),
                "nvidia",
                name=facts.get("Model") or None,
                uuid=uuid if uuid and "?" not in uuid else None,
                pci_address=_address(path.parent.name),
            )
        )
    return found


def from_pci(devices: Sequence[PciDevice]) -> list[Gpu]:
    """GPUs of one vendor on the bus, with or without a driver."""
    return [
        _gpu(index, _VENDORS[device.vendor], pci_address=device.address, pci_id=device.pci_id)
        for index, device in enumerate(devices)
    ]


def _on_the_bus(devices: Sequence[PciDevice], vendor: str) -> list[PciDevice]:
    return [device for device in devices if device.vendor == vendor and device.pci_class in _GPU_CLASSES]


def _amd(host: Host, devices: Sequence[PciDevice]) -> list[Gpu]:
    """AMD's GPUs, with what their driver tells: the memory in bytes, and the instruction set."""
    gpus = from_pci(devices)
    sets = _instruction_sets(host)
    for gpu in gpus:
        memory = _number(host.text(f"sys/bus/pci/devices/{gpu['pci_address']}/mem_info_vram_total"))
        gpu["memory_mib"] = memory // 2**20 if memory else None
        gpu["gfx"] = sets.get(gpu["pci_address"] or "")
    return gpus


def _instruction_sets(host: Host) -> dict[str, str]:
    """The instruction set of each GPU by its address, as the kernel's compute driver for AMD has it.

    Major, minor and stepping are decimal pairs, and the last two are hexadecimal in the name: 90010 is gfx90a. The
    lowest byte of a location is device and function, the one above it the bus.
    """
    found = {}
    for path in host.glob("sys/class/kfd/kfd/topology/nodes/*/properties"):
        values = {name: int(value) for name, value in re.findall(r"^(\w+) ([0-9]+)$", host.text(path), re.MULTILINE)}
        target, place = values.get("gfx_target_version", 0), values.get("location_id", 0)
        if target:
            address = f"{values.get('domain', 0):04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7}"
            found[address] = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
    return found


def _nvidia(host: Host, on_the_bus: Sequence[PciDevice]) -> Found:
    """NVIDIA's GPUs by the first that can tell.

    When nvidia-smi fails, as it does after an upgrade of its libraries under a loaded driver, the GPUs are still
    counted, but for those that it names as lost. When it lists some, those are the GPUs that can be used.
    """
    answer = nvidia_smi.ask(host.run)
    error = answer.error if answer else None
    if answer and answer.rows:
        version = answer.rows[0].get("driver_version")
        return Found(from_rows(answer.rows), "nvidia-smi", error, [], version)
    lost = {_address(text) for text in answer.lost} if answer else set()
    taken = [gpu for gpu in from_proc(host) if gpu["pci_address"] not in lost]
    ours = [device for device in on_the_bus if device.driver != "vfio-pci" and device.address not in lost]
    for source, gpus in (("proc", taken), ("pci", from_pci(ours))):
        if gpus:
            return Found(gpus, source, error, [])
    return Found([], "none", error, [])


def gather(host: Host, devices: Sequence[PciDevice]) -> Found:
    """All GPUs of a node: NVIDIA's as nvidia-smi orders them, then AMD's by bus address."""
    on_the_bus = _on_the_bus(devices, NVIDIA)
    found = _nvidia(host, on_the_bus)
    ids = {device.address: device.pci_id for device in on_the_bus}
    for gpu in found.gpus:
        gpu["pci_id"] = gpu["pci_id"] or ids.get(gpu["pci_address"] or "")
    amd = _amd(host, _on_the_bus(devices, AMD))
    there = {gpu["pci_address"] for gpu in found.gpus}
    away = [device for device in on_the_bus if device.address not in there]
    source = "pci" if found.source == "none" and amd else found.source
    return Found([*found.gpus, *amd], source, found.error, away, found.driver_version)
