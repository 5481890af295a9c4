# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.flash_attn import (
    build,
    gpu_problems,
    installed_name,
    sum_of_wheel,
    torch_problems,
    wheel,
)

SUM = "0d1c3f9e0b1e4a7f8f3f5a1f6c0de8fbb1a94ce2b2e2a06d3c0c62a0b7f1d2aa"
OTHER = "f" * 64
NAME = "flash_attn-2.8.3+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"


def _environment(
    torch: str, cuda: str | None, python: str, *, abi: bool = True, machine: str = "x86_64"
) -> dict[str, Any]:
    return {
        "prefix": "/env",
        "python": python,
        "machine": machine,
        "packages": {"torch": torch},
        "torch": {"version": torch, "cuda": cuda, "cxx11_abi": abi},
    }


# As get_wheel_url of the project's setup.py computes them.
WHEELS = [
    (_environment("2.8.0+cu128", "12.8", "3.11.2"), "", NAME),
    (
        _environment("2.6.0+cu124", "12.4", "3.11.2", abi=False),
        "",
        "flash_attn-2.8.3+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl",
    ),
    (
        _environment("2.6.0+cu124", "12.4", "3.11.2", abi=False),
        "2.7.4.post1",
        "flash_attn-2.7.4.post1+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl",
    ),
    (
        _environment("2.0.1+cu117", "11.7", "3.10.4", abi=False),
        "",
        "flash_attn-2.6.3+cu118torch2.0cxx11abiFALSE-cp310-cp310-linux_x86_64.whl",
    ),
    (
        _environment("1.13.0+cu117", "11.7", "3.9.1", abi=False),
        "",
        "flash_attn-2.5.8+cu118torch1.13cxx11abiFALSE-cp39-cp39-linux_x86_64.whl",
    ),
    (
        _environment("2.1.1+cu118", "11.8", "3.8.18", abi=False),
        "",
        "flash_attn-2.6.3+cu118torch2.1cxx11abiFALSE-cp38-cp38-linux_x86_64.whl",
    ),
    (
        _environment("2.1.2+cu121", "12.1", "3.11.2", abi=False),
        "2.5.8",
        "flash_attn-2.5.8+cu122torch2.1cxx11abiFALSE-cp311-cp311-linux_x86_64.whl",
    ),
]


@pytest.mark.parametrize(("environment", "release", "name"), WHEELS)
def test_finished_wheel_is_named_as_the_project_names_it(environment: dict[str, Any], release: str, name: str) -> None:
    assert wheel(environment, release)["filename"] == name


NONE = [
    _environment("2.13.0+cu130", "13.0", "3.11.2"),
    _environment("2.7.1+cu118", "11.8", "3.11.2"),
    _environment("2.4.1+cu121", "12.1", "3.13.0"),
    _environment("2.1.2+cu121", "12.1", "3.12.1"),
    _environment("2.8.0+cpu", None, "3.11.2"),
    _environment("2.8.0+cu128", "12.8", "3.11.2", machine="aarch64"),
    {**_environment("2.8.0+cu128", "12.8", "3.11.2"), "torch": {}},
]


@pytest.mark.parametrize("environment", NONE)
def test_environment_that_the_project_has_no_wheel_for_gets_none(environment: dict[str, Any]) -> None:
    assert wheel(environment) == {}


def test_release_that_has_no_wheel_for_the_torch_gets_none() -> None:
    assert wheel(_environment("2.8.0+cu128", "12.8", "3.11.2"), "2.6.3") == {}


def test_name_under_which_it_can_be_installed_has_the_version_that_is_inside() -> None:
    assert installed_name(NAME) == "flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl"


RELEASE = json.dumps({"assets": [{"name": NAME, "digest": f"sha256:{SUM}"}, {"name": "x.whl", "digest": None}]})
SUMS = [
    ({NAME: SUM}, "", SUM),
    ({NAME: f"sha256:{SUM.upper()}"}, "", SUM),
    ({NAME: SUM}, f"{OTHER}  {NAME}\n", SUM),
    ({}, f"{OTHER}  x.whl\n{SUM}  {NAME}\n", SUM),
    ({}, f"{SUM} *dist/{NAME}\n", SUM),
    ({}, RELEASE, SUM),
    ({}, RELEASE.replace(NAME, "other.whl"), ""),
    ({}, json.dumps({"assets": [{"name": NAME, "digest": None}]}), ""),
    ({}, json.dumps({"message": "Not Found"}), ""),
    ({}, "<html>", ""),
    ({}, "", ""),
    ({NAME: "md5:123"}, RELEASE, ""),
]


@pytest.mark.parametrize(("checksums", "told", "found"), SUMS)
def test_sum_is_what_was_given_else_what_was_told_else_nothing(
    checksums: dict[str, str], told: str, found: str
) -> None:
    assert sum_of_wheel(NAME, checksums, told) == found


BUILDS = [
    ("2.13.0+cu130", ["8.6", "9.0"], "", {"release": "2.8.3.post2", "architectures": ["80", "90"]}),
    ("2.13.0+cu130", ["8.0", "12.0", "10.0", "7.0"], "", {"architectures": ["80", "100", "120"]}),
    ("2.0.1+cu117", ["8.0"], "", {"release": "2.5.8", "architectures": ["80"], "memory": 9.0}),
    ("2.13.0+cu130", ["7.0"], "2.8.3", {"release": "2.8.3", "architectures": []}),
]


@pytest.mark.parametrize(("torch", "capabilities", "release", "parts"), BUILDS)
def test_build_has_release_and_architectures_in_the_words_of_its_setup(
    torch: str, capabilities: list[str], release: str, parts: dict[str, Any]
) -> None:
    assert parts.items() <= build(torch, capabilities, release).items()


def test_torch_that_no_release_is_known_for_is_not_built_for() -> None:
    assert build("1.10.2+cu113", ["8.0"]) == {}


GPUS = [
    ([{"name": "A100-SXM4-40GB", "compute_capability": "8.0"}], []),
    ([], []),
    ([{"name": None, "compute_capability": None}], []),
    (
        [{"name": "Tesla V100S-PCIE-32GB", "compute_capability": "7.0"}],
        ["compute capability 8.0 (Ampere) on, and node2 has Tesla V100S-PCIE-32GB, compute capability 7.0."],
    ),
]


@pytest.mark.parametrize(("gpus", "words"), GPUS)
def test_gpu_before_ampere_is_refused_with_its_name(gpus: list[dict[str, Any]], words: list[str]) -> None:
    found = gpu_problems("node2", gpus, "The set fastchat brings", "Do without.")
    assert len(found) == len(words)
    assert [word for word, text in zip(words, found, strict=True) if word not in text] == []


TORCHES = [
    ("2.13.0+cpu", "is for CPUs"),
    ("2.13.0+rocm7.2", "is not known to be for CUDA"),
    ("2.13.0", "is not known to be for CUDA"),
    ("2.13.0+cu130", ""),
    ("", ""),
]


@pytest.mark.parametrize(("version", "words"), TORCHES)
def test_torch_without_cuda_is_refused(version: str, words: str) -> None:
    environment = {"prefix": "/env", "packages": {"torch": version} if version else {}}
    text = " ".join(torch_problems(environment, "The set fastchat brings", "Do without."))
    assert (words in text) if words else text == ""
