# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import (
    packages,
    parse_dpkg,
    parse_rpm,
    upstream,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

# Names from the package lists of NVIDIA's repositories, of Debian and of Ubuntu.
OF_A_DRIVER = [
    "cuda-drivers", "cuda-drivers-580", "cuda-drivers-fabricmanager-535", "dkms-nvidia", "firmware-nvidia-gsp",
    "kmod-nvidia-latest-dkms", "kmod-nvidia-open-dkms", "libcuda1", "libnvcuvid1", "libnvidia-cfg1",
    "libnvidia-compute-580-server", "libnvidia-ml1", "libnvidia-nscq-550", "libnvidia-ptxjitcompiler1", "libnvsdm-580",
    "libxnvctrl0", "linux-modules-nvidia-580-server-open-6.8.0-49-generic", "linux-objects-nvidia-535-6.8.0-49-generic",
    "nvidia-alternative", "nvidia-compute-utils-550", "nvidia-cuda-mps", "nvidia-dkms-580-open", "nvidia-driver",
    "nvidia-driver-580-server-open", "nvidia-driver-cuda", "nvidia-driver-libs", "nvidia-driver-pinning-580",
    "nvidia-fabric-manager", "nvidia-fabricmanager-550", "nvidia-firmware-580-580.95.05",
    "nvidia-headless-no-dkms-580-server", "nvidia-imex-580", "nvidia-kernel-common-550", "nvidia-kernel-dkms",
    "nvidia-kernel-open-dkms", "nvidia-kmod-common", "nvidia-modprobe", "nvidia-open", "nvidia-open-580",
    "nvidia-persistenced", "nvidia-settings", "nvidia-smi", "nvidia-utils-550-server", "nvlsm", "nvlink5-580",
    "xserver-xorg-video-nvidia-580", "xorg-x11-drv-nvidia-cuda",
]  # fmt: skip
OF_SOMETHING_ELSE = [
    "cuda-toolkit-12-4", "firmware-nvidia-graphics", "libcublas-12-4", "libnvidia-container-tools",
    "libnvidia-container1", "libnvidia-egl-wayland1", "libnvidia-ml-dev", "libnvinfer8", "nvidia-container-runtime",
    "nvidia-container-toolkit", "nvidia-cuda-dev", "nvidia-cuda-gdb", "nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc",
    "nvidia-cudnn", "nvidia-detect", "nvidia-docker2", "nvidia-driver-assistant",
    "nvidia-driver-local-repo-ubuntu2204-535.54.03", "nvidia-fs-dkms", "nvidia-gds-12-4", "nvidia-nsight",
    "nvidia-opencl-dev", "nvidia-profiler", "nvidia-texture-tools", "nvidia-visual-profiler", "nvtop",
]  # fmt: skip

DPKG = [
    ("ii ", (False, False)),
    ("hi ", (True, False)),
    ("iF ", (False, True)),
    ("iU ", (False, True)),
    ("iH ", (False, True)),
    ("it ", (False, False)),
    ("iW ", (False, False)),
    ("iiR", (False, True)),
    ("hF ", (True, True)),
]

VERSIONS = [
    ("550.54.14-0ubuntu1", "550.54.14"),
    ("3:550.54.14-1.el9", "550.54.14"),
    ("535.261.03-1~deb12u1", "535.261.03"),
    ("570.26-1", "570.26"),
    ("450.80.02", "450.80.02"),
    ("20151021+13", None),
    ("1:1.1.10-1", None),
    ("580-1", None),
    ("2025.06.11-1", None),
    ("", None),
]


@pytest.mark.parametrize("name", OF_A_DRIVER)
def test_a_package_of_the_driver_is_told(name: str) -> None:
    assert [package["name"] for package in parse_dpkg(f"ii \t{name}\t550.54.14-1\n")] == [name]


@pytest.mark.parametrize("name", OF_SOMETHING_ELSE)
def test_toolkits_and_tools_for_containers_are_not(name: str) -> None:
    assert parse_dpkg(f"ii \t{name}\t550.54.14-1\n") == []


