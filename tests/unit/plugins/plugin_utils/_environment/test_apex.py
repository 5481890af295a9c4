# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.apex import (
    ApexRequest,
    ApexRequestError,
    build,
    contrib_problems,
    decide,
    due,
    namesake,
    record,
    shortcomings,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

TABLE = rows("apex")
MASTER = "6424da3b4faa6c8f062da4a48c424fff3f02d42d"


def environment(version: str = "2.13.0+cu130", cuda: str | None = "13.0", **other: Any) -> dict[str, Any]:
    torch = {"version": version, "cuda": cuda, "hip": None}
    found = {"exists": True, "prefix": "/env", "python": "3.11.2", "errors": [], "torch": torch, "apex": {}}
    return {**found, "packages": {"torch": version}, **other}


# The torch of each row, and how that generation takes its switches.
GENERATIONS = [
    ("1.13.0+cu117", "11.7", "3.9.1", "22.03", {}, ["--cpp_ext", "--cuda_ext"], "global"),
    ("2.0.1+cu117", "11.7", "3.10.1", "23.05", {}, ["--cpp_ext", "--cuda_ext"], "global"),
    ("2.1.1+cu118", "11.8", "3.8.1", "23.08", {}, ["--cpp_ext", "--cuda_ext"], "command"),
    ("2.6.0+cu124", "12.4", "3.11.1", "25.05", {}, ["--cpp_ext", "--cuda_ext"], "command"),
    ("2.9.1+cu128", "12.8", "3.11.1", "25.09", {"APEX_CPP_EXT": "1", "APEX_CUDA_EXT": "1"}, [], "command"),
    ("2.13.0+cu130", "13.0", "3.11.1", MASTER, {"APEX_CPP_EXT": "1", "APEX_CUDA_EXT": "1"}, [], "command"),
]


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda generation: str(generation[3]))
def test_ref_fits_torch_and_is_built_by_its_own_switches(generation: tuple[Any, ...]) -> None:
    version, cuda, python, ref, switches, options, scope = generation
    found = build(ApexRequest(), environment(version, cuda, python=python), TABLE)
    assert found["problems"] == []
    assert (found["ref"], found["switches"], found["options"], found["scope"]) == (ref, switches, options, scope)
    assert found["nvcc_versions"] == [cuda]
    assert {"apex_C", "amp_C", "fused_layer_norm_cuda"} < set(found["extensions"])
    assert found["substitutions"] == []


BUILDS = [
    (ApexRequest(build="cpp"), {"APEX_CPP_EXT": "1"}, ["apex_C"], []),
    (ApexRequest(build="python"), {}, [], []),
    (ApexRequest(build="python", contrib=["xentropy"]), {"APEX_XENTROPY": "1"}, ["xentropy_cuda"], ["13.0"]),
    (ApexRequest(build="cpp", contrib=["bnp"]), {"APEX_CPP_EXT": "1", "APEX_BNP": "1"}, ["apex_C", "bnp"], ["13.0"]),
]


@pytest.mark.parametrize(("asked", "switches", "extensions", "versions"), BUILDS)
def test_less_is_built_where_less_is_asked_for(
    asked: ApexRequest, switches: dict[str, str], extensions: list[str], versions: list[str]
) -> None:
    found = build(asked, environment(), TABLE)
    assert (found["switches"], found["extensions"], found["nvcc_versions"]) == (switches, extensions, versions)
    assert found["nvcc"]


@pytest.mark.parametrize("row", TABLE["releases"], ids=lambda row: str(row["apex"]))
def test_every_ref_has_a_test_of_nvcc_that_can_be_replaced(row: dict[str, Any]) -> None:
    found = build(
        ApexRequest(ref=str(row["apex"]), allow_cuda_minor_mismatch=True), environment("2.4.0+cu124", "12.4"), TABLE
    )
    [replaced] = found["substitutions"]
    assert replaced["file"] == "setup.py"
    assert "major" in replaced["by"]
    assert "12.6" in found["nvcc_versions"]
    assert found["nvcc_versions"][-1] == "12.4"
    assert not [version for version in found["nvcc_versions"] if not version.startswith("12.")]


# A tag that has no row, and what it is built like.
BETWEEN = [
    ("22.01", "global", ["--cpp_ext"], {}),
    ("22.07-dev", "global", ["--cpp_ext"], {}),
    ("23.06", "global", ["--cpp_ext"], {}),
    ("24.04", "command", ["--cpp_ext"], {}),
    ("24.10", "command", ["--cpp_ext"], {}),
    ("25.08", "command", ["--cpp_ext"], {}),
    ("26.01", "command", [], {"APEX_CPP_EXT": "1"}),
    ("feature/x", "command", [], {"APEX_CPP_EXT": "1"}),
    ("4bdecd0601f0f0c2c0c5d0a3c9c9a6f7f6d2c9a1", "command", [], {"APEX_CPP_EXT": "1"}),
]


