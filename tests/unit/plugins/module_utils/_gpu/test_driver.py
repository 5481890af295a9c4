# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The driver's state, read from trees that are written here. The lines of /proc and of the installer's record follow
NVIDIA's sources (open-gpu-kernel-modules nv-procfs.c, nvidia-installer backup.c) and what users post."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver import (
    Driver,
    gather,
    library,
    loaded,
    module_files,
    runfile,
    users,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers

RELEASE = "6.1.0-28-amd64"
LIBRARIES = "usr/lib/x86_64-linux-gnu"

MODULES = [
    (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.182.03  Fri Feb 24 03:29:56 UTC 2023\n"
        "GCC version:  gcc version 9.4.0 (Ubuntu 9.4.0-1ubuntu1~20.04.1)\n",
        ("470.182.03", "proprietary"),
    ),
    (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  450.80.02  Wed Sep 23 01:13:39 UTC 2020\n"
        "GCC version:  gcc version 7.5.0 (Ubuntu 7.5.0-3ubuntu1~18.04)\n",
        ("450.80.02", "proprietary"),
    ),
    (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16-A24-4-4)  "
        "Thu Feb 22 01:25:25 UTC 2024\nGCC version:  gcc version 13.2.0 (Ubuntu 13.2.0-23ubuntu4)\n",
        ("550.54.14", "open"),
    ),
    (
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build  (root@host)  Tue Sep 23\n",
        ("580.95.05", "open"),
    ),
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.26  Mon Jan  6 2025\n", ("570.26", "proprietary")),
    ("", (None, None)),
    ("NVRM version:\n", (None, None)),
    ("GCC version:  gcc version 12.2.0\n", (None, None)),
]

# Files, links and the version that programs load, all versions that lie there.
LIBRARY_TREES: list[tuple[str, dict[str, str | None], str | None, list[str]]] = [
    ("nothing", {}, None, []),
    (
        "one version",
        {f"{LIBRARIES}/libnvidia-ml.so.550.54.14": None, f"{LIBRARIES}/libnvidia-ml.so.1": "libnvidia-ml.so.550.54.14"},
        "550.54.14",
        ["550.54.14"],
    ),
    (
        "the link decides, not the highest",
        {
            f"{LIBRARIES}/libnvidia-ml.so.550.54.14": None,
            f"{LIBRARIES}/libnvidia-ml.so.535.104.05": None,
            f"{LIBRARIES}/libnvidia-ml.so.1": "libnvidia-ml.so.535.104.05",
        },
        "535.104.05",
        ["535.104.05", "550.54.14"],
    ),
    (
        "two files and a link that leads nowhere",
        {
            f"{LIBRARIES}/libcuda.so.535.86.10": None,
            f"{LIBRARIES}/libcuda.so.535.104.05": None,
            f"{LIBRARIES}/libcuda.so.1": "libcuda.so",
        },
        "535.104.05",
        ["535.86.10", "535.104.05"],
    ),
    (
        "the alternatives of Debian, with links that are meant below the root",
        {
            f"{LIBRARIES}/nvidia/current/libnvidia-ml.so.535.261.03": None,
            f"{LIBRARIES}/nvidia/current/libnvidia-ml.so.1": "libnvidia-ml.so.535.261.03",
            f"{LIBRARIES}/libnvidia-ml.so.1": "/etc/alternatives/nvidia--libnvidia-ml.so.1-x86_64-linux-gnu",
            "etc/alternatives/nvidia--libnvidia-ml.so.1-x86_64-linux-gnu": (
                f"/{LIBRARIES}/nvidia/current/libnvidia-ml.so.1"
            ),
        },
        "535.261.03",
        ["535.261.03"],
    ),
    ("Red Hat's folder", {"usr/lib64/libcuda.so.580.95.05": None}, "580.95.05", ["580.95.05"]),
    ("a machine of aarch64", {"usr/lib/aarch64-linux-gnu/libcuda.so.580.95.05": None}, "580.95.05", ["580.95.05"]),
    ("a link in a circle", {f"{LIBRARIES}/libcuda.so.1": "libcuda.so.1"}, None, []),
    ("the stub of a toolkit", {f"{LIBRARIES}/libcuda.so": None}, None, []),
]