@pytest.mark.parametrize(("status", "wanted"), DPKG)
def test_holds_and_half_installed_packages_are_seen(status: str, wanted: tuple[bool, bool]) -> None:
    (package,) = parse_dpkg(f"{status}\tnvidia-driver-550\t550.54.14-0ubuntu1\n")
    assert (package["held"], package["broken"]) == wanted


@pytest.mark.parametrize("status", ["rc ", "un ", "pn ", "hc ", "", "x"])
def test_what_is_gone_but_for_its_configuration_is_gone(status: str) -> None:
    assert parse_dpkg(f"{status}\tnvidia-driver-550\t550.54.14-0ubuntu1\n") == []


@pytest.mark.parametrize(
    ("lock", "held"),
    [
        ("nvidia-driver-3:550.54.14-1.el9.*", True),
        ("nvidia-driver-0:550.54.14-1.el9.*", False),
        ("nvidia-driver-550.54.14-1.el9.x86_64", True),
        ("*nvidia*550*", True),
        ("nvidia-driver", True),
        ("nvidia-driver-3:535.54.03-1.el9.*", False),
        ("kernel-*", False),
    ],
)
def test_a_lock_of_dnf_is_a_hold(lock: str, held: bool) -> None:
    (package,) = parse_rpm("nvidia-driver\t3:550.54.14-1.el9\tx86_64\n", [lock])
    assert package == {"name": "nvidia-driver", "version": "3:550.54.14-1.el9", "held": held, "broken": False}


def test_a_lock_writes_an_epoch_of_0_that_the_package_has_not() -> None:
    (package,) = parse_rpm("nvlsm\t2025.06.11-1\tx86_64\n", ["nvlsm-0:2025.06.11-1.*"])
    assert package["held"] is True


@pytest.mark.parametrize(("version", "wanted"), VERSIONS)
def test_the_drivers_version_is_found_in_that_of_a_package(version: str, wanted: str | None) -> None:
    assert upstream(version) == wanted


def test_each_package_manager_is_asked_once(tmp_path: Path) -> None:
    (tmp_path / "etc/dnf/plugins").mkdir(parents=True)
    locks = "# Added by versionlock\nkmod-nvidia-open-dkms-3:550.54.14-1.el9.*\n!nvidia-driver*\n"
    (tmp_path / "etc/dnf/plugins/versionlock.list").write_text(locks, encoding="utf-8")
    asked: list[str] = []

    def run(command: Sequence[str]) -> Finished | None:
        asked.append(command[0])
        if command[0] == "dpkg-query":
            # It ends so when a pattern fits nothing.
            return Finished(1, "ii \tnvidia-utils-550\t550.54.14-0ubuntu1\n", "dpkg-query: no packages found")
        return Finished(
            0, "nvidia-driver\t3:550.54.14-1.el9\tx86_64\nkmod-nvidia-open-dkms\t3:550.54.14-1.el9\tnoarch\n"
        )

    found = {package["name"]: package["held"] for package in packages(Host(tmp_path, run))}
    assert found == {"kmod-nvidia-open-dkms": True, "nvidia-driver": False, "nvidia-utils-550": False}
    assert asked == ["dpkg-query", "rpm"]


def test_dnf_5_keeps_its_locks_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "etc/dnf").mkdir(parents=True)
    text = 'version = "1.0"\n[[packages]]\nname = "nvidia-driver"\n[[packages.conditions]]\nkey = "evr"\n'
    (tmp_path / "etc/dnf/versionlock.toml").write_text(text, encoding="utf-8")
    said = Finished(0, "nvidia-driver\t3:580.95.05-1.el10\tx86_64\n")
    (package,) = packages(Host(tmp_path, lambda command: said if command[0] == "rpm" else None))
    assert package["held"] is True


def test_a_host_without_a_package_manager_has_no_packages(tmp_path: Path) -> None:
    assert packages(Host(tmp_path, lambda command: None)) == []


def test_no_text_whatever_makes_the_parsers_fail() -> None:
    chance = random.Random(5)
    pieces = ["ii ", "\t", "\n", "nvidia-driver", "3:", "550.54.14-1", "é", "\0", *string.printable]
    for _round in range(2000):
        text = "".join(chance.choices(pieces, k=chance.randrange(40)))
        for package in (*parse_dpkg(text), *parse_rpm(text, [text])):
            assert package["name"] and upstream(package["version"]) != ""
