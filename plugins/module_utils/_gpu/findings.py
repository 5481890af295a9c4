# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the GPUs or the NVIDIA driver of a host, in sentences: from facts alone, without a look at it."""

from __future__ import annotations

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver import Driver
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import carried
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import Found
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.platform import (
    Blockers,
    FabricManager,
    Kernel,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers


def _versions(driver: Driver) -> list[str]:
    loaded, library = driver["loaded"], driver["library"]
    found = []
    if driver["agrees"] is False:
        remedy = (
            "reload the module or reboot"
            if loaded and library and driver["built"]["version"] == library
            else f"install the kernel module of {library} and reboot, or the library of {loaded}"
        )
        found.append(
            f"The loaded kernel module is {loaded} and the library is {library}, so that no program can use the GPUs; "
            f"{remedy}."
        )
    if len(driver["libraries"]) > 1:
        found.append(
            f"The driver's library is there in several versions, {listed(driver['libraries'])}, and programs load "
            f"{library}; remove the others."
        )
    built = driver["built"]["version"]
    if loaded and built and built != loaded and driver["agrees"] is not False:
        found.append(
            f"The kernel module on disk is {built} and the loaded one is {loaded}; the next boot or reload changes the "
            "driver."
        )
    return found


def _packages(driver: Driver) -> list[str]:
    found = []
    if driver["origin"] == "both":
        found.append(
            f"A driver {driver['runfile']} from a runfile lies over the driver's packages, and each overwrites files "
            "of the other; run nvidia-uninstall --silent, then install the packages again."
        )
    broken = [package["name"] for package in driver["packages"] if package["broken"]]
    if broken:
        found.append(f"Not installed whole: {listed(broken, most=4)}; run dpkg --configure -a and apt-get -f install.")
    versions: dict[str, list[str]] = {}
    for package in driver["packages"]:
        version = carried(package)
        if version:
            versions.setdefault(version, []).append(package["name"])
    if len(versions) > 1:
        kind = "branches" if len({version.partition(".")[0] for version in versions}) > 1 else "versions"
        of_each = (f"{one} ({listed(versions[one], most=4)})" for one in sorted(versions, key=numbers))
        found.append(f"The driver's packages are of several {kind}: {listed(of_each)}; bring them to one.")
    return found


def _kernel(driver: Driver, kernel: Kernel, secure_boot: bool | None, blockers: Blockers) -> list[str]:
    """What the running kernel and the next one lack; a driver that is not installed here lacks nothing here.

    A module that is built is not called for where another driver has the GPUs: it cannot be loaded before that goes.
    """
    if driver["origin"] == "none":
        return []
    found, release, built = [], kernel["release"], driver["built"]["kernels"]
    newest = kernel["newest"] or release
    following = newest if numbers(newest) > numbers(release) else release
    if driver["loaded"] is None:
        if release in built and not blockers["loaded"]:
            found.append(
                f"The kernel module {driver['built']['version']} is on the disk and not loaded; "
                + (
                    "Secure Boot is on, and refuses a module that is not signed by a key the machine knows: take the "
                    "distribution's signed modules, or enrol the key of DKMS by mokutil --import and confirm it at the "
                    "console at the next boot."
                    if secure_boot
                    else "load it by modprobe nvidia, and see the kernel's log where that fails."
                )
            )
        elif built and release not in built:
            found.append(
                f"The driver's kernel module is there for {listed(built)} and not for {release}, which runs; build it "
                "for the running kernel, or reboot into one that has it."
            )
        elif not built:
            found.append(f"The driver's library is there and no kernel module; build one for {release}.")
        if release not in built and not kernel["headers"]:
            found.append(
                f"The headers of the running kernel {release} are missing, so that no kernel module can be built for "
                f"it; install them, or reboot into {'a kernel that has them' if following == release else following}."
            )
    # In a container there is no kernel to start.
    if following not in built and (release in built or (driver["loaded"] and kernel["newest"])):
        found.append(
            f"The next boot starts kernel {following}, and no kernel module of the driver is on the disk for it; "
            "install its headers and build it before a reboot."
        )
    return found


def _blockers(driver: Driver, blockers: Blockers) -> list[str]:
    if not blockers["loaded"] or driver["loaded"]:
        return []
    verb = "has" if len(blockers["loaded"]) == 1 else "have"
    initramfs = ", and the initramfs would load it again" if blockers["initramfs"] else ""
    return [
        f"{listed(blockers['loaded'])} {verb} the GPUs, so that NVIDIA's driver cannot take them{initramfs}; deny it "
        "in /etc/modprobe.d, rebuild the initramfs and reboot."
    ]


def _fabric(driver: Driver, nvswitch: int | None, manager: FabricManager) -> list[str]:
    needed = driver["loaded"] or driver["library"]
    if not nvswitch or not needed or driver["origin"] == "none":
        return []
    if manager["version"] is None:
        return [
            f"There are {nvswitch} NVSwitches and no fabric manager, without which CUDA does not start (error 802); "
            f"install nvidia-fabricmanager {needed}."
        ]
    if manager["version"] != needed:
        return [
            f"The fabric manager is {manager['version']} and the driver is {needed}; it only starts where both are of "
            f"one version, so install nvidia-fabricmanager {needed}."
        ]
    if manager["active"] is False:
        return ["The fabric manager does not run, and without it CUDA does not start; start nvidia-fabricmanager."]
    return []


def _gpus(gpus: Found, driver: Driver) -> list[str]:
    found = []
    virtual = [device.address for device in gpus.away if device.driver == "vfio-pci"]
    lost = [device.address for device in gpus.away if device.driver != "vfio-pci"]
    if virtual:
        found.append(f"{listed(virtual)}: handed to virtual machines (vfio-pci), so not counted.")
    if lost and driver["loaded"]:
        kind = f"{driver['flavour']} " if driver["flavour"] else ""
        found.append(
            f"{listed(lost)}: on the PCI bus, and the driver does not offer it, so not counted; it has fallen off the "
            f"bus, or the {kind}module {driver['loaded']} does not support it. See NVRM and Xid in the kernel's log; "
            "what was lost comes back with a reboot."
        )
    mig = [str(gpu["index"]) for gpu in gpus.gpus if gpu["mig"] == "enabled"]
    if mig:
        found.append(
            f"MIG is enabled on GPU {listed(mig)}: a program sees one slice of it at most, and NCCL joins none; switch "
            "it off by nvidia-smi -mig 0 to train on whole GPUs."
        )
    return found


def _unanswered(gpus: Found, driver: Driver) -> str:
    """What nvidia-smi said, and what it means where the loaded module has taken none of the GPUs on the bus."""
    if gpus.source != "pci" or not any(gpu["vendor"] == "nvidia" for gpu in gpus.gpus):
        return str(gpus.error)
    kind = f"{driver['flavour']} " if driver["flavour"] else ""
    return (
        f"The {kind}module {driver['loaded']} is loaded and drives none of the GPUs ({str(gpus.error).rstrip('.')}); "
        "where lines with NVRM in the kernel's log say that it does not support them, install the other kernel modules "
        "or a branch that does."
    )


def findings(
    gpus: Found,
    driver: Driver,
    *,
    nvswitch: int | None,
    manager: FabricManager,
    secure_boot: bool | None,
    blockers: Blockers,
    kernel: Kernel,
) -> list[str]:
    """All that is wrong, the gravest first.

    What nvidia-smi said comes along, except where a sentence here says the same better.
    """
    # Where module and library differ, or none is loaded, its failure is no news.
    told = gpus.error and driver["agrees"] is not False and driver["loaded"]
    said = [_unanswered(gpus, driver)] if told else []
    return [
        *said,
        *_versions(driver),
        *_packages(driver),
        *_blockers(driver, blockers),
        *_kernel(driver, kernel, secure_boot, blockers),
        *_fabric(driver, nvswitch, manager),
        *_gpus(gpus, driver),
    ]
