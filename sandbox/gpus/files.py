"""The files of a host: what lies on its disk, and what its kernel shows in /proc and /sys."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.gpus import drivers
from sandbox.gpus.tree import Entry, Folder, Link, Program, Tree
from sandbox.gpus.world import AMD, NVIDIA, Driver, Gpu, World

LIBRARIES = "usr/lib/x86_64-linux-gnu"
# Where distributions of the RHEL family have them.
LIBRARIES_RPM = "usr/lib64"
# Below /lib/modules/RELEASE: where DKMS puts what it has built.
UPDATES = "updates/dkms"
SIMULATOR = "/usr/local/lib/fromzero-sim"
# A node that has this folder has its world's disk; a start finds there what was installed since.
CREATED = "/var/lib/fromzero-sim"
DENIAL = "blacklist nouveau\noptions nouveau modeset=0\n"
NVIDIA_MODULES = ("nvidia", "nvidia_modeset", "nvidia_drm", "nvidia_uvm")
NEEDS = {"nvidia_uvm": "nvidia", "nvidia_modeset": "nvidia", "nvidia_drm": "nvidia_modeset"}
OTHER_DRIVERS = ("nouveau", "nova_core", "nova_drm", "nvidiafb")
_SOURCES = {"nouveau": "gpu/drm/nouveau", "nova_core": "gpu/nova-core", "nova_drm": "gpu/drm/nova"}
_EFI = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Every server has a BMC with a VGA controller of its own; a GPU is not whatever is a display controller.
_BMC = ("0000:03:00.0", "1a03:2000", "0300")
_RUNFILE_LOG = "nvidia-installer log file '/var/log/nvidia-installer.log'\n"


@dataclass(frozen=True)
class Kernel:
    """What is loaded at a moment: the version and kind of NVIDIA's driver, and other drivers."""

    driver: str | None = None
    flavour: str = "proprietary"
    modules: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    # Whether the GPUs that a world calls lost are: a restart brings them back.
    lost: bool = False


def at_creation(world: World) -> Kernel:
    """What the kernel has loaded when a world begins; later starts load what is installed."""
    loaded = world.driver.loaded
    modules = NVIDIA_MODULES if loaded else ()
    return Kernel(loaded, world.driver.flavour, modules, tuple(world.blockers.loaded), lost=True)


def disk(world: World, release: str) -> dict[str, Entry]:
    """What lies on the disk and belongs to no package of the driver: kernel, modules, a runfile's leftovers."""
    tree: dict[str, Entry] = {
        "etc/modprobe.d": Folder(),
        f"boot/vmlinuz-{release}": "",
        **_stock_modules(world, release),
    }
    if world.headers:
        tree |= {f"usr/src/linux-headers-{release}": Folder()}
        tree |= {f"lib/modules/{release}/build": Link(f"/usr/src/linux-headers-{release}")}
    if world.newest:
        newest = later(release) if world.newest == "next" else world.newest
        tree |= {f"boot/vmlinuz-{newest}": "", f"lib/modules/{newest}/kernel": Folder()}
    if world.blockers.blocked and not world.packages and not world.runfile:
        tree["etc/modprobe.d/blacklist-nouveau.conf"] = DENIAL
    tree |= built(world.driver, release)
    if world.runfile:
        tree |= _runfile(world.runfile)
    tree[f"boot/initrd.img-{release}"] = _initramfs(world, release)
    return tree


def libraries(world: World) -> Tree:
    """The driver's library where the world has one; links of several packages end at the one that it names."""
    return _libraries(world.driver.library) if world.driver.library else {}


def _libraries(version: str) -> Tree:
    names = ("libnvidia-ml", "libcuda")
    tree: dict[str, Entry] = {f"{LIBRARIES}/{name}.so.{version}": f"{name} {version}\n" for name in names}
    return tree | {f"{LIBRARIES}/{name}.so.1": Link(f"{name}.so.{version}") for name in names}


def _call(program: str) -> Program:
    """A program that is one of the simulator's."""
    return Program(f'#!/bin/sh\nexec {SIMULATOR}/{program} "$@"\n')


def built(driver: Driver, release: str) -> dict[str, Entry]:
    """The kernel module on disk, where there is one."""
    if driver.built is None:
        return {}
    return {f"lib/modules/{release}/{UPDATES}/nvidia.ko": module(driver.built, driver.flavour, release, driver.signer)}


def module(version: str, flavour: str, release: str, signer: str | None = None) -> str:
    """The text that stands for a kernel module: the lines that `modinfo` shows."""
    license_ = "Dual MIT/GPL" if flavour == "open" else "NVIDIA"
    signed = f"signer: {signer}\n" if signer else ""
    return f"version: {version}\nlicense: {license_}\nvermagic: {release} SMP preempt mod_unload modversions\n{signed}"