# The record below /var/lib/nvidia, the log, whether the uninstaller is there, and the version that is told.
RUNFILES = [
    ("1.0-5355403 (535.54.03)\nNVIDIA Accelerated Graphics Driver for Linux-x86_64\n", "", True, "535.54.03"),
    ("535.54.03\nNVIDIA Accelerated Graphics Driver for Linux-x86_64\n", "", True, "535.54.03"),
    ("", "installer version: 470.57.02\n", True, "470.57.02"),
    ("", "installer version: 470.57.02\ninstaller version: 535.54.03\n", True, "535.54.03"),
    ("1.0-5355403 (535.54.03)\n", "installer version: 550.54.14\n", False, "535.54.03"),
    ("", "installer version: 470.57.02\n", False, None),
    ("", "", True, "unknown"),
    ("", "", False, None),
]


def plant(root: Path, tree: Mapping[str, str | None], text: str = "") -> Path:
    """Files, and links where a path has a target."""
    for name, target in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            path.write_text(text, encoding="utf-8")
        else:
            path.symlink_to(target)
    return root


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def host(root: Path, privileged: bool = True, **said: str) -> Host:
    """A host whose programs say one thing each; a name's dash is an underscore here."""

    def run(command: Sequence[str]) -> Finished | None:
        name = command[0].replace("-", "_")
        return Finished(0, said[name]) if name in said else None

    return Host(root, run, privileged)


def state(root: Path, told: str | None = None, **said: str) -> Driver:
    return gather(host(root, True, **said), RELEASE, None, told)


@pytest.mark.parametrize(("text", "wanted"), MODULES)
def test_the_loaded_module_says_its_version_and_kind(
    tmp_path: Path, text: str, wanted: tuple[str | None, str | None]
) -> None:
    write(tmp_path, "proc/driver/nvidia/version", text)
    assert loaded(host(tmp_path)) == wanted


def test_where_proc_is_hidden_the_modules_own_version_counts(tmp_path: Path) -> None:
    write(tmp_path, "sys/module/nvidia/version", "550.54.14\n")
    assert loaded(host(tmp_path)) == ("550.54.14", None)


def test_the_kind_of_a_loaded_module_is_that_of_the_one_on_disk_of_its_version(tmp_path: Path) -> None:
    write(tmp_path, "sys/module/nvidia/version", "550.54.14\n")
    plant(tmp_path, {f"lib/modules/{RELEASE}/updates/dkms/nvidia.ko.xz": None})
    modinfo = "filename:       /lib/modules/x/nvidia.ko.xz\nlicense:        Dual MIT/GPL\nversion:        550.54.14\n"
    assert state(tmp_path, modinfo=modinfo)["flavour"] == "open"
    assert state(tmp_path, modinfo=modinfo.replace("550.54.14", "550.90.07"))["flavour"] is None


@pytest.mark.parametrize(
    ("tree", "wanted", "all_there"), [case[1:] for case in LIBRARY_TREES], ids=[case[0] for case in LIBRARY_TREES]
)
def test_the_library_is_the_one_that_programs_load(
    tmp_path: Path, tree: dict[str, str | None], wanted: str | None, all_there: list[str]
) -> None:
    assert library(host(plant(tmp_path, tree))) == (wanted, all_there)


def test_a_library_in_a_place_of_its_own_is_found_by_the_linker(tmp_path: Path) -> None:
    plant(tmp_path, {"opt/odd/libnvidia-ml.so.1": "libnvidia-ml.so.470.57.02"})
    cache = f"\tlibnvidia-ml.so.1 (libc6,x86-64) => {tmp_path}/opt/odd/libnvidia-ml.so.1\n"
    assert library(host(tmp_path, ldconfig=cache)) == ("470.57.02", ["470.57.02"])


