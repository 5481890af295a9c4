# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.gpus import (
    architecture_of,
    capability_of_name,
    completed,
)

GPUS = rows("gpus")
DRIVERS = {
    "branches": [{"branch": "550", "cuda": "12.4"}, {"branch": "580", "cuda": "13.0"}, {"branch": "620", "cuda": None}]
}

# What nvidia-smi, PCI lists and people call them.
NAMES = [
    ("Tesla K80", "3.7"), ("Tesla K40m", "3.5"), ("Tesla M40", "5.2"), ("Tesla M60", "5.2"),
    ("NVIDIA GeForce GTX TITAN X", "5.2"), ("NVIDIA GeForce GTX 980 Ti", "5.2"), ("Tesla P100-SXM2-16GB", "6.0"),
    ("Quadro GP100", "6.0"), ("Tesla P40", "6.1"), ("Tesla P4", "6.1"), ("NVIDIA GeForce GTX 1080 Ti", "6.1"),
    ("NVIDIA TITAN Xp", "6.1"), ("NVIDIA TITAN X (Pascal)", "6.1"), ("Quadro P5000", "6.1"),
    ("Tesla V100-SXM2-32GB", "7.0"), ("Tesla V100S-PCIE-32GB", "7.0"), ("V100", "7.0"), ("NVIDIA TITAN V", "7.0"),
    ("Quadro GV100", "7.0"), ("Xavier", "7.2"), ("Tesla T4", "7.5"), ("NVIDIA TITAN RTX", "7.5"),
    ("Quadro RTX 6000", "7.5"), ("NVIDIA GeForce RTX 2080 Ti", "7.5"), ("NVIDIA GeForce GTX 1660 SUPER", "7.5"),
    ("NVIDIA T1000 8GB", "7.5"), ("NVIDIA A100-SXM4-80GB", "8.0"), ("NVIDIA A100 80GB PCIe", "8.0"),
    ("NVIDIA A800-SXM4-80GB", "8.0"), ("NVIDIA A30", "8.0"), ("NVIDIA A100X", "8.0"), ("A40", "8.6"),
    ("NVIDIA A10", "8.6"), ("NVIDIA A10G", "8.6"), ("NVIDIA A16", "8.6"), ("NVIDIA A2", "8.6"),
    ("NVIDIA RTX A6000", "8.6"), ("NVIDIA RTX A4500", "8.6"), ("NVIDIA RTX A1000", "8.6"),
    ("NVIDIA GeForce RTX 3090", "8.6"), ("Orin (nvgpu)", "8.7"), ("NVIDIA L4", "8.9"), ("NVIDIA L40S", "8.9"),
    ("NVIDIA RTX 6000 Ada Generation", "8.9"), ("NVIDIA RTX 5880 Ada Generation", "8.9"),
    ("NVIDIA GeForce RTX 4090 D", "8.9"), ("NVIDIA H100 80GB HBM3", "9.0"), ("NVIDIA H100 NVL", "9.0"),
    ("NVIDIA H800", "9.0"), ("NVIDIA H20", "9.0"), ("NVIDIA H200", "9.0"), ("NVIDIA GH200 480GB", "9.0"),
    ("NVIDIA GH200 144G HBM3e", "9.0"), ("NVIDIA B200", "10.0"), ("NVIDIA GB200", "10.0"),
    ("NVIDIA B300 SXM6 AC", "10.3"), ("NVIDIA GB300", "10.3"), ("GRID A100D-80C", "8.0"), ("GRID T4-16Q", "7.5"),
    ("Tesla V100 SXM4", "7.0"), ("NVIDIA Thor", "11.0"), ("NVIDIA GeForce RTX 5090", "12.0"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"), ("NVIDIA GB10", "12.1"), ("Quadro K6000", None),
    ("AMD Instinct MI210", None), ("Matrox G200", None),
]  # fmt: skip

# PCI ids with the architecture and the capability that they mean. The last are no product that this file names: their
# chip tells.
IDS = [
    ("10de:102d", "Tesla K80", "Kepler", "3.7"),
    ("10de:17fd", "Tesla M40", "Maxwell", "5.2"),
    ("10de:15f9", "Tesla P100 SXM2 16GB", "Pascal", "6.0"),
    ("10de:1b38", "Tesla P40", "Pascal", "6.1"),
    ("10de:1db1", "Tesla V100 SXM2 16GB", "Volta", "7.0"),
    ("10de:1df6", "Tesla V100S PCIe 32GB", "Volta", "7.0"),
    ("10de:1eb8", "Tesla T4", "Turing", "7.5"),
    ("10de:20b2", "NVIDIA A100 SXM4 80GB", "Ampere", "8.0"),
    ("10de:2235", "NVIDIA A40", "Ampere", "8.6"),
    ("10de:2684", "NVIDIA GeForce RTX 4090", "Ada", "8.9"),
    ("10de:2330", "NVIDIA H100 SXM5 80GB", "Hopper", "9.0"),
    ("10de:2335", "NVIDIA H200 SXM 141GB", "Hopper", "9.0"),
    ("10de:2901", "NVIDIA B200", "Blackwell", "10.0"),
    ("10de:3182", "NVIDIA B300 SXM6", "Blackwell", "10.3"),
    ("10de:2b85", "NVIDIA GeForce RTX 5090", "Blackwell", "12.0"),
    ("10de:2e12", "NVIDIA GB10", "Blackwell", "12.1"),
    ("10de:1dbe", "NVIDIA GV100", "Volta", "7.0"),
    ("10de:23ff", "NVIDIA GH100", "Hopper", "9.0"),
    ("10de:3021", "NVIDIA GR100", "Rubin", "10.7"),
    ("10de:0020", None, None, None),
    (None, None, None, None),
]

AMD_IDS = [
    ("1002:66a1", "gfx906", "GCN5"),
    ("1002:738c", "gfx908", "CDNA"),
    ("1002:7408", "gfx90a", "CDNA2"),
    ("1002:740f", "gfx90a", "CDNA2"),
    ("1002:74a0", "gfx942", "CDNA3"),
    ("1002:74a1", "gfx942", "CDNA3"),
    ("1002:74a5", "gfx942", "CDNA3"),
    ("1002:75a0", "gfx950", "CDNA4"),
    ("1002:744c", "gfx1100", "RDNA3"),
    ("1002:164e", None, None),
]


def gpu(pci_id: str | None, **known: Any) -> dict[str, Any]:
    """What a node tells of a GPU."""
    vendor = "amd" if str(pci_id).startswith("1002") else "nvidia"
    unknown = dict.fromkeys(("name", "architecture", "compute_capability", "gfx", "memory_mib", "uuid", "mig"))
    return {"index": 0, "vendor": vendor, "pci_address": "0000:07:00.0", "pci_id": pci_id, **unknown, **known}


def report(*gpus: dict[str, Any], **driver: Any) -> dict[str, Any]:
    return {"gpus": list(gpus), "driver": {"loaded": None, "library": None, "cuda": None, **driver}, "nvswitch": 0}


@pytest.mark.parametrize(("name", "capability"), NAMES)
def test_a_product_is_known_by_its_name(name: str, capability: str | None) -> None:
    assert capability_of_name(GPUS, name) == capability


@pytest.mark.parametrize(("pci_id", "name", "architecture", "capability"), IDS)
def test_a_gpu_is_known_by_its_pci_id(
    pci_id: str | None, name: str | None, architecture: str | None, capability: str | None
) -> None:
    (found,) = completed(report(gpu(pci_id)), GPUS, DRIVERS)["gpus"]
    assert (found["name"], found["architecture"], found["compute_capability"]) == (name, architecture, capability)


@pytest.mark.parametrize(("pci_id", "gfx", "architecture"), AMD_IDS)
def test_amds_are_known_by_their_pci_id(pci_id: str, gfx: str | None, architecture: str | None) -> None:
    (found,) = completed(report(gpu(pci_id)), GPUS, DRIVERS)["gpus"]
    assert (found["gfx"], found["architecture"], found["compute_capability"]) == (gfx, architecture, None)


def test_what_the_driver_says_is_believed() -> None:
    told = gpu("10de:20b2", name="NVIDIA A100-SXM4-80GB", compute_capability="99.0")
    (found,) = completed(report(told), GPUS, DRIVERS)["gpus"]
    assert (found["name"], found["compute_capability"]) == ("NVIDIA A100-SXM4-80GB", "99.0")
    assert found["architecture"] == "Ampere"


def test_a_name_tells_where_the_bus_cannot() -> None:
    (found,) = completed(report(gpu(None, name="Tesla V100S-PCIE-32GB")), GPUS, DRIVERS)["gpus"]
    assert (found["compute_capability"], found["architecture"]) == ("7.0", "Volta")


def test_the_instruction_set_that_amds_driver_tells_is_believed() -> None:
    (found,) = completed(report(gpu("1002:9999", gfx="gfx1250")), GPUS, DRIVERS)["gpus"]
    assert found["gfx"] == "gfx1250"


@pytest.mark.parametrize(("gfx", "wanted"), [("gfx1036", None), ("gfx90c", None), ("gfx1151", "gfx1151")])
def test_graphics_inside_a_processor_are_no_accelerator_though_the_kernel_offers_them(
    gfx: str, wanted: str | None
) -> None:
    """A Ryzen beside an RTX 4090, with amdgpu loaded."""
    (found,) = completed(report(gpu("1002:164e", gfx=gfx)), GPUS, DRIVERS)["gpus"]
    assert found["gfx"] == wanted


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ({"library": "550.54.14", "loaded": "580.95.05"}, "12.4"),
        ({"library": None, "loaded": "580.95.05"}, "13.0"),
        ({"library": "550.54.14", "cuda": "12.3"}, "12.3"),
        ({"library": "551.54.14"}, None),
        ({"library": "620.10"}, None),
        ({}, None),
    ],
)
def test_the_branch_tells_the_highest_cuda_where_the_driver_does_not(driver: dict[str, Any], cuda: str | None) -> None:
    assert completed(report(**driver), GPUS, DRIVERS)["driver"]["cuda"] == cuda


