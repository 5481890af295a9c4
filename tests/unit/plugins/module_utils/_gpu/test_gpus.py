# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import Found, gather, pci_devices
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

A100 = (
    "0, NVIDIA A100-SXM4-80GB, GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11, 00000000:07:00.0, 0x20B210DE, 81920, "
    "550.54.14, 8.0, Disabled"
)
LOST = "Unable to determine the device handle for GPU 0000:0F:00.0: GPU is lost.  Reboot the system to recover this GPU"

FAILURES = [
    (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", ""),
    (18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54\n", ""),
    (127, "", "nvidia-smi: error while loading shared libraries\n"),
]


def host(root: Path, answer: Finished | None = None) -> Host:
    """A host whose nvidia-smi gives one answer; None where it has no nvidia-smi."""

    def run(command: Sequence[str]) -> Finished | None:
        return answer if command[0] == "nvidia-smi" else None

    return Host(root, run)


def look(root: Path, answer: Finished | None = None) -> Found:
    there = host(root, answer)
    return gather(there, pci_devices(there))


def with_driver(root: Path, count: int) -> Path:
    for number in range(count):
        folder = root / f"proc/driver/nvidia/gpus/0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(
            f"Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ:   \t\t 16\nGPU UUID: \t GPU-{number}\nBus Type: \t PCIe\n",
            encoding="utf-8",
        )
    return root


def on_the_bus(root: Path, *functions: tuple[str, str], more: Mapping[str, str] | None = None) -> Path:
    """Devices by vendor:device and class; more are files of each."""
    for number, (pci_id, kind) in enumerate(functions):
        folder = root / f"sys/bus/pci/devices/0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        vendor, device = pci_id.split(":")
        for name, text in {"vendor": f"0x{vendor}", "device": f"0x{device}", "class": f"0x{kind}00"}.items():
            (folder / name).write_text(f"{text}\n", encoding="utf-8")
        for name, text in (more or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
    return root


def taken_by(root: Path, number: int, driver: str) -> None:
    (root / f"sys/bus/pci/devices/0000:{number:02x}:00.0/driver").symlink_to(f"../../../bus/pci/drivers/{driver}")


def test_nvidia_smi_is_asked_first(tmp_path: Path) -> None:
    found = look(with_driver(tmp_path, 2), Finished(0, A100))
    assert (found.source, len(found.gpus), found.error) == ("nvidia-smi", 1, None)
    assert found.gpus[0] == {
        "index": 0,
        "vendor": "nvidia",
        "name": "NVIDIA A100-SXM4-80GB",
        "architecture": None,
        "compute_capability": "8.0",
        "gfx": None,
        "memory_mib": 81920,
        "uuid": "GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11",
        "pci_address": "0000:07:00.0",
        "pci_id": "10de:20b2",
        "mig": "disabled",
    }


@pytest.mark.parametrize(("status", "output", "errors"), FAILURES)
def test_a_failing_nvidia_smi_does_not_hide_the_gpus_and_its_words_are_kept(
    tmp_path: Path, status: int, output: str, errors: str
) -> None:
    found = look(with_driver(tmp_path, 8), Finished(status, output, errors))
    assert (found.source, len(found.gpus)) == ("proc", 8)
    assert found.error == f"nvidia-smi ended with {status}: {(output + errors).splitlines()[0]}"


def test_an_nvidia_smi_that_hangs_is_given_up(tmp_path: Path) -> None:
    found = look(with_driver(tmp_path, 2), Finished(None, "0, half a li"))
    assert (found.source, len(found.gpus), found.error) == ("proc", 2, "nvidia-smi does not answer.")


def test_the_loaded_driver_names_its_gpus(tmp_path: Path) -> None:
    (first, second) = look(with_driver(tmp_path, 2)).gpus
    assert (first["name"], first["uuid"], first["memory_mib"]) == ("NVIDIA A100-SXM4-80GB", "GPU-0", None)
    assert (second["index"], second["uuid"], second["pci_address"]) == (1, "GPU-1", "0000:01:00.0")


def test_the_bus_counts_gpus_before_a_driver_is_installed(tmp_path: Path) -> None:
    root = on_the_bus(
        tmp_path,
        ("10de:2330", "0302"),
        ("10de:2684", "0300"),
        ("10de:22ba", "0403"),
        ("10de:22a3", "0680"),
        ("1a03:2000", "0300"),
    )
    found = look(root)
    assert found.source == "pci"
    assert [(gpu["index"], gpu["pci_id"]) for gpu in found.gpus] == [(0, "10de:2330"), (1, "10de:2684")]


def test_amds_gpus_are_counted_beside_nvidias(tmp_path: Path) -> None:
    root = on_the_bus(
        tmp_path, ("1002:740f", "0380"), ("10de:20b2", "0302"), ("1002:74a1", "1200"), ("1002:ab38", "0403")
    )
    found = look(root, Finished(0, A100))
    assert found.source == "nvidia-smi"
    assert [(gpu["index"], gpu["vendor"], gpu["pci_id"]) for gpu in found.gpus] == [
        (0, "nvidia", "10de:20b2"),
        (0, "amd", "1002:740f"),
        (1, "amd", "1002:74a1"),
    ]


def test_amds_driver_tells_the_memory_in_bytes(tmp_path: Path) -> None:
    root = on_the_bus(tmp_path, ("1002:740f", "0380"), more={"mem_info_vram_total": "68702699520\n"})
    assert look(root).gpus[0]["memory_mib"] == 65520


KFD = {
    # /sys/class/kfd/kfd/topology/nodes: the processor, an MI210, an MI300X in a domain of its own.
    "0": "cpu_cores_count 64\nsimd_count 0\nlocation_id 0\ngfx_target_version 0\n",
    "1": "simd_count 416\nlocation_id 0\ndomain 0\ngfx_target_version 90010\n",
    "2": "simd_count 1216\nlocation_id 512\ndomain 0\ngfx_target_version 90402\n",
}


def test_amds_driver_tells_the_instruction_set(tmp_path: Path) -> None:
    root = on_the_bus(tmp_path, ("1002:740f", "0380"), ("1002:ab38", "0403"), ("1002:74a1", "1200"))
    for name, text in KFD.items():
        folder = root / f"sys/class/kfd/kfd/topology/nodes/{name}"
        folder.mkdir(parents=True)
        (folder / "properties").write_text(text, encoding="utf-8")
    assert [gpu["gfx"] for gpu in look(root).gpus] == ["gfx90a", "gfx942"]


def test_a_node_without_a_gpu_is_a_state(tmp_path: Path) -> None:
    assert look(tmp_path) == Found([], "none", None, [])


def test_nvidia_smi_that_sees_no_device_is_not_an_error(tmp_path: Path) -> None:
    assert look(tmp_path, Finished(0, "No devices were found\n")) == Found([], "none", None, [])


def test_what_was_lost_by_the_driver_is_away_and_does_not_count(tmp_path: Path) -> None:
    root = on_the_bus(tmp_path, *[("10de:20b2", "0302")] * 8)
    taken_by(root, 7, "nvidia")
    taken_by(root, 3, "vfio-pci")
    found = look(root, Finished(0, f"{LOST}\n{A100}\n"))
    assert [gpu["pci_address"] for gpu in found.gpus] == ["0000:07:00.0"]
    assert [device.address for device in found.away] == [f"0000:{number:02x}:00.0" for number in range(7)]
    assert [device.address for device in found.away if device.driver == "vfio-pci"] == ["0000:03:00.0"]
    assert found.error == f"nvidia-smi says: {LOST}"


def test_a_gpu_that_nvidia_smi_names_as_lost_does_not_count_though_it_lists_no_other(tmp_path: Path) -> None:
    found = look(on_the_bus(tmp_path, *[("10de:20b2", "0302")] * 16), Finished(15, LOST))
    assert (found.source, len(found.gpus)) == ("pci", 15)
    assert [device.address for device in found.away] == ["0000:0f:00.0"]


def test_a_gpu_that_its_driver_was_told_to_leave_alone_does_not_count(tmp_path: Path) -> None:
    root = with_driver(tmp_path, 2)
    (root / "proc/driver/nvidia/gpus/0000:00:00.0/information").write_text(
        "Model: \t\t NVIDIA A100-SXM4-80GB\nGPU Excluded:\t Yes\n", encoding="utf-8"
    )
    assert [(gpu["index"], gpu["pci_address"]) for gpu in look(root).gpus] == [(0, "0000:01:00.0")]


def test_what_belongs_to_virtual_machines_is_not_ours_before_a_driver_either(tmp_path: Path) -> None:
    root = on_the_bus(tmp_path, *[("10de:20b2", "0302")] * 2)
    taken_by(root, 0, "vfio-pci")
    assert [gpu["pci_address"] for gpu in look(root).gpus] == ["0000:01:00.0"]


def test_the_virtual_functions_of_a_gpu_are_no_gpus_of_its_host(tmp_path: Path) -> None:
    root = on_the_bus(tmp_path, *[("10de:20b2", "0302")] * 2)
    (root / "sys/bus/pci/devices/0000:01:00.0/physfn").symlink_to("../0000:00:00.0")
    assert [gpu["pci_address"] for gpu in look(root).gpus] == ["0000:00:00.0"]