@pytest.mark.parametrize(
    ("module", "library_version", "agrees"),
    [("550.54.14", "550.54.14", True), ("550.54.14", "550.163.01", False), ("550.54.14", None, None)],
)
def test_module_and_library_agree_or_not(
    tmp_path: Path, module: str, library_version: str | None, agrees: bool | None
) -> None:
    write(tmp_path, "sys/module/nvidia/version", module)
    plant(tmp_path, {f"{LIBRARIES}/libcuda.so.{library_version}": None} if library_version else {})
    assert state(tmp_path)["agrees"] is agrees


@pytest.mark.parametrize("seen", ["library", "module", "nothing"])
def test_an_nvidia_smi_that_answers_tells_the_version_of_what_cannot_be_seen(tmp_path: Path, seen: str) -> None:
    if seen == "module":
        write(tmp_path, "sys/module/nvidia/version", "550.54.14")
    plant(tmp_path, {f"{LIBRARIES}/libcuda.so.550.54.14": None} if seen == "library" else {})
    driver = state(tmp_path, told="550.54.14")
    assert (driver["loaded"], driver["library"], driver["agrees"]) == ("550.54.14", "550.54.14", True)


@pytest.mark.parametrize(
    "place",
    [
        "updates/dkms/nvidia.ko",
        "updates/dkms/nvidia.ko.zst",
        "updates/dkms/nvidia-current.ko.xz",
        "updates/dkms/nvidia-current-open.ko.xz",
        "updates/dkms/nvidia-tesla-470.ko",
        "extra/nvidia.ko.xz",
        "extra/nvidia/nvidia.ko",
        "weak-updates/nvidia/nvidia.ko",
        "kernel/nvidia-580srv-open/nvidia.ko",
        "kernel/drivers/video/nvidia.ko",
        "kernel/drivers/video/nvidia/nvidia.ko.gz",
    ],
)
def test_a_module_is_found_wherever_it_is_installed(tmp_path: Path, place: str) -> None:
    plant(tmp_path, {f"lib/modules/{RELEASE}/{place}": None, "lib/modules/6.1.0-9-amd64/extra/nvidia.ko": None})
    assert state(tmp_path)["built"]["kernels"] == ["6.1.0-9-amd64", RELEASE]


def test_the_companions_of_the_module_are_not_the_module(tmp_path: Path) -> None:
    names = ("nvidia-uvm.ko", "nvidia-drm.ko.xz", "nvidiafb.ko", "nvidia-current-uvm.ko")
    plant(tmp_path, {f"lib/modules/{RELEASE}/updates/dkms/{name}": None for name in names})
    assert module_files(host(tmp_path)) == {}


@pytest.mark.parametrize(("record", "log", "uninstaller", "wanted"), RUNFILES)
def test_a_runfiles_leftovers_tell_their_version(
    tmp_path: Path, record: str, log: str, uninstaller: bool, wanted: str | None
) -> None:
    for name, text in {"var/lib/nvidia/log": record, "var/log/nvidia-installer.log": log}.items():
        if text:
            write(tmp_path, name, text)
    plant(tmp_path, {"usr/bin/nvidia-uninstall": None} if uninstaller else {})
    assert runfile(host(tmp_path), None) == wanted


ORIGINS: list[tuple[str, str, dict[str, str | None], str]] = [
    ("nothing", "", {}, "none"),
    ("packages", "ii \tlibnvidia-compute-550\t550.54.14-1\n", {f"{LIBRARIES}/libcuda.so.550.54.14": None}, "packages"),
    ("a runfile", "", {"usr/bin/nvidia-uninstall": None, f"{LIBRARIES}/libcuda.so.550.54.14": None}, "runfile"),
    ("both", "ii \tlibnvidia-compute-550\t550.54.14-1\n", {"usr/bin/nvidia-uninstall": None}, "both"),
    ("libraries that nobody brought", "", {f"{LIBRARIES}/libcuda.so.550.54.14": None}, "runfile"),
    ("a tool that half of all desktops have", "ii \tlibxnvctrl0\t510.47.03-0ubuntu1\n", {}, "none"),
    (
        "a tool beside libraries that nobody brought",
        "ii \tnvidia-settings\t510.47.03-0ubuntu1\n",
        {f"{LIBRARIES}/libcuda.so.550.54.14": None},
        "runfile",
    ),
    ("a pin alone", "ii \tnvidia-driver-pinning-580\t580-1\n", {}, "none"),
]