@pytest.mark.parametrize(("ref", "scope", "options", "switches"), BETWEEN)
def test_ref_that_has_no_row_is_built_as_the_one_before_it(
    ref: str, scope: str, options: list[str], switches: dict[str, str]
) -> None:
    found = build(ApexRequest(ref=ref, build="cpp"), environment("2.4.0+cu124", "12.4"), TABLE)
    assert (found["problems"], found["remarks"]) == ([], [])
    assert (found["ref"], found["scope"], found["options"], found["switches"]) == (ref, scope, options, switches)


PROBLEMS = [
    (ApexRequest(), environment("2.13.0+cpu", None), "is built for CPUs, and apex is for torch with CUDA"),
    (
        ApexRequest(),
        environment(torch={"version": "2.13.0+rocm7.2", "cuda": None, "hip": "7.2"}),
        "is built for AMD's GPUs, and apex is for torch with CUDA",
    ),
    (ApexRequest(), environment(packages={}, torch={}), "torch is not installed in /env; apex is built for it."),
    (
        ApexRequest(),
        environment(exists=False, errors=["There is no Python environment at /env."], torch={}),
        "There is no Python environment",
    ),
    (
        ApexRequest(),
        environment(torch={}, errors=["torch is of no use in /env: ImportError: x."]),
        "torch is of no use in /env",
    ),
    (
        ApexRequest(),
        environment("2.13.0+cu130", "13.0", python="3.9.1"),
        "it needs python 3.10 or newer, and 3.9.1 is here.",
    ),
    (ApexRequest(), environment("1.7.1+cu110", "11.0"), "No apex is known that fits torch 1.7.1"),
    (ApexRequest(contrib=["xentropi"]), environment(), "apex_contrib has 'xentropi', which is no switch of apex"),
]


@pytest.mark.parametrize(("asked", "where", "words"), PROBLEMS)
def test_what_stands_against_a_build_is_told(asked: ApexRequest, where: dict[str, Any], words: str) -> None:
    assert words in " ".join(build(asked, where, TABLE)["problems"])


def test_submodules_come_where_a_switch_needs_them() -> None:
    assert not build(ApexRequest(contrib=["xentropy"]), environment(), TABLE)["submodules"]
    assert build(ApexRequest(contrib=["fused_conv_bias_relu"]), environment(), TABLE)["submodules"]


CONTRIB = [
    (["xentropi", "bnp"], "25.09", "apex_contrib has 'xentropi', which is no switch of apex; there are xentropy."),
    (["fmha"], "25.08", ""),
    (
        ["fmha"],
        MASTER,
        f"apex has no fmha any more, and {MASTER} is built here; take it out of apex_contrib, or correct apex_ref.",
    ),
    (
        ["focal_loss"],
        "22.03",
        "apex has focal_loss from 23.05 on, and 22.03 is built here; take it out of apex_contrib, or correct apex_ref.",
    ),
    (["group_norm"], "23.07", "apex has group_norm from 23.08 on"),
    (["group_norm"], "23.08", ""),
    (["cudnn_gbn"], "25.09", "cudnn_gbn in apex_contrib imports what peer_memory compiles; add that."),
    (["cudnn_gbn", "peer_memory"], "25.09", ""),
    (["fast_bottleneck"], "25.09", "fast_bottleneck in apex_contrib imports what nccl_p2p and peer_memory compiles"),
    (["fast_bottleneck"], "22.03", ""),
]


@pytest.mark.parametrize(("names", "ref", "words"), CONTRIB)
def test_switch_that_a_ref_does_not_have_or_that_wants_another_is_a_sentence(
    names: list[str], ref: str, words: str
) -> None:
    found = contrib_problems(names, ref, TABLE["contrib"]["switches"])
    assert len(found) == bool(words)
    assert words in " ".join(found)


ERAS = [
    (
        "25.09",
        "2.0.1+cu117",
        "is for a different torch than 2.0.1, which goes with apex 23.05, and has no apex.amp",
    ),
    (
        "23.05",
        "2.1.1+cu118",
        "is for a different torch than 2.1.1, which goes with apex 23.08; it is built anyway.",
    ),
    ("25.09", "2.9.1+cu128", ""),
    ("25.09", "1.7.1+cu110", ""),
    ("feature/x", "2.0.1+cu117", ""),
    ("", "2.0.1+cu117", ""),
]