def later(release: str) -> str:
    """The release of the kernel that an upgrade would bring: 6.1.0-28-amd64 -> 6.1.0-29-amd64."""
    return re.sub(r"^(\d+\.\d+\.\d+-|\d+\.\d+\.)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 1}", release)


def view(world: World, kernel: Kernel, hostname: str) -> dict[str, Entry]:
    """What the kernel shows of buses, modules and the driver; the paths begin with proc and sys."""
    tree: dict[str, Entry] = {
        "proc/driver": Folder(),
        "proc/modules": "".join(f"{line}\n" for line in listing(kernel)),
        "sys/module/ast": Folder(),
    }
    for device in _bus(world, kernel):
        tree |= device.files()
    for name in (*kernel.modules, *kernel.other):
        tree |= {f"sys/module/{name}/initstate": "live\n", f"sys/module/{name}/refcnt": "0\n"}
    if kernel.driver:
        tree |= {f"sys/module/{name}/version": f"{kernel.driver}\n" for name in kernel.modules}
        tree["proc/driver/nvidia/version"] = drivers.banner(kernel.driver, kernel.flavour)
        for minor, gpu in enumerate(taken(world, kernel)):
            tree[f"proc/driver/nvidia/gpus/{gpu.address}/information"] = _information(gpu, minor, kernel, hostname)
    if world.secure_boot is not None:
        # Four bytes of attributes, then the value.
        tree[_EFI] = struct.pack("<IB", 6, world.secure_boot)
    return tree


def taken(world: World, kernel: Kernel) -> list[Gpu]:
    """The GPUs that the loaded driver has; another driver that was there first keeps them."""
    version = kernel.driver
    if not version or "nvidia" not in kernel.modules or kernel.other:
        return []
    return [gpu for gpu in world.nvidia if drivers.runs(gpu, version, kernel.flavour)]


def devices(world: World, kernel: Kernel) -> list[str]:
    """The names in /dev that the loaded driver has made."""
    gpus = taken(world, kernel)
    if not gpus:
        return []
    names = [f"nvidia{minor}" for minor in range(len(gpus))] + ["nvidiactl"]
    names += ["nvidia-uvm", "nvidia-uvm-tools"] if "nvidia_uvm" in kernel.modules else []
    switches = [f"nvidia-nvswitch{number}" for number, _ in enumerate(_switches(world)) if not _hidden(world)]
    return names + (["nvidia-nvswitchctl", *switches] if switches else [])


def listing(kernel: Kernel) -> Iterator[str]:
    """The lines of /proc/modules."""
    sizes = {"nvidia": 62324736, "nvidia_modeset": 1306624, "nvidia_drm": 86016, "nvidia_uvm": 1527808}
    for name in (*reversed(kernel.modules), *kernel.other):
        users = needing(kernel, name)
        by = "".join(f"{user}," for user in users) or "-"
        yield f"{name} {sizes.get(name, 2519040)} {len(users)} {by} Live 0x0000000000000000"


def needing(kernel: Kernel, name: str) -> list[str]:
    """The loaded modules that need another."""
    return [user for user, needed in NEEDS.items() if needed == name and user in kernel.modules]


@dataclass(frozen=True)
class _Device:
    """A device on the PCI bus, as sysfs and the configuration space show it."""

    address: str
    pci_id: str
    pci_class: str
    driver: str | None = None
    numa: int = 0
    lost: bool = False
    more: Mapping[str, Entry] = field(default_factory=dict)

    def files(self) -> dict[str, Entry]:
        vendor, device = (int(part, 16) for part in self.pci_id.split(":"))
        code = int(self.pci_class, 16)
        space = bytearray(256)
        struct.pack_into("<HHHHBBBB", space, 0, vendor, device, 0x0006, 0x0010, 0xA1, 0, code & 0xFF, code >> 8)
        struct.pack_into("<HH", space, 0x2C, vendor, 0x1463)
        values = {"vendor": vendor, "device": device, "subsystem_vendor": vendor, "subsystem_device": 0x1463}
        folder = f"sys/bus/pci/devices/{self.address}"
        tree: dict[str, Entry] = {f"{folder}/{name}": f"0x{value:04x}\n" for name, value in values.items()}
        tree |= {
            f"{folder}/class": f"0x{self.pci_class}00\n",
            f"{folder}/revision": "0xa1\n",
            f"{folder}/irq": "0\n",
            f"{folder}/enable": "1\n",
            f"{folder}/numa_node": f"{self.numa}\n",
            f"{folder}/resource": "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 13,
            # Whatever is read from a device that has fallen off the bus has all bits set.
            f"{folder}/config": b"\xff" * 256 if self.lost else bytes(space),
            "sys/bus/pci/drivers": Folder(),
            "sys/bus/pci/slots": Folder(),
        }
        if self.driver:
            tree[f"{folder}/driver"] = Link(f"../../drivers/{self.driver}")
            tree[f"sys/bus/pci/drivers/{self.driver}/{self.address}"] = Link(f"../../devices/{self.address}")
        return {**tree, **{f"{folder}/{name}": entry for name, entry in self.more.items()}}


