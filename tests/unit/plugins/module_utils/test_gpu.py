# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import gather, parse_query

A100 = "0, NVIDIA A100-SXM4-80GB, GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11, 81920"

QUERIES = [
    (A100, [(0, "NVIDIA A100-SXM4-80GB", "GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11", 81920)]),
    ("0, Tesla V100S, 32 GB, GPU-a, 32768", [(0, "Tesla V100S, 32 GB", "GPU-a", 32768)]),
    ("0, NVIDIA GB10, GPU-b, [N/A]", [(0, "NVIDIA GB10", "GPU-b", None)]),
    (
        f"{A100}\n1, X, GPU-c, 10\n",
        [(0, "NVIDIA A100-SXM4-80GB", "GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11", 81920), (1, "X", "GPU-c", 10)],
    ),
    ("No devices were found", []),
    ("", []),
]

FAILURES = [
    (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", ""),
    (18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54\n", ""),
    (127, "", "nvidia-smi: error while loading shared libraries\n"),
]


def never(arguments: Sequence[str]) -> tuple[int, str, str]:
    raise AssertionError(f"{arguments} was run though there is no nvidia-smi")


def with_driver(root: Path, count: int) -> Path:
    for number in range(count):
        folder = root / f"proc/driver/nvidia/gpus/0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(
            f"Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ:   \t\t 16\nGPU UUID: \t GPU-{number}\nBus Type: \t PCIe\n",
            encoding="utf-8",
        )
    return root


def on_the_bus(root: Path, *functions: tuple[str, str]) -> Path:
    for number, (vendor, kind) in enumerate(functions):
        folder = root / f"sys/bus/pci/devices/0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n", encoding="utf-8")
        (folder / "class").write_text(f"{kind}\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(("text", "wanted"), QUERIES)
def test_the_answer_of_nvidia_smi_is_read(text: str, wanted: list[tuple[int, str, str, int | None]]) -> None:
    assert [(gpu["index"], gpu["name"], gpu["uuid"], gpu["memory_mib"]) for gpu in parse_query(text)] == wanted


def test_nvidia_smi_is_asked_first(tmp_path: Path) -> None:
    found = gather(with_driver(tmp_path, 2), lambda arguments: (0, A100, ""), "/usr/bin/nvidia-smi")
    assert (found["source"], len(found["gpus"]), found["error"]) == ("nvidia-smi", 1, None)


@pytest.mark.parametrize(("status", "output", "errors"), FAILURES)
def test_a_failing_nvidia_smi_does_not_hide_the_gpus_and_its_words_are_kept(
    tmp_path: Path, status: int, output: str, errors: str
) -> None:
    found = gather(with_driver(tmp_path, 8), lambda arguments: (status, output, errors), "/usr/bin/nvidia-smi")
    assert (found["source"], len(found["gpus"])) == ("proc", 8)
    assert found["error"] == f"nvidia-smi ended with {status}: {(output + errors).splitlines()[0]}"


def test_the_loaded_driver_names_its_gpus(tmp_path: Path) -> None:
    (first, second) = gather(with_driver(tmp_path, 2), never, None)["gpus"]
    assert (first["name"], first["uuid"], first["memory_mib"]) == ("NVIDIA A100-SXM4-80GB", "GPU-0", None)
    assert (second["index"], second["uuid"]) == (1, "GPU-1")


def test_the_bus_counts_gpus_before_a_driver_is_installed(tmp_path: Path) -> None:
    root = on_the_bus(
        tmp_path,
        ("0x10de", "0x030200"),
        ("0x10de", "0x030000"),
        ("0x10de", "0x040300"),
        ("0x10de", "0x068000"),
        ("0x1a03", "0x030000"),
    )
    found = gather(root, never, None)
    assert (found["source"], [gpu["index"] for gpu in found["gpus"]]) == ("pci", [0, 1])


def test_a_node_without_a_gpu_is_a_state(tmp_path: Path) -> None:
    assert gather(tmp_path, never, None) == {"gpus": [], "source": "none", "error": None}


def test_nvidia_smi_that_sees_no_device_is_not_an_error(tmp_path: Path) -> None:
    found = gather(tmp_path, lambda arguments: (0, "No devices were found\n", ""), "/usr/bin/nvidia-smi")
    assert found == {"gpus": [], "source": "none", "error": None}
