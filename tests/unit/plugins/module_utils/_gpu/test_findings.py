# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver import Driver
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.findings import findings
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import Found, Gpu, PciDevice

RELEASE, NEXT = "6.1.0-28-amd64", "6.1.0-30-amd64"
GPU = Gpu(
    index=0, vendor="nvidia", name="NVIDIA A100-SXM4-80GB", architecture=None, compute_capability="8.0", gfx=None,
    memory_mib=81920, uuid="GPU-0", pci_address="0000:07:00.0", pci_id="10de:20b2", mig="disabled",
)  # fmt: skip
GONE = PciDevice("0000:0f:00.0", "10de:20b2", "0302", "nvidia")


def package(name: str, version: str, broken: bool = False) -> dict[str, Any]:
    return {"name": name, "version": version, "held": False, "broken": broken}


def kernel(release: str, headers: bool, newest: str | None) -> dict[str, Any]:
    return {"release": release, "headers": headers, "newest": newest}


def said(**changes: Any) -> list[str]:
    """What is found on a host on which all is well, but for the changes."""
    healthy: dict[str, Any] = {
        "loaded": "550.54.14",
        "library": "550.54.14",
        "libraries": ["550.54.14"],
        "agrees": True,
        "flavour": "open",
        "cuda": "12.4",
        "packages": [package("nvidia-driver-550", "550.54.14-1"), package("nvidia-settings", "535.171.04-1")],
        "built": {"version": "550.54.14", "flavour": "open", "kernels": [RELEASE]},
        "runfile": None,
        "origin": "packages",
        "users": [],
    }
    driver = {**healthy, **{key: value for key, value in changes.items() if key in healthy}}
    # As gather() does it.
    driver["agrees"] = driver["loaded"] == driver["library"] if driver["loaded"] and driver["library"] else None
    found = Found(
        changes.get("gpus", [GPU]), changes.get("source", "nvidia-smi"), changes.get("error"), changes.get("away", [])
    )
    return findings(
        found,
        cast(Driver, driver),
        nvswitch=changes.get("nvswitch", 0),
        manager=changes.get("manager", {"version": None, "package": None, "active": None}),
        secure_boot=changes.get("secure_boot", False),
        blockers=changes.get("blockers", {"loaded": [], "blocked": True, "initramfs": None}),
        kernel=changes.get("kernel", kernel(RELEASE, True, RELEASE)),
    )


LOOSE = package("nvidia-firmware-550-550.90.07", "550.90.07-0ubuntu1")
NOTHING: dict[str, Any] = {
    "loaded": None, "library": None, "libraries": [], "flavour": None, "cuda": None, "packages": [], "origin": "none",
    "built": {"version": None, "flavour": None, "kernels": []},
}  # fmt: skip
NOT_LOADED: dict[str, Any] = {"loaded": None, "flavour": None, "error": "nvidia-smi ended with 9: it cannot talk"}


def built(*kernels: str, version: str | None = "550.54.14") -> dict[str, Any]:
    return {"version": version, "flavour": "open", "kernels": list(kernels)}


def manager(version: str | None, active: bool | None) -> dict[str, Any]:
    return {"version": version, "package": "nvidia-fabricmanager-550" if version else None, "active": active}


