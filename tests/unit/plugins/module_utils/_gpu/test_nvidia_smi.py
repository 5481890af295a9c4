# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nvidia-smi of many drivers answers.

All outputs here are readings, written after manual pages, release notes and what users post; none was recorded on a
machine of ours. The words of each failure are NVIDIA's own.
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.gpus import from_rows
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.nvidia_smi import (
    FIELDS,
    ask,
    highest_cuda,
    parse_rows,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

OLD = tuple(field for field in FIELDS if field not in ("compute_cap", "mig.mode.current"))
NO_COMPUTE_CAP = tuple(field for field in FIELDS if field != "compute_cap")
UUID = "GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11"

# One line of an answer, the fields it was asked for, and what it means: name, capability, MiB, PCI id, MIG.
LINES = [
    (
        "450, V100S",
        f"0, Tesla V100S-PCIE-32GB, {UUID}, 00000000:07:00.0, 0x1DF610DE, 32510, 450.80.02, [N/A]",
        NO_COMPUTE_CAP,
        ("Tesla V100S-PCIE-32GB", None, 32510, "10de:1df6", None),
    ),
    (
        "440, before MIG was known",
        f"0, Tesla T4, {UUID}, 00000000:3B:00.0, 0x1EB810DE, 15109, 440.33.01",
        OLD,
        ("Tesla T4", None, 15109, "10de:1eb8", None),
    ),
    (
        "470, A100",
        f"7, NVIDIA A100-SXM4-40GB, {UUID}, 00000000:BD:00.0, 0x20B010DE, 40536, 470.182.03, Disabled",
        NO_COMPUTE_CAP,
        ("NVIDIA A100-SXM4-40GB", None, 40536, "10de:20b0", "disabled"),
    ),
    (
        "535, H100 with MIG",
        f"0, NVIDIA H100 80GB HBM3, {UUID}, 00000000:19:00.0, 0x233010DE, 81559, 535.183.01, 9.0, Enabled",
        FIELDS,
        ("NVIDIA H100 80GB HBM3", "9.0", 81559, "10de:2330", "enabled"),
    ),
    (
        "550, H200",
        f"3, NVIDIA H200, {UUID}, 00000000:4C:00.0, 0x233510DE, 143771, 550.127.05, 9.0, Disabled",
        FIELDS,
        ("NVIDIA H200", "9.0", 143771, "10de:2335", "disabled"),
    ),
    (
        "580, B200",
        f"0, NVIDIA B200, {UUID}, 00000000:1B:00.0, 0x290110DE, 183359, 580.95.05, 10.0, Disabled",
        FIELDS,
        ("NVIDIA B200", "10.0", 183359, "10de:2901", "disabled"),
    ),
    (
        "580, RTX 4090",
        f"0, NVIDIA GeForce RTX 4090, {UUID}, 00000000:01:00.0, 0x268410DE, 24564, 580.95.05, 8.9, [N/A]",
        FIELDS,
        ("NVIDIA GeForce RTX 4090", "8.9", 24564, "10de:2684", None),
    ),
    (
        "580, GB10, whose memory is the machine's",
        f"0, NVIDIA GB10, {UUID}, 0000000F:01:00.0, 0x2E1210DE, [N/A], 580.95.05, 12.1, [N/A]",
        FIELDS,
        ("NVIDIA GB10", "12.1", None, "10de:2e12", None),
    ),
    (
        "a vGPU, and units though none were asked for",
        f"0, GRID A100D-80C, {UUID}, 00000000:02:01.0, 0x20B510DE, 81920 MiB, 535.183.01, 8.0, [Not Supported]",
        FIELDS,
        ("GRID A100D-80C", "8.0", 81920, "10de:20b5", None),
    ),
    (
        "a name with a comma",
        f"0, Tesla V100S, 32 GB, {UUID}, 00000000:07:00.0, 0x1DF610DE, 32768, 550.54.14, 7.0, [N/A]",
        FIELDS,
        ("Tesla V100S, 32 GB", "7.0", 32768, "10de:1df6", None),
    ),
    (
        "values that the driver cannot read",
        f"0, NVIDIA A100-PCIE-40GB, {UUID}, 00000000:07:00.0, [Unknown Error], ERR!, 550.54.14, [N/A], [Unknown Error]",
        FIELDS,
        ("NVIDIA A100-PCIE-40GB", None, None, None, None),
    ),
]

# Lines that are no GPU that works.
NO_GPU = [
    "No devices were found",
    "WARNING: infoROM is corrupted at gpu 0000:07:00.0",
    "index, name, uuid, pci.bus_id, pci.device_id, memory.total [MiB], driver_version, compute_cap, mig.mode.current",
    "3, [GPU is lost], [GPU is lost], 00000000:0F:00.0, [GPU is lost], [GPU is lost], 550.54.14, [GPU is lost], [N/A]",
    "3, [Unknown Error], [Unknown Error], [Unknown Error], [N/A], [N/A], [N/A], [N/A], [N/A]",
    "Unable to determine the device handle for GPU 0000:07:00.0: GPU is lost.  Reboot the system to recover this GPU",
    "",
]

LOST = [
    (
        15,
        "Unable to determine the device handle for GPU 0000:07:00.0: GPU is lost.  Reboot the system to recover it",
        ["0000:07:00.0"],
    ),
    (0, "Unable to determine the device handle for GPU0000:20:00.0: Unknown Error", ["0000:20:00.0"]),
    (0, "Unable to determine the device handle for GPU3: 0000:8A:00.0: Unknown Error", ["0000:8A:00.0"]),
]

REPORT = """
==============NVSMI LOG==============

Timestamp                                 : Sat Nov 21 12:00:00 2026
Driver Version                            : {driver}
{cuda}

Attached GPUs                             : 1
GPU 00000000:07:00.0
    Compute Mode                          : Default
"""


@pytest.mark.parametrize(("line", "fields", "wanted"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_a_line_is_a_gpu(
    line: str, fields: Sequence[str], wanted: tuple[str, str | None, int | None, str | None, str | None]
) -> None:
    (gpu,) = from_rows(parse_rows(line, fields))
    assert (gpu["name"], gpu["compute_capability"], gpu["memory_mib"], gpu["pci_id"], gpu["mig"]) == wanted
    assert gpu["uuid"] == UUID


@pytest.mark.parametrize("line", NO_GPU)
def test_what_is_no_working_gpu_is_passed_over(line: str) -> None:
    good = LINES[3][1]
    assert [row["index"] for row in parse_rows(f"{line}\n{good}\n{line}\n")] == ["0"]


def test_a_bus_id_becomes_the_address_that_the_kernel_uses() -> None:
    addresses = [from_rows(parse_rows(LINES[number][1], LINES[number][2]))[0]["pci_address"] for number in (0, 7)]
    assert addresses == ["0000:07:00.0", "000f:01:00.0"]


@pytest.mark.parametrize("refused", [(), ("compute_cap",), ("compute_cap", "mig.mode.current"), FIELDS[3:]])
def test_an_old_nvidia_smi_is_asked_for_what_it_knows(refused: Sequence[str]) -> None:
    asked: list[list[str]] = []

    def old(command: Sequence[str]) -> Finished:
        fields = command[1].partition("=")[2].split(",")
        asked.append(fields)
        unknown = next((field for field in fields if field in refused), None)
        if unknown:
            return Finished(2, f'Field "{unknown}" is not a valid field to query.\n\n')
        values = dict(zip(FIELDS, LINES[3][1].split(", ")))
        return Finished(0, ", ".join(values[field] for field in fields))

    answer = ask(old)
    assert answer is not None and answer.error is None
    assert [set(row) for row in answer.rows] == [set(FIELDS) - set(refused)]
    assert len(asked) == len(refused) + 1


def test_an_nvidia_smi_that_refuses_whatever_it_is_asked_is_not_asked_for_ever() -> None:
    answer = ask(lambda command: Finished(2, 'Field "index " is not a valid field to query.\n'))
    assert answer is not None
    assert (answer.rows, answer.error) == (
        [],
        'nvidia-smi ended with 2: Field "index " is not a valid field to query.',
    )


@pytest.mark.parametrize(("status", "said", "addresses"), LOST)
def test_lost_gpus_are_named_and_the_others_still_count(status: int, said: str, addresses: list[str]) -> None:
    answer = ask(lambda command: Finished(status, f"{said}\n{LINES[3][1]}\n"))
    assert answer is not None
    assert (len(answer.rows), list(answer.lost)) == (1, addresses)
    assert answer.error is not None and said in answer.error


def test_without_nvidia_smi_there_is_no_answer() -> None:
    assert ask(lambda command: None) is None


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("CUDA Version                              : 11.0", "11.0"),
        ("CUDA Version                              : 13.0", "13.0"),
        ("CUDA UMD Version                          : 13.3", "13.3"),
        ("CUDA Version                              : N/A", None),
        ("", None),
    ],
)
def test_the_report_begins_with_the_highest_cuda(tmp_path: Path, line: str, wanted: str | None) -> None:
    host = Host(tmp_path, lambda command: Finished(0, REPORT.format(driver="580.95.05", cuda=line)))
    assert highest_cuda(host) == wanted


def test_a_report_that_fails_tells_no_cuda(tmp_path: Path) -> None:
    said = Finished(18, REPORT.format(driver="580.95.05", cuda="CUDA Version : 13.0"))
    assert highest_cuda(Host(tmp_path, lambda command: said)) is None


def test_no_text_whatever_makes_the_parser_fail() -> None:
    chance = random.Random(3)
    pieces = [*LINES[3][1].split(","), *NO_GPU, "[", "]", ",", ", ", "\n", "\0", "é", "GPU-", "0x", *string.printable]
    for _round in range(2000):
        text = "".join(chance.choices(pieces, k=chance.randrange(60)))
        for gpu in from_rows(parse_rows(text)):
            assert gpu["index"] >= 0 and str(gpu["uuid"]).startswith("GPU-")
