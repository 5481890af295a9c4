# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of data/ against each other."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    apex_for,
    cuda_of,
    deepspeed_fault,
    kernels,
    least_driver,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import cluster, gpu, node

TORCHES = {row["torch"]: row for row in rows("torch")["releases"]}
MINORS = {row["cuda"]: row for row in rows("cuda")["minors"]}
RELEASES = {row["cuda"]: row for row in rows("cuda")["releases"]}
DEEPSPEEDS = {row["deepspeed"]: row for row in rows("deepspeed")["releases"]}
APEXES = {row["apex"]: row for row in rows("apex")["releases"]}
BRANCHES = {row["branch"]: row for row in rows("drivers")["branches"]}
STACKS = rows("stacks")["stacks"]
CUDA_BUILDS = [(torch, build) for torch, row in TORCHES.items() for build in row["builds"] if build.startswith("cu")]
PROVED = {"code", "doc", "run", "secondary", "memory", "code; builds memory"}
# What is a list of rows with a source of its own, file by file.
LISTS = [
    ("cuda", "majors"), ("cuda", "minors"), ("cuda", "releases"), ("torch", "releases"), ("torch", "kernels"),
    ("torch", "rocm_kernels"), ("deepspeed", "rules"), ("deepspeed", "pydantic"), ("deepspeed", "toolkits"),
    ("apex", "releases"), ("apex", "checks"), ("drivers", "branches"), ("drivers", "kernel_modules"),
    ("deepspeed_ops", "ops"), ("build_packages", "needs"), ("libraries", "misnamed"),
    ("gcc", "systems"), ("cuda_repositories", "repositories"),
]  # fmt: skip


def of(name: str, part: str) -> list[dict[str, Any]]:
    """A list of rows."""
    found: list[dict[str, Any]] = rows(name)[part]
    return found


@pytest.mark.parametrize(("name", "part"), LISTS)
def test_every_row_says_where_it_is_from_and_how_it_was_proved(name: str, part: str) -> None:
    for row in of(name, part):
        assert row["source"], row
        assert row["verified"] in PROVED, row


@pytest.mark.parametrize("name", ["cuda", "torch", "deepspeed", "deepspeed_ops", "apex", "drivers", "stacks"])
def test_versions_are_text(name: str) -> None:
    def numbers(value: Any, path: str = name) -> list[str]:
        if isinstance(value, dict):
            return [bad for key_of, item in value.items() for bad in numbers(item, f"{path}.{key_of}")]
        if isinstance(value, list):
            return [bad for item in value for bad in numbers(item, path)]
        return [f"{path}: {value}"] if isinstance(value, (int, float)) and not isinstance(value, bool) else []

    assert numbers(rows(name)) == []


@pytest.mark.parametrize(
    "versions",
    [list(TORCHES), list(MINORS), list(RELEASES), list(DEEPSPEEDS), list(BRANCHES), [row["torch"] for row in STACKS]],
    ids=["torch", "CUDA", "releases of CUDA", "DeepSpeed", "branches", "stacks"],
)
def test_rows_are_in_their_order(versions: list[str]) -> None:
    assert [numbers(version) for version in versions] == sorted(numbers(version) for version in versions)


@pytest.mark.parametrize("part", [TORCHES, MINORS, RELEASES, DEEPSPEEDS, APEXES, BRANCHES], ids=len)
def test_no_row_is_there_twice(part: dict[str, Any]) -> None:
    lists = [of(name, kind) for name, kind in (*LISTS, ("deepspeed", "releases"))]
    assert any(
        len(rows_of) == len(part) and set(part) <= {next(iter(row.values())) for row in rows_of} for rows_of in lists
    )


# torch.


@pytest.mark.parametrize(("torch", "build"), CUDA_BUILDS)
def test_a_build_has_a_cuda_with_its_driver_and_kernels(torch: str, build: str) -> None:
    cuda = cuda_of(build)
    assert cuda in MINORS
    assert any(minor(release) == cuda for release in RELEASES)
    row = kernels(torch, build, "x86_64")
    assert row is not None
    assert set(row["capabilities"]) <= set(MINORS[cuda]["capabilities"]), "torch has kernels that its CUDA cannot make"
    assert row.get("ptx") in (None, *row["capabilities"])