def test_what_a_node_told_is_not_written_into() -> None:
    told = report(gpu("10de:20b2"), library="550.54.14")
    before = copy.deepcopy(told)
    completed(told, GPUS, DRIVERS)
    assert told == before


# The rows against each other


def test_every_capability_belongs_to_one_architecture() -> None:
    capabilities = [one for row in GPUS["architectures"] for one in row["compute_capabilities"]]
    assert len(capabilities) == len(set(capabilities))
    assert all(isinstance(one, str) for one in capabilities)


def test_the_ids_of_chips_are_in_order_and_belong_to_one_chip() -> None:
    ranges = [(int(row["first"], 16), int(row["last"], 16)) for row in GPUS["chips"]]
    assert all(first <= last for first, last in ranges)
    assert all(before[1] < after[0] for before, after in zip(ranges, ranges[1:], strict=False))


@pytest.mark.parametrize("row", GPUS["chips"], ids=lambda row: f"{row['chip']} {row['first']}")
def test_a_chips_capability_is_one_of_its_architecture(row: dict[str, str]) -> None:
    assert architecture_of(GPUS, row["compute_capability"]) == row["architecture"]


@pytest.mark.parametrize("device", GPUS["boards"])
def test_a_board_has_a_chip_and_its_name_means_the_same_capability(device: str) -> None:
    (found,) = completed(report(gpu(f"10de:{device}")), GPUS, DRIVERS)["gpus"]
    assert found["compute_capability"] is not None
    by_name = capability_of_name(GPUS, GPUS["boards"][device])
    assert by_name in (found["compute_capability"], None)


def test_every_pattern_means_a_capability_that_is_known() -> None:
    assert all(architecture_of(GPUS, row["compute_capability"]) for row in GPUS["products"])


def test_an_id_of_amds_has_one_row() -> None:
    ids = [device for row in GPUS["amd"] for device in row["ids"]]
    assert len(ids) == len(set(ids))
    assert all(len(device) == 4 and device == device.lower() and int(device, 16) for device in ids)


def test_every_driver_branch_that_is_known_completes_a_report() -> None:
    newest = rows("drivers")["branches"][-2]
    told = report(library=f"{newest['branch']}.10")
    assert completed(told, GPUS, rows("drivers"))["driver"]["cuda"] == newest["cuda"]