@pytest.mark.parametrize(("dpkg", "tree", "wanted"), [case[1:] for case in ORIGINS], ids=[case[0] for case in ORIGINS])
def test_where_a_driver_came_from(tmp_path: Path, dpkg: str, tree: dict[str, str | None], wanted: str) -> None:
    assert state(plant(tmp_path, tree), dpkg_query=dpkg)["origin"] == wanted


@pytest.mark.parametrize("folder", [LIBRARIES, "usr/local/nvidia/lib64"])
def test_a_library_that_a_container_engine_lends_was_installed_by_nobody_here(tmp_path: Path, folder: str) -> None:
    path = f"{folder}/libcuda.so.550.54.14"
    mounted = f"/{path}" if folder == LIBRARIES else "/usr/local/nvidia"
    mounts = f"900 800 8:1 /{path} {mounted} ro,nosuid,nodev,relatime - ext4 /dev/sda1 rw\nbroken line\n"
    write(tmp_path, "proc/self/mountinfo", mounts)
    driver = state(plant(tmp_path, {path: None}))
    assert (driver["library"], driver["origin"], driver["runfile"]) == ("550.54.14", "none", None)


def holds(root: Path, pid: int, command: str, *targets: str) -> None:
    write(root, f"proc/{pid}/comm", f"{command}\n")
    plant(root, {f"proc/{pid}/fd/{number}": target for number, target in enumerate(targets)})


def test_users_are_who_holds_a_device_but_for_the_drivers_own_services(tmp_path: Path) -> None:
    holds(tmp_path, 4242, "python3", "/dev/null", "/dev/nvidia-uvm", "/dev/nvidia0")
    holds(tmp_path, 99, "Xorg", "/dev/nvidiactl")
    holds(tmp_path, 700, "nvidia-persiste", "/dev/nvidia0")
    holds(tmp_path, 701, "nv-fabricmanage", "/dev/nvidia-nvswitchctl")
    holds(tmp_path, 1, "systemd", "/dev/null", "socket:[4]")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/4343").mkdir()
    assert users(host(tmp_path)) == [{"pid": 99, "command": "Xorg"}, {"pid": 4242, "command": "python3"}]


def test_without_root_nobody_knows_all_users(tmp_path: Path) -> None:
    holds(tmp_path, 4242, "python3", "/dev/nvidia0")
    assert users(host(tmp_path, privileged=False)) is None


def test_versions_are_ordered_as_numbers() -> None:
    versions = ["535.104.05", "535.86.10", "1000.1", "450.80.02"]
    assert sorted(versions, key=numbers) == ["450.80.02", "535.86.10", "535.104.05", "1000.1"]


def test_no_file_whatever_makes_the_reader_fail(tmp_path: Path) -> None:
    chance = random.Random(7)
    words: list[Any] = ["NVRM version:", "550.54.14", "Open Kernel Module", "(", ")", "\n", " ", "é", *string.printable]
    names = ("proc/driver/nvidia/version", "sys/module/nvidia/version", "var/lib/nvidia/log", "proc/self/mountinfo")
    plant(tmp_path, {"usr/bin/nvidia-uninstall": None, f"lib/modules/{RELEASE}/extra/nvidia.ko": None})
    for _round in range(300):
        texts = ["".join(chance.choices(words, k=chance.randrange(30))) for _each in range(6)]
        for name, text in zip(names, texts):
            write(tmp_path, name, text)
        driver = state(tmp_path, modinfo=texts[4], dpkg_query=texts[5])
        assert driver["origin"] in ("runfile", "both")