@pytest.mark.parametrize("row", of("torch", "kernels"), ids=lambda row: f"{row['build']} {row['torch'][0]}")
def test_kernels_are_of_builds_that_there_are(row: dict[str, Any]) -> None:
    assert row["torch"]
    for release in row["torch"]:
        having = [
            torch for torch, other in TORCHES.items() if minor(torch) == release and row["build"] in other["builds"]
        ]
        assert having, release


def test_every_rocm_build_has_kernels() -> None:
    known = {build for row in of("torch", "rocm_kernels") for build in row["builds"]}
    built = {build for row in TORCHES.values() for build in row["builds"] if build.startswith("rocm")}
    assert known == built


@pytest.mark.parametrize("torch", list(TORCHES))
def test_a_torch_has_what_belongs_to_it(torch: str) -> None:
    row = TORCHES[torch]
    assert row["default"] in row["builds"]
    assert "cpu" in row["builds"]
    assert [numbers(python) for python in row["python"]] == sorted(numbers(python) for python in row["python"])
    assert not set(row["python"]) & set(row.get("python_torch_only", ()))
    assert "x86_64" in row["glibc"]
    assert set(row.get("aarch64_without", ())) <= (
        {"torchvision", "torchaudio"} if "aarch64" in row["glibc"] else set()
    )
    pinned = row.get("cuda_release")
    assert pinned is None or (pinned in RELEASES and minor(pinned) == cuda_of(row["default"]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["released"])


def test_vision_and_audio_go_up_with_torch() -> None:
    for older, newer in pairwise(TORCHES.values()):
        assert numbers(older["torchvision"]) < numbers(newer["torchvision"])
        assert numbers(older["torchaudio"]) <= numbers(newer["torchaudio"])
        assert numbers(older["nccl"]) <= numbers(newer["nccl"])


# CUDA and drivers.


@pytest.mark.parametrize("release", list(RELEASES))
def test_a_release_of_cuda_has_its_driver_in_the_name_of_its_runfile_up_to_13_3(release: str) -> None:
    row = RELEASES[release]
    inside = re.fullmatch(rf"cuda_{re.escape(release)}_(?:(\d+\.[\d.]+)_)?linux\.run", row["runfile"])
    assert inside
    assert bool(inside[1]) == (numbers(release) < (13, 4))
    assert minor(release) in MINORS
    # The toolkit's own driver is new enough for what is built with it.
    assert numbers(row["driver"]) >= numbers(least_driver(minor(release)))
    assert row["driver"].split(".")[0] in BRANCHES


def test_newer_cuda_needs_no_older_driver_and_lets_no_older_gcc_pass() -> None:
    floors = [numbers(least_driver(cuda)) for cuda in MINORS]
    assert floors == sorted(floors)
    assert [int(row["gcc"]) for row in MINORS.values()] == sorted(int(row["gcc"]) for row in MINORS.values())


def test_cuda_11_0_has_a_floor_of_its_own() -> None:
    assert [least_driver(cuda) for cuda in ("11.0", "11.1", "11.8", "12.0", "13.2")] == [
        "450.36.06",
        "450.80.02",
        "450.80.02",
        "525.60.13",
        "580.65.06",
    ]


@pytest.mark.parametrize("branch", list(BRANCHES))
def test_a_branch_carries_the_cuda_that_came_with_it(branch: str) -> None:
    came = [minor(release) for release, row in RELEASES.items() if row["driver"].split(".")[0] == branch]
    cuda = BRANCHES[branch]["cuda"]
    # 565 and 620 came without a toolkit of their own.
    assert not came or cuda == max(came, key=numbers)
    assert BRANCHES[branch]["kind"] in ("lts", "production", "feature")


def test_the_default_branch_is_the_last_of_all_that_some_gpu_ends_with() -> None:
    default = rows("drivers")["default"]
    assert BRANCHES[default]["kind"] == "lts"
    assert {row["last_branch"] for row in of("drivers", "architectures")} == {None, "470", default}


def test_every_architecture_has_its_branches_and_its_modules() -> None:
    with_modules = {name for row in of("drivers", "kernel_modules") for name in row["architectures"]}
    with_branches = {row["architecture"] for row in of("drivers", "architectures") if row["capability"] is None}
    known = {row["name"] for row in rows("gpus")["architectures"]}
    assert known == with_branches
    assert known == with_modules - {"Grace Hopper"}
    for row in of("drivers", "architectures"):
        assert row["first_branch"] in (None, *BRANCHES)
        assert row["last_branch"] in (None, *BRANCHES)


@pytest.mark.parametrize("row", rows("gpus")["architectures"], ids=lambda row: row["name"])
def test_the_first_branch_is_that_of_the_cuda_that_brought_the_capability(row: dict[str, Any]) -> None:
    for capability in row["compute_capabilities"]:
        having = [cuda for cuda, other in MINORS.items() if capability in other["capabilities"]]
        limits = [other for other in of("drivers", "architectures") if other["architecture"] == row["name"]]
        own = next((other for other in limits if other["capability"] == capability), limits[0])
        if own["first_branch"] is None or not having or having[0] == next(iter(MINORS)):
            continue
        carried = BRANCHES[own["first_branch"]]["cuda"]
        # A GPU of a system on a chip has drivers of its own; 10.1 was renamed to 11.0.
        if capability not in rows("cuda")["alone"]["capabilities"] and capability != "8.8":
            assert carried == having[0], capability


# DeepSpeed and apex.


def test_every_ref_of_apex_names_a_check_that_is_known() -> None:
    checks = {row["check"] for row in of("apex", "checks")}
    assert {row["check"] for row in APEXES.values()} == checks


def test_switches_of_apex_begin_and_end_with_a_ref_and_want_switches_that_are_known() -> None:
    switches = rows("apex")["contrib"]["switches"]
    names = [row["switch"] for row in switches]
    assert names == sorted(set(names))
    for row in switches:
        assert row["modules"], row
        assert set(row.get("with", ())) <= set(names), row
        assert row.get("gone_from", "") in {"", *APEXES}, row
        assert "from" not in row or numbers("22.03") < numbers(row["from"]) <= numbers("25.09"), row


@pytest.mark.parametrize(
    "deepspeed", [name for name, row in DEEPSPEEDS.items() if "imported" in row or "failed" in row]
)
def test_the_rules_of_deepspeed_agree_with_what_was_tried(deepspeed: str) -> None:
    row = DEEPSPEEDS[deepspeed]
    for torch in row.get("failed", ()):
        assert deepspeed_fault(deepspeed, torch, True), torch
    for torch in row.get("imported", ()):
        fault = deepspeed_fault(deepspeed, torch, True)
        # 0.19.8 could be imported on torch 1.13.1, which its metadata does not allow.
        assert fault is None or (deepspeed, torch) == ("0.19.8", "1.13.1"), torch


def test_lists_of_toolkits_and_of_pydantic_leave_no_release_out() -> None:
    for part in ("toolkits", "pydantic"):
        for deepspeed in DEEPSPEEDS:
            holding = [
                row
                for row in of("deepspeed", part)
                if numbers(deepspeed) >= numbers(row.get("from", "0"))
                and numbers(deepspeed) <= numbers(row.get("to", "999"))
            ]
            assert len(holding) == 1, (part, deepspeed)
    for row in of("deepspeed", "toolkits"):
        assert set(row["minors"]) <= set(MINORS)


def test_every_torch_from_1_8_on_has_one_apex() -> None:
    for torch in TORCHES:
        assert bool(apex_for(torch)) == (numbers(torch) >= (1, 8))
    for older, newer in pairwise(APEXES.values()):
        assert numbers(newer["torch_from"]) <= numbers(older["torch_below"])


# Stacks.


@pytest.mark.parametrize("stack", STACKS, ids=lambda row: row["stack"])
def test_a_stack_is_of_rows_that_there_are_and_breaks_no_rule(stack: dict[str, Any]) -> None:
    row = TORCHES[stack["torch"]]
    assert stack["build"] in row["builds"]
    assert stack["python"] in row["python"]
    assert stack["deepspeed"] in DEEPSPEEDS
    assert deepspeed_fault(stack["deepspeed"], stack["torch"], True) is None
    assert stack["why"] and stack["source"]
    assert stack["stack"].startswith(f"torch-{minor(stack['torch'])}-{stack['build']}")
    assert bool(stack["apex"]) == stack["build"].startswith("cu")
    if stack["apex"]:
        assert stack["apex"] == apex_for(stack["torch"])


@pytest.mark.parametrize("stack", STACKS, ids=lambda row: row["stack"])
def test_a_stack_that_is_asked_for_comes_as_it_is(stack: dict[str, Any]) -> None:
    gpus = {"cpu": "", "roc": "mi210"}.get(stack["build"][:3], "a100")
    found = resolve_stack({"stack": stack["stack"]}, cluster(node(gpus)), "2026-11")
    assert found["conflicts"] == []
    plan = found["plan"]
    assert plan["stack"] == stack["stack"]
    assert (plan["torch"]["version"], plan["torch"]["build"], plan["python"], plan["deepspeed"]) == (
        stack["torch"],
        stack["build"],
        stack["python"],
        stack["deepspeed"],
    )


def test_stacks_are_named_once_and_told_of() -> None:
    page = (Path(__file__).parents[3] / "docs" / "stacks.md").read_text(encoding="utf-8")
    assert len({row["stack"] for row in STACKS}) == len(STACKS)
    assert [row["stack"] for row in STACKS if f"`{row['stack']}`" not in page] == []


def test_gpus_of_the_other_tests_are_those_of_the_table() -> None:
    capabilities = {row["name"]: row["compute_capabilities"] for row in rows("gpus")["architectures"]}
    for name in ("k80", "p100", "v100s", "t4", "a100", "3090", "4090", "h100", "b200", "b300", "5090", "gb10", "rubin"):
        assert gpu(name)["compute_capability"] in capabilities[gpu(name)["architecture"]]


OPS = rows("deepspeed_ops")["ops"]
SPEC = {"op", "switch", "accelerators", "absent_to", "gone_from", "nvcc", "native", "capability_from", "packages"}
SPEC |= {"python_packages", "variables", "asks", "auto", "source", "verified"}
SPEC |= {"run_packages", "run_python_packages", "compatible", "flags"}


@pytest.mark.parametrize("row", OPS, ids=lambda row: row["op"])
def test_an_op_is_of_releases_accelerators_and_packages_that_there_are(row: dict[str, Any]) -> None:
    assert set(row) <= SPEC
    assert re.fullmatch(r"DS_BUILD_[A-Z_]+", row["switch"])
    assert set(row["accelerators"]) <= {"cuda", "rocm", "cpu"}
    assert {row[bound] for bound in ("absent_to", "gone_from") if bound in row} <= set(DEEPSPEEDS)
    needs = {need["need"] for need in rows("build_packages")["needs"]}
    assert {*row.get("packages", ()), *row.get("run_packages", ())} <= needs
    # What is linked at the build is loaded at a run.
    assert set(row.get("packages", ())) <= set(row.get("run_packages", ()))
    # What the CPU alone computes is compiled for the processor that is there.
    assert row.get("native") or row["accelerators"] != ["cpu"]


def test_ops_and_switches_are_there_once() -> None:
    assert len({row["op"] for row in OPS}) == len({row["switch"] for row in OPS}) == len(OPS)


@pytest.mark.parametrize("apex", APEXES)
def test_an_apex_has_a_test_of_nvcc_that_is_known(apex: str) -> None:
    assert APEXES[apex]["check"] in {check["check"] for check in rows("apex")["checks"]}
