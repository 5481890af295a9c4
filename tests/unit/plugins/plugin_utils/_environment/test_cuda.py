# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which toolkits are known, and which of them a node's driver and GPUs allow, by the tables of the collection."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import (
    CudaError,
    architectures,
    problems,
    remarks,
    toolkits,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

TABLE = rows("cuda")


def known(*versions: Any, machine: str = "x86_64") -> list[dict[str, Any]]:
    return toolkits(versions, TABLE, machine)


def node(capability: str | None = None, driver: str | None = None, name: str = "a GPU") -> dict[str, Any]:
    gpus = [{"index": 0, "vendor": "nvidia", "name": name, "compute_capability": capability}] if capability else []
    return {"gpus": gpus, "driver": {"loaded": driver, "library": driver, "cuda": None}}


# Wished version, machine, expected part of the row.
ROWS = [
    ("12.4", "x86_64", {"release": "12.4.1", "package": "cuda-toolkit-12-4", "gcc": "13"}),
    ("12.4.0", "x86_64", {"release": "12.4.0", "runfile": "cuda_12.4.0_550.54.14_linux.run", "minor": "12.4"}),
    ("13.0", "x86_64", {"runfile": "cuda_13.0.3_580.126.20_linux.run", "driver": "580.65.06", "gcc": "15"}),
    ("13.0", "aarch64", {"runfile": "cuda_13.0.3_580.126.20_linux_sbsa.run"}),
    # From 13.4 on the runfile carries no driver, and has none in its name.
    ("13.4", "x86_64", {"runfile": "cuda_13.4.1_linux.run", "gcc": "16"}),
    ("11.8", "x86_64", {"runfile": "cuda_11.8.0_520.61.05_linux.run", "driver": "450.80.02", "gcc": "11"}),
]


@pytest.mark.parametrize(("version", "machine", "expected"), ROWS)
def test_a_toolkit_is_known_by_its_version(version: str, machine: str, expected: dict[str, Any]) -> None:
    row = known(version, machine=machine)[0]
    assert {name: row[name] for name in expected} == expected


# Wished versions, words of the sentence.
REFUSED = [
    ((12.1,), "12.1, which is no text; put it in quotes"),
    (("12.10",), "CUDA 12.10 is not known; near it are 12.1"),
    (("14.2",), "CUDA 14.2 is not known"),
    (("12.4.7",), "CUDA 12.4.7 is not known; near it are 12.4"),
    (("latest",), "CUDA latest is not known; near it are 13."),
    (("12.4", "12.4.1"), "has 12.4 more than once"),
]


@pytest.mark.parametrize(("versions", "words"), REFUSED)
def test_what_is_not_known_is_refused_with_what_is_near(versions: tuple[Any, ...], words: str) -> None:
    with pytest.raises(CudaError) as caught:
        known(*versions)
    assert words in str(caught.value)


def test_what_is_used_must_be_wished_for() -> None:
    assert len(toolkits(["12.8", "13.0"], TABLE, used=["13.0"])) == 2
    with pytest.raises(CudaError) as caught:
        toolkits(["12.8", "13.0"], TABLE, used=["13.0", "12.4"])
    assert "CUDA 12.4 is to be used" in str(caught.value)
    assert "there is only 12.8, 13.0" in str(caught.value)


# Version, the node, words of the problem; none where it serves.
JUDGED = [
    ("13.0", node(), ""),
    ("13.0", node("8.0"), ""),
    ("13.0", node("8.0", "580.65.06"), ""),
    ("13.0", node("8.0", "610.43.02"), ""),
    ("13.0", node("8.0", "580.65.05"), "needs driver 580.65.06 or newer, and the driver here is 580.65.05"),
    ("13.0", node("8.0", "535.54.03"), "which allows CUDA 12.9 at most. Upgrade the driver"),
    ("12.8", node("8.0", "470.182.03"), "which allows CUDA 11.8 at most"),
    ("12.8", node("7.0", "535.54.03"), ""),
    ("11.8", node("7.0", "450.80.02"), ""),
    # Code for 8.6 runs on 8.9, which CUDA 11.7 does not know.
    ("11.7", node("8.9", "535.54.03"), ""),
    (
        "13.0",
        node("7.0", name="Tesla V100S-PCIE-32GB"),
        "Tesla V100S-PCIE-32GB (compute capability 7.0): it knows 7.5 to",
    ),
    ("13.0", node("6.1"), "Wish for an older toolkit"),
    ("12.4", node("10.0", name="NVIDIA B200"), "does not compile for NVIDIA B200 (compute capability 10.0)"),
    ("12.4", node("10.0"), "Wish for a newer toolkit"),
    ("13.0", {"gpus": [{"index": 0, "vendor": "amd", "compute_capability": None}], "driver": None}, ""),
    ("13.0", {}, ""),
]


@pytest.mark.parametrize(("version", "gpus", "words"), JUDGED)
def test_a_toolkit_is_held_against_driver_and_gpus(version: str, gpus: dict[str, Any], words: str) -> None:
    found = problems(known(version), gpus, version, TABLE)
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_a_toolkit_beside_the_default_need_not_know_all_gpus() -> None:
    assert problems(known("12.8", "13.0"), node("7.0", "580.65.06"), "12.8", TABLE) == []
    assert len(problems(known("12.8", "13.0"), node("7.0", "580.65.06"), "13.0", TABLE)) == 1


def test_the_driver_is_the_one_that_the_next_boot_brings() -> None:
    gpus = {"driver": {"loaded": "535.54.03", "library": "580.65.06"}}
    assert problems(known("13.0"), gpus, "13.0", TABLE) == []


def test_a_driver_between_the_least_and_the_one_of_the_toolkit_is_remarked_upon() -> None:
    assert remarks(known("12.8.1"), node("8.0", "570.124.06")) == []
    assert remarks(known("12.8"), node("8.0")) == []
    assert "CUDA 12.8.1 was made with driver 570.124.06, and the driver here is 535.54.03" in "".join(
        remarks(known("12.8.1"), node("8.0", "535.54.03"))
    )


# Wished architectures, the node, what 12.8 and 13.0 are proved for.
PROVED: list[tuple[list[str], dict[str, Any], list[str], list[str]]] = [
    (["7.0", "8.0"], node("9.0"), ["7.0", "8.0"], ["8.0"]),
    (["10.0", "8.0"], {}, ["8.0", "10.0"], ["8.0", "10.0"]),
    ([], node("7.0"), ["7.0"], []),
    (["gfx90a"], node(), [], []),
]


@pytest.mark.parametrize(("wished", "gpus", "older", "newer"), PROVED)
def test_each_toolkit_is_proved_for_what_it_knows(
    wished: list[str], gpus: dict[str, Any], older: list[str], newer: list[str]
) -> None:
    assert architectures(known("12.8", "13.0"), wished, gpus) == {"12.8": older, "13.0": newer}


def test_a_gpu_that_is_not_known_gets_the_code_that_runs_on_it() -> None:
    assert architectures(known("11.7"), ["8.0", "8.9"], {}) == {"11.7": ["8.0", "8.6"]}