def _bus(world: World, kernel: Kernel) -> Iterator[_Device]:
    yield _Device(*_BMC, driver="ast")
    by_nvidia = {gpu.address for gpu in taken(world, kernel)}
    other = next((name for name in kernel.other if name != "nova_drm"), None)
    for gpu in world.gpus:
        driver = "nvidia" if gpu.address in by_nvidia else other if gpu.vendor == NVIDIA else "amdgpu"
        numa = gpu.index * 2 // max(len(world.gpus), 1)
        lost = gpu.lost and kernel.lost
        yield _Device(gpu.address, gpu.pci_id, gpu.pci_class, driver, numa, lost, _by_amd(gpu))
    yield from _switches(world)


def _by_amd(gpu: Gpu) -> dict[str, Entry]:
    """What amdgpu, which is part of the kernel, tells of a GPU."""
    if gpu.vendor != AMD:
        return {}
    return {"mem_info_vram_total": f"{gpu.memory_mib * 1024 * 1024}\n", "product_name": f"{gpu.name}\n"}


def _hidden(world: World) -> bool:
    """Whether the NVSwitches are no PCI devices: since Blackwell they are reached through ConnectX-7 bridges."""
    return bool(world.nvidia) and float(world.nvidia[0].compute_capability or 0) >= 10


def _switches(world: World) -> Iterator[_Device]:
    if _hidden(world):
        # A bridge's vital product data has SW_MNG; that alone tells it from the network cards of the same id.
        for number in range(world.nvswitch * 2):
            address = f"0000:{0xC4 + number // 2:02x}:00.{number % 2}"
            yield _Device(
                address, "15b3:1021", "0207", "mlx5_core", more={"vpd": b"\x82\x08\x00Nvidia x\x90SMDL\x06SW_MNG"}
            )
        return
    capability = world.nvidia[0].compute_capability if world.nvidia else None
    pci_id = "10de:1af1" if capability == "8.0" else "10de:22a3"
    for number in range(world.nvswitch):
        yield _Device(f"0000:{0xC4 + number:02x}:00.0", pci_id, "0680", "nvidia-nvswitch")


def _information(gpu: Gpu, minor: int, kernel: Kernel, hostname: str) -> str:
    lines = {
        "Model": gpu.name,
        "IRQ": str(100 + gpu.index),
        "GPU UUID": gpu.uuid(hostname),
        "Video BIOS": "??.??.??.??.??",
        "Bus Type": "PCIe",
        "DMA Size": "47 bits",
        "DMA Mask": "0x7fffffffffff",
        "Bus Location": gpu.address,
        "Device Minor": str(minor),
        "GPU Firmware": kernel.driver if kernel.flavour == "open" else "N/A",
        "GPU Excluded": "No",
    }
    return "".join(f"{name}: {chr(9)} {value}\n" for name, value in lines.items())


def _stock_modules(world: World, release: str) -> dict[str, Entry]:
    """Every distribution's kernel has nouveau; the other drivers lie there where they are loaded."""
    folder = f"lib/modules/{release}/kernel/drivers"
    names = dict.fromkeys(("nouveau", *world.blockers.loaded))
    return {
        f"{folder}/{_SOURCES.get(name, 'video')}/{name}.ko": f"license: GPL\nvermagic: {release} SMP mod_unload\n"
        for name in names
    }


def _initramfs(world: World, release: str) -> str:
    """The names in the image, which is all that a look into one tells; `update-initramfs` writes it anew."""
    names = ["etc/modprobe.d", "lib/modprobe.d", f"usr/lib/modules/{release}/kernel/fs/ext4/ext4.ko"]
    if world.blockers.initramfs:
        path = f"usr/lib/modules/{release}/kernel/drivers"
        names += [f"{path}/{_SOURCES.get(name, 'video')}/{name}.ko" for name in world.blockers.loaded or ("nouveau",)]
    return "".join(f"{name}\n" for name in sorted(names))


def _runfile(version: str) -> dict[str, Entry]:
    """What NVIDIA-Linux-x86_64-VERSION.run leaves on a host beside libraries and modules."""
    return {
        "usr/bin/nvidia-installer": _call("nvidia-installer"),
        "usr/bin/nvidia-uninstall": _call("nvidia-installer --uninstall"),
        "usr/bin/nvidia-smi": _call("nvidia-smi"),
        "usr/lib/modprobe.d/nvidia-installer-disable-nouveau.conf": DENIAL,
        "var/lib/nvidia/log": f"1: {version}\n",
        "var/log/nvidia-installer.log": f"{_RUNFILE_LOG}installer version: {version}\n",
        **_libraries(version),
    }