@pytest.mark.parametrize(("ref", "torch", "words"), ERAS)
def test_ref_made_for_another_torch_is_built_with_a_warning(ref: str, torch: str, words: str) -> None:
    found = build(ApexRequest(ref=ref), environment(torch, "11.8"), TABLE)
    assert len(found["remarks"]) == bool(words)
    assert words in " ".join(found["remarks"])


def test_every_extension_that_is_missing_or_broken_is_named() -> None:
    there = {"amp_C": None, "apex_C": "ImportError: undefined symbol: x"}
    found = shortcomings(environment(apex={"version": "0.1", "extensions": there}), ["apex_C", "amp_C", "syncbn"])
    assert [sentence.split(" of apex")[0] for sentence in found] == ["The extension syncbn", "The extension apex_C"]
    assert "does not import (ImportError: undefined symbol: x). It was built for another torch or CUDA" in found[1]
    assert shortcomings(environment(apex={"version": "0.1", "extensions": {"amp_C": None}}), ["amp_C"]) == []


def test_apex_that_does_not_import_at_all_is_told() -> None:
    where = environment(errors=["apex is not installed in /env.", "deepspeed is not installed in /env."])
    assert shortcomings(where, ["amp_C"]) == ["apex is not installed in /env."]


@pytest.mark.parametrize(
    ("version", "other"), [("0.9.8.dev0", True), ("0.9.10.dev0", True), ("0.1", False), ("", False)]
)
def test_package_that_has_only_the_name_is_told_from_nvidias(version: str, other: bool) -> None:
    assert bool(namesake(version, TABLE)) is other


def test_package_that_has_only_the_name_is_told_beside_the_build() -> None:
    packages = {"torch": "2.13.0+cu130", "apex": "0.9.10.dev0"}
    [found] = build(ApexRequest(), environment(packages=packages), TABLE)["remarks"]
    assert found.startswith("The package apex 0.9.10.dev0 that is installed here is a toolkit for web sites")


def ready(**other: Any) -> dict[str, Any]:
    return environment(records={}, **other)


def test_nothing_is_due_where_the_same_was_proved_with_the_same_versions() -> None:
    request = ApexRequest(source="git+https://host/apex", ref="25.09", architectures=["8.0"])
    proved = {**record(request, ready()), "found": {"torch": "2.13.0+cu130"}}
    assert not due(request, {**ready(), "records": {"apex": proved}})
    assert due(request, ready())
    assert due(ApexRequest(source="git+https://host/apex", ref="25.05"), {**ready(), "records": {"apex": proved}})
    other = {"torch": "2.12.0+cu130"}
    assert due(request, {**ready(), "packages": other, "records": {"apex": proved}})


def test_a_build_is_described_as_wheel_build_takes_it() -> None:
    decided = decide(ApexRequest(source="git+https://host/apex", ref="25.09"), ready(), TABLE)
    assert (decided["build"]["source"], decided["build"]["nvcc_versions"]) == ("git+https://host/apex@25.09", ["13.0"])
    assert (decided["build"]["needs"], decided["package"]) == (["compiler", "headers"], "apex==0.1")
    assert (decided["copied"], decided["reinstall"]) == ("", False)


# The wheel, whether it is on the node, and what is copied to it.
GIVEN_WHEELS = [
    ("/home/ann/apex-0.1-py3-none-any.whl", False, "/home/ann/apex-0.1-py3-none-any.whl"),
    ("/srv/apex-0.1-py3-none-any.whl", True, ""),
    ("https://mirror.example/apex-0.1-py3-none-any.whl", False, ""),
]


@pytest.mark.parametrize(("wheel", "on_node", "copied"), GIVEN_WHEELS)
def test_with_a_wheel_nothing_is_built(wheel: str, on_node: bool, copied: str) -> None:
    decided = decide(ApexRequest(wheel=wheel, wheel_on_node=on_node), ready(), TABLE)
    assert (decided["build"], decided["copied"], decided["package"]) == ({}, copied, wheel)
    assert decided["record"]["asked"] == wheel


def test_all_that_prevents_a_build_is_one_message() -> None:
    with pytest.raises(ApexRequestError, match=r"is built for CPUs.* apex_contrib has 'xentropi'"):
        decide(ApexRequest(contrib=["xentropi"]), ready(version="2.13.0+cpu", cuda=None), TABLE)


def test_check_mode_passes_over_what_earlier_roles_have_not_installed_yet() -> None:
    virgin = environment(exists=False, errors=["There is no Python environment at /env."], torch={}, packages={})
    assert decide(ApexRequest(), {**virgin, "records": {}, "python": ""}, TABLE, check=True)["build"]
    with pytest.raises(ApexRequestError, match="'xentropi'"):
        decide(ApexRequest(ref="25.09", contrib=["xentropi"]), {**virgin, "records": {}}, TABLE, check=True)
