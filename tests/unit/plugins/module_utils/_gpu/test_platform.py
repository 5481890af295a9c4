# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.driver_packages import Package
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import PciDevice
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.platform import (
    blockers,
    denials,
    fabric_manager,
    kernel,
    nvswitches,
    secure_boot,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

RELEASE = "6.1.0-28-amd64"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
NOUVEAU = f"usr/lib/modules/{RELEASE}/kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz\n"
NOVA = f"usr/lib/modules/{RELEASE}/kernel/drivers/gpu/nova-core/nova_core.ko.zst\n"
DENY = "blacklist nouveau\nblacklist nova_core\noptions nouveau modeset=0\n"


def host(root: Path, files: Mapping[str, str] | None = None, **said: str | int) -> Host:
    """A host with files, whose programs say one thing each, or end with a status."""
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    def run(command: Sequence[str]) -> Finished | None:
        answer = said.get(command[0].replace("-", "_"))
        if answer is None:
            return None
        return Finished(answer) if isinstance(answer, int) else Finished(0, answer)

    return Host(root, run)


def device(pci_id: str, pci_class: str, number: int = 0) -> PciDevice:
    return PciDevice(f"0000:{number:02x}:00.0", pci_id, pci_class, None)


def package(name: str, version: str = "550.54.14-1") -> Package:
    return Package(name=name, version=version, held=False, broken=False)


SWITCHES = [
    ("an HGX A100", [device("10de:20b2", "0302"), *[device("10de:1af1", "0680")] * 6], 6),
    ("an HGX H100", [device("10de:2330", "0302"), *[device("10de:22a3", "0680")] * 4], 4),
    ("cards on PCIe", [device("10de:20b5", "0302"), device("8086:a1c1", "0680")], 0),
    ("a chipset by NVIDIA of 2005, whose network card is such a bridge", [device("10de:0057", "0680")], 0),
    ("no device at all", [], 0),
]


@pytest.mark.parametrize(("devices", "count"), [case[1:] for case in SWITCHES], ids=[case[0] for case in SWITCHES])
def test_nvswitches_are_bridges_on_the_bus(tmp_path: Path, devices: list[PciDevice], count: int) -> None:
    assert nvswitches(host(tmp_path), devices) == count


def test_nvswitches_are_counted_by_their_device_files_where_the_bus_is_hidden(tmp_path: Path) -> None:
    files = {f"dev/nvidia-nvswitch{number}": "" for number in range(6)}
    assert nvswitches(host(tmp_path, {**files, "dev/nvidia-nvswitchctl": ""}), []) == 6


def test_nvswitches_of_blackwell_are_behind_pairs_of_bridges_that_say_what_they_manage(tmp_path: Path) -> None:
    devices = [device("10de:2901", "0302", 16), *(device("15b3:1021", "0207", number) for number in range(6))]
    files = {f"sys/bus/pci/devices/0000:{number:02x}:00.0/vpd": "...\u0010SMDL\u0006SW_MNG" for number in range(4)}
    network_card = {"sys/bus/pci/devices/0000:04:00.0/vpd": "NVIDIA ConnectX-7 HHHL adapter Card"}
    assert nvswitches(host(tmp_path, {**files, **network_card}), devices) == 2


def test_without_root_bridges_and_network_cards_cannot_be_told_apart(tmp_path: Path) -> None:
    devices = [device("10de:2901", "0302", 16), device("15b3:1021", "0207", 0)]
    assert nvswitches(host(tmp_path), devices) is None
    assert nvswitches(host(tmp_path), devices[1:]) == 0


def test_the_fabric_manager_is_a_package_and_a_service(tmp_path: Path) -> None:
    there = host(tmp_path, systemctl="active\n")
    found = fabric_manager(there, [package("cuda-drivers-fabricmanager-550"), package("nvidia-fabricmanager-550")])
    assert found == {"version": "550.54.14", "package": "nvidia-fabricmanager-550", "active": True}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nvidia-fabricmanager", True),
        ("nvidia-fabric-manager", True),
        ("nvidia-fabricmanager-dev-550", False),
        ("nvidia-utils-550", False),
    ],
)
def test_the_fabric_manager_has_several_names(tmp_path: Path, name: str, told: bool) -> None:
    assert fabric_manager(host(tmp_path), [package(name)])["package"] == (name if told else None)


@pytest.mark.parametrize(
    ("answer", "active"),
    [
        (Finished(0, "active\n"), True),
        (Finished(3, "inactive\n"), False),
        (Finished(3, "failed\n"), False),
        (Finished(1, "offline\n"), None),
        (None, None),
    ],
)
def test_systemd_says_whether_the_fabric_manager_runs(
    tmp_path: Path, answer: Finished | None, active: bool | None
) -> None:
    there = Host(tmp_path, lambda command: answer)
    assert fabric_manager(there, [package("nvidia-fabricmanager-550")])["active"] is active