# What is wrong, how a host comes to show it, and what must be said of it: one sentence with these words.
WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "a library that was replaced under a loaded module",
        {"library": "550.163.01", "libraries": ["550.163.01"], "built": built(RELEASE, version="550.163.01"),
         "error": "nvidia-smi ended with 18: Driver/library version mismatch"},
        ["loaded kernel module is 550.54.14", "library is 550.163.01", "reload the module or reboot"],
    ),
    (
        "a library for which no module was built",
        {"library": "550.163.01", "libraries": ["550.163.01"]},
        ["library is 550.163.01", "install the kernel module of 550.163.01 and reboot, or the library of 550.54.14"],
    ),
    (
        "a module that waits on the disk",
        {"built": built(RELEASE, version="550.163.01")},
        ["module on disk is 550.163.01 and the loaded one is 550.54.14", "next boot or reload"],
    ),
    (
        "several libraries",
        {"libraries": ["535.54.03", "550.54.14"]},
        ["535.54.03 and 550.54.14", "programs load 550.54.14"],
    ),
    (
        "a runfile over packages",
        {"origin": "both", "runfile": "535.54.03"},
        ["driver 535.54.03 from a runfile lies over", "nvidia-uninstall --silent"],
    ),
    (
        "open modules for a GPU that only the proprietary ones run",
        {"error": "nvidia-smi ended with 6: No devices were found", "source": "pci"},
        ["The open module 550.54.14 is loaded and drives none of the GPUs (nvidia-smi ended with 6: No devices were "
         "found)", "install the other kernel modules or a branch that does"],
    ),
    (
        "nova_core in the way of a module that is built",
        {"loaded": None, "flavour": None, "blockers": {"loaded": ["nova_core"], "blocked": False, "initramfs": True}},
        ["nova_core has the GPUs", "the initramfs would load it again", "reboot"],
    ),
    (
        "a package that is half installed",
        {"packages": [package("nvidia-dkms-550", "550.54.14-1", broken=True)]},
        ["Not installed whole: nvidia-dkms-550", "dpkg --configure -a"],
    ),
    (
        "packages of two branches",
        {"packages": [package("nvidia-driver-450", "450.80.02-1"), package("libnvidia-compute-470", "470.182.03-1")]},
        ["several branches: 450.80.02 (nvidia-driver-450) and 470.182.03 (libnvidia-compute-470)"],
    ),
    (
        "packages of two versions",
        {"packages": [package("libcuda1", "550.54.14-1"), package("nvidia-smi", "550.163.01-1"), LOOSE]},
        ["several versions: 550.54.14 (libcuda1) and 550.163.01 (nvidia-smi)"],
    ),
    (
        "nouveau on the GPUs",
        {**NOTHING, "blockers": {"loaded": ["nouveau"], "blocked": False, "initramfs": True}},
        ["nouveau has the GPUs", "initramfs would load it again", "reboot"],
    ),
    (
        "nova on the GPUs",
        {**NOTHING, "blockers": {"loaded": ["nova_core", "nova_drm"], "blocked": False, "initramfs": None}},
        ["nova_core and nova_drm have the GPUs"],
    ),
    (
        "a module for another kernel",
        {**NOT_LOADED, "built": {"version": None, "flavour": None, "kernels": [NEXT]}},
        [f"there for {NEXT} and not for {RELEASE}", "reboot into one that has it"],
    ),
    (
        "a module that nobody loads",
        {**NOT_LOADED},
        ["550.54.14 is on the disk and not loaded", "modprobe nvidia"],
    ),
    (
        "a module that Secure Boot refuses",
        {**NOT_LOADED, "secure_boot": True},
        ["Secure Boot is on", "mokutil --import"],
    ),
    (
        "no module at all",
        {**NOT_LOADED, "built": built(version=None)},
        [f"no kernel module; build one for {RELEASE}"],
    ),
    (
        "a next kernel without a module",
        {"kernel": kernel(RELEASE, True, NEXT)},
        [f"next boot starts kernel {NEXT}", "before a reboot"],
    ),
    (
        "a module that was removed under a running system",
        {"built": built(version=None)},
        [f"next boot starts kernel {RELEASE}", "no kernel module"],
    ),
    (
        "NVSwitches without their service",
        {"nvswitch": 6},
        ["6 NVSwitches and no fabric manager", "802", "nvidia-fabricmanager 550.54.14"],
    ),
    (
        "a fabric manager of another version",
        {"nvswitch": 6, "manager": manager("550.90.07", False)},
        ["fabric manager is 550.90.07 and the driver is 550.54.14"],
    ),
    (
        "a fabric manager that does not run",
        {"nvswitch": 6, "manager": manager("550.54.14", False)},
        ["does not run", "start nvidia-fabricmanager"],
    ),
    (
        "a GPU that was lost",
        {"away": [GONE]},
        ["0000:0f:00.0", "fallen off the bus", "open module 550.54.14", "Xid"],
    ),
    (
        "a GPU that a virtual machine has",
        {"away": [PciDevice("0000:0f:00.0", "10de:20b2", "0302", "vfio-pci")]},
        ["0000:0f:00.0", "virtual machines"],
    ),
    (
        "MIG",
        {"gpus": [{**GPU, "mig": "enabled"}, {**GPU, "index": 1}]},
        ["MIG is enabled on GPU 0:", "nvidia-smi -mig 0"],
    ),
    (
        "an nvidia-smi that fails though all agrees",
        {"error": "nvidia-smi does not answer."},
        ["nvidia-smi does not answer."],
    ),
]  # fmt: skip

WELL: list[tuple[str, dict[str, Any]]] = [
    ("a healthy driver", {}),
    ("no driver at all", NOTHING),
    ("no driver, and headers that are missing", {**NOTHING, "kernel": kernel(RELEASE, False, NEXT)}),
    ("headers that are missing for a module that is there", {"kernel": kernel(RELEASE, False, None)}),
    (
        "a loaded driver where no kernel is installed",
        {"built": built(version=None), "kernel": kernel(RELEASE, False, None)},
    ),
    ("modules for two kernels", {"built": built(RELEASE, NEXT), "kernel": kernel(RELEASE, True, NEXT)}),
    ("an older kernel beside", {"kernel": kernel(NEXT, True, RELEASE), "built": built(NEXT)}),
    ("a whole board of NVSwitches", {"nvswitch": 6, "manager": manager("550.54.14", True)}),
    ("a fabric manager of which systemd says nothing", {"nvswitch": 6, "manager": manager("550.54.14", None)}),
    ("NVSwitches before a driver", {**NOTHING, "nvswitch": 6}),
    (
        "a container that lends the driver of its host",
        {"origin": "none", "packages": [], "built": built(version=None), "nvswitch": 6},
    ),
    (
        "nouveau for another card beside a driver that works",
        {"blockers": {"loaded": ["nouveau"], "blocked": False, "initramfs": None}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_told_in_one_sentence(changes: dict[str, Any], words: list[str]) -> None:
    sentences = said(**changes)
    assert len(sentences) == 1, sentences
    assert all(word in sentences[0] for word in words), sentences[0]
    assert sentences[0].endswith(".")


@pytest.mark.parametrize("changes", [case[1] for case in WELL], ids=[case[0] for case in WELL])
def test_where_all_is_well_nothing_is_told(changes: dict[str, Any]) -> None:
    assert said(**changes) == []


def test_missing_headers_are_told_beside_the_module_that_they_are_missing_for() -> None:
    changes = {"built": {"version": None, "flavour": None, "kernels": [NEXT]}, "kernel": kernel(RELEASE, False, NEXT)}
    sentences = said(**NOT_LOADED, **changes)
    assert [f"headers of the running kernel {RELEASE} are missing" in one for one in sentences] == [False, True]