def test_a_fabric_manager_without_a_package_says_its_version_itself(tmp_path: Path) -> None:
    there = host(tmp_path, nv_fabricmanager="Fabric Manager version is : 535.54.03\n", systemctl="inactive\n")
    assert fabric_manager(there, []) == {"version": "535.54.03", "package": None, "active": False}


def test_where_there_is_no_fabric_manager_all_is_null(tmp_path: Path) -> None:
    assert fabric_manager(host(tmp_path), []) == {"version": None, "package": None, "active": None}


@pytest.mark.parametrize(("value", "on"), [(1, True), (0, False)])
def test_the_firmware_says_whether_secure_boot_is_on(tmp_path: Path, value: int, on: bool) -> None:
    path = tmp_path / SECURE_BOOT
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<IB", 6, value))
    assert secure_boot(host(tmp_path)) is on


@pytest.mark.parametrize(
    ("said", "on"),
    [
        ("SecureBoot enabled\n", True),
        ("SecureBoot disabled\nPlatform is in Setup Mode\n", False),
        ("This system doesn't support Secure Boot\n", None),
    ],
)
def test_mokutil_is_asked_where_the_firmware_hides_it(tmp_path: Path, said: str, on: bool | None) -> None:
    (tmp_path / "sys/firmware/efi").mkdir(parents=True)
    assert secure_boot(host(tmp_path, mokutil=said)) is on


def test_a_machine_without_efi_has_no_secure_boot(tmp_path: Path) -> None:
    assert secure_boot(host(tmp_path, mokutil=1)) is False


DENIALS = [
    ("a file of the user's", {"etc/modprobe.d/blacklist-nouveau.conf": DENY}, {"nouveau", "nova_core"}),
    (
        "a file of a package",
        {"usr/lib/modprobe.d/nvidia-installer-disable-nouveau.conf": DENY},
        {"nouveau", "nova_core"},
    ),
    ("an install line", {"etc/modprobe.d/x.conf": "install nouveau /bin/false\n"}, {"nouveau"}),
    ("a dash for an underscore", {"etc/modprobe.d/x.conf": "blacklist nova-core\n"}, {"nova_core"}),
    ("a comment", {"etc/modprobe.d/x.conf": "# blacklist nouveau\n"}, set()),
    ("an install line that loads", {"etc/modprobe.d/x.conf": "install nouveau /sbin/modprobe -i nouveau\n"}, set()),
    ("a file that is no .conf", {"etc/modprobe.d/x.conf.dpkg-old": DENY}, set()),
    ("an alias", {"etc/modprobe.d/x.conf": "alias nouveau off\n"}, set()),
    (
        "an empty file of the user's over one of a package",
        {"usr/lib/modprobe.d/n.conf": DENY, "etc/modprobe.d/n.conf": ""},
        set(),
    ),
    ("the command line", {"proc/cmdline": "ro quiet modprobe.blacklist=nouveau,nova_core"}, {"nouveau", "nova_core"}),
    (
        "dracut's command line",
        {"proc/cmdline": "ro rd.driver.blacklist=nouveau modprobe.blacklist=pcspkr"},
        {"nouveau"},
    ),
]


@pytest.mark.parametrize(("files", "wanted"), [case[1:] for case in DENIALS], ids=[case[0] for case in DENIALS])
def test_what_modprobe_is_told_to_deny(tmp_path: Path, files: dict[str, str], wanted: set[str]) -> None:
    assert set(denials(host(tmp_path, files))) - {"pcspkr"} == wanted


BLOCKED = [
    ("nothing denied", {}, (), False),
    ("nouveau denied", {"etc/modprobe.d/x.conf": "blacklist nouveau\n"}, (), True),
    ("nova in the kernel and not denied", {"etc/modprobe.d/x.conf": "blacklist nouveau\n"}, ("nova",), False),
    ("both denied", {"etc/modprobe.d/x.conf": DENY}, ("nova",), True),
    ("nova denied and not nouveau", {"etc/modprobe.d/x.conf": "blacklist nova_core\n"}, ("nova",), False),
    ("nova loaded, and what it rests on denied", {"etc/modprobe.d/x.conf": DENY}, ("nova_core", "nova_drm"), True),
    ("another frame buffer loaded", {"etc/modprobe.d/x.conf": DENY}, ("nvidiafb",), False),
]


@pytest.mark.parametrize(
    ("files", "there", "blocked"), [case[1:] for case in BLOCKED], ids=[case[0] for case in BLOCKED]
)
def test_blocked_is_whether_every_driver_that_could_come_first_is_denied(
    tmp_path: Path, files: dict[str, str], there: Sequence[str], blocked: bool
) -> None:
    modules = {f"sys/module/{name}/initstate": "live\n" for name in there if name != "nova"}
    nova = {f"lib/modules/{RELEASE}/kernel/drivers/gpu/nova-core/nova_core.ko.zst": ""} if "nova" in there else {}
    found = blockers(host(tmp_path, {**files, **modules, **nova}), RELEASE, in_doubt=False)
    assert (found["loaded"], found["blocked"]) == ([name for name in there if name != "nova"], blocked)


IMAGES = [
    ("nouveau, and nothing that denies it", NOUVEAU, True),
    ("nova, and nothing that denies it", NOVA, True),
    ("neither", "usr/lib/modules/x/kernel/fs/ext4/ext4.ko\n", False),
    ("nouveau, and the file that denies it", f"{NOUVEAU}etc/modprobe.d/x.conf\n", False),
    ("nouveau, and another file", f"{NOUVEAU}etc/modprobe.d/y.conf\n", True),
    ("nova, and the file that denies nouveau", f"{NOVA}etc/modprobe.d/x.conf\n", True),
]


@pytest.mark.parametrize("system", ["Debian", "RedHat"])
@pytest.mark.parametrize(("listed", "wanted"), [case[1:] for case in IMAGES], ids=[case[0] for case in IMAGES])
def test_the_initramfs_is_looked_into_where_it_matters(tmp_path: Path, system: str, listed: str, wanted: bool) -> None:
    image = f"boot/initrd.img-{RELEASE}" if system == "Debian" else f"boot/initramfs-{RELEASE}.img"
    tool = "lsinitramfs" if system == "Debian" else "lsinitrd"
    there = host(tmp_path, {"etc/modprobe.d/x.conf": "blacklist nouveau\n", image: ""}, **{tool: listed})
    assert blockers(there, RELEASE, in_doubt=True)["initramfs"] is wanted
    assert blockers(there, RELEASE, in_doubt=False)["initramfs"] is None


def test_the_kernels_command_line_denies_in_the_initramfs_too(tmp_path: Path) -> None:
    files = {f"boot/initrd.img-{RELEASE}": "", "proc/cmdline": "ro modprobe.blacklist=nouveau"}
    assert blockers(host(tmp_path, files, lsinitramfs=NOUVEAU), RELEASE, in_doubt=True)["initramfs"] is False


def test_an_initramfs_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    there = host(tmp_path, {f"boot/initrd.img-{RELEASE}": ""}, lsinitramfs=1)
    assert blockers(there, RELEASE, in_doubt=True)["initramfs"] is None


KERNELS: list[tuple[str, list[str], str | None]] = [
    ("none, as in a container", [], None),
    ("the running one", [f"boot/vmlinuz-{RELEASE}"], RELEASE),
    ("numbers, not letters", ["boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz-6.1.0-30-amd64"], "6.1.0-30-amd64"),
    ("another series", ["boot/vmlinuz-6.12.9+bpo-amd64", "boot/vmlinuz-6.1.0-30-amd64"], "6.12.9+bpo-amd64"),
    (
        "Red Hat, beside its rescue image",
        [
            "boot/vmlinuz-0-rescue-6f0f3b1f4c11",
            "lib/modules/5.14.0-503.el9.x86_64/vmlinuz",
            "lib/modules/5.14.0-70.el9.x86_64/vmlinuz",
        ],
        "5.14.0-503.el9.x86_64",
    ),
    ("what removed kernels left", ["lib/modules/6.9.1-amd64/updates/dkms/nvidia.ko"], None),
]


@pytest.mark.parametrize(("files", "newest"), [case[1:] for case in KERNELS], ids=[case[0] for case in KERNELS])
def test_the_newest_kernel_is_the_newest_that_can_be_booted(
    tmp_path: Path, files: list[str], newest: str | None
) -> None:
    found = kernel(host(tmp_path, dict.fromkeys(files, "")), RELEASE)
    assert found == {"release": RELEASE, "headers": False, "newest": newest}


def test_headers_are_there_where_the_link_to_them_leads_somewhere(tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules" / RELEASE
    folder.mkdir(parents=True)
    (folder / "build").symlink_to(f"/usr/src/linux-headers-{RELEASE}")
    assert kernel(host(tmp_path), RELEASE)["headers"] is False
    (tmp_path / f"usr/src/linux-headers-{RELEASE}").mkdir(parents=True)
    assert kernel(host(tmp_path), RELEASE)["headers"] is True
