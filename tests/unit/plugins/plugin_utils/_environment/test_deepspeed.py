# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed import (
    DeepSpeedRequest,
    DeepSpeedRequestError,
    decide,
    due,
    record,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import SwitchError
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

TABLES = {"ops": rows("deepspeed_ops"), "packages": rows("build_packages")}
DEBIAN = {"os_family": "Debian", "distribution_major_version": "12"}


def environment(cuda: str | None = None, **other: Any) -> dict[str, Any]:
    version = f"2.13.0+cu{cuda.replace('.', '')}" if cuda else "2.13.0+cpu"
    found = {
        "exists": True, "prefix": "/env", "python": "3.11.2", "headers": False, "errors": [], "records": {},
        "packages": {"torch": version}, "torch": {"version": version, "cuda": cuda, "hip": None}, "deepspeed": {},
    }  # fmt: skip
    return {**found, **other}


VIRGIN = environment(exists=False, python="", packages={}, torch={}, errors=["There is no Python environment at /env."])


def asked(**options: Any) -> DeepSpeedRequest:
    return DeepSpeedRequest(**{"prefix": "/env", "version": "0.19.8", **options})


def decided(request: DeepSpeedRequest, where: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return decide(request, where or environment(), DEBIAN, TABLES, **options)


def test_nothing_is_due_where_the_same_was_proved_with_the_same_versions() -> None:
    proved = {**record(asked(), environment()), "found": {"torch": "2.13.0+cpu"}}
    assert not due(asked(), environment(records={"deepspeed": proved}))
    assert due(asked(), environment())
    assert due(asked(version="0.16.9"), environment(records={"deepspeed": proved}))
    assert due(asked(), environment(records={"deepspeed": proved}, packages={"torch": "2.12.0+cpu"}))


def test_architectures_are_recorded_only_where_they_decide_something() -> None:
    assert record(asked(architectures=["8.0"]), environment())["architectures"] == []
    assert record(asked(architectures=["8.0"], ops={"fused_adam": True}), environment())["architectures"] == ["8.0"]


# What is asked for, what is installed where nothing is built, and what is copied.
PACKAGES = [
    ({}, "deepspeed==0.19.8", ""),
    ({"wheel": "/home/ann/deepspeed-1-py3-none-any.whl"}, "/env/.fromzero/wheels/deepspeed-1-py3-none-any.whl",
     "/home/ann/deepspeed-1-py3-none-any.whl"),
    ({"wheel": "/srv/d-1-py3-none-any.whl", "wheel_on_node": True}, "/srv/d-1-py3-none-any.whl", ""),
    ({"wheel": "https://mirror.example/d-1-py3-none-any.whl"}, "https://mirror.example/d-1-py3-none-any.whl", ""),
]  # fmt: skip


@pytest.mark.parametrize(("options", "package", "copied"), PACKAGES)
def test_what_is_installed_and_what_is_copied(options: dict[str, Any], package: str, copied: str) -> None:
    found = decided(asked(**options))
    assert (found["package"], found["copied"], found["record"]["asked"]) == (package, copied, package)
    assert found["build"] == {}
    assert found["version"] == ("" if "wheel" in options else "0.19.8")


def test_an_op_makes_a_build_of_what_wheel_build_takes() -> None:
    request = asked(ops={"fused_adam": True}, architectures=["8.0"], variables={"CXX": "g++-12"})
    found = decided(request, environment("13.0"))
    assert found["build"] == {
        "source": "deepspeed==0.19.8",
        "environment": {"DS_ENABLE_NINJA": "1", "CXX": "g++-12", "DS_BUILD_FUSED_ADAM": "1"},
        "cuda_home": "auto",
        "nvcc": True,
        "nvcc_versions": ["13.0"],
        "architectures": ["8.0"],
        "native": False,
        "needs": ["compiler", "headers", "ninja"],
        "requirements": ["psutil", "py-cpuinfo"],
    }


# Options, whether a wheel is built, and a part of its environment.
BUILDS = [
    ({"ops": {"cpu_adam": False}}, False, {}),
    ({"ops": {"cpu_adam": True}, "accelerator": "cpu"}, True, {"DS_ACCELERATOR": "cpu", "DS_BUILD_CPU_ADAM": "1"}),
    ({"switches": {"DS_BUILD_SHM_COMM": 1}}, True, {"DS_BUILD_SHM_COMM": "1"}),
    ({"source": "git+https://host/DeepSpeed@main"}, True, {"DS_ENABLE_NINJA": "1"}),
    ({"ops": {"cpu_adam": True}, "find_links": ["/srv/wheels"]}, False, {}),
    ({"ops": {"cpu_adam": True}, "wheel": "/srv/deepspeed.whl"}, False, {}),
]


@pytest.mark.parametrize(("options", "built", "variables"), BUILDS)
def test_a_wheel_is_built_only_where_something_is_compiled(
    options: dict[str, Any], built: bool, variables: dict[str, str]
) -> None:
    build = decided(asked(**options))["build"]
    assert bool(build) is built
    assert variables.items() <= build.get("environment", {}).items()


def test_nvcc_may_be_any_where_nobody_compares_it() -> None:
    request = {"ops": {"fused_adam": True}, "architectures": ["8.0"]}
    unbound = {"variables": {"DS_SKIP_CUDA_CHECK": "1"}}
    assert decided(asked(**request), environment("12.8"))["build"]["nvcc_versions"] != []
    assert decided(asked(**request, **unbound), environment("12.8"))["build"]["nvcc_versions"] == []
    assert decided(asked(**request, source="/src"), environment("12.8"))["build"]["nvcc_versions"] == []


def test_it_is_installed_again_only_where_the_installed_one_differs() -> None:
    ops = {"cpu_adam": {"switch": "DS_BUILD_CPU_ADAM", "installed": False, "compatible": True, "remarks": []}}
    deepspeed = {"version": "0.19.8", "installed_ops": [], "built_with": {}, "ops": ops}
    where = environment(packages={"torch": "2.13.0+cpu", "deepspeed": "0.19.8"}, deepspeed=deepspeed)
    assert not decided(asked(), where)["reinstall"]
    assert decided(asked(ops={"cpu_adam": True}), where)["reinstall"]
    assert decided(asked(source="/src"), where)["reinstall"]
    assert not decided(asked(source="/src"))["reinstall"]


def test_packages_of_the_system_are_named_only_where_they_can_be_installed() -> None:
    ops = {"ops": {"async_io": True}, "accelerator": "cpu"}
    found = decided(asked(**ops))
    assert found["run_packages"] == ["g++", "make", "libaio-dev"]
    assert found["compile_packages"] == ["g++", "make", "python3.11-dev", "ninja-build"]
    assert list(found["headers_advice"]) == ["python3.11-dev"]
    assert decided(asked(**ops, compiler="never"))["run_packages"] == ["libaio-dev"]
    without = decided(asked(**ops, system=False))
    assert (without["run_packages"], without["compile_packages"]) == ([], [])


def test_ops_that_auto_leaves_out_are_sentences() -> None:
    found = decided(asked(ops={"fused_lamb": "auto"}))
    assert found["left_out"] == ["fused_lamb is left out: it is for cuda and rocm, and the nodes compute on cpu."]


def test_all_that_prevents_an_installation_is_one_message() -> None:
    with pytest.raises(DeepSpeedRequestError, match=r"'fused_adm' in deepspeed_ops .* Run the role torch first\."):
        decided(asked(ops={"fused_adm": True}), environment(packages={}, torch={}))
    with pytest.raises(SwitchError, match="'CUDA_HOME'"):
        due(asked(switches={"CUDA_HOME": "/x"}), environment())


def test_check_mode_passes_over_what_earlier_roles_have_not_installed_yet() -> None:
    assert decided(asked(ops={"fused_adam": True}), VIRGIN, check=True)["build"]
    with pytest.raises(DeepSpeedRequestError, match="'fused_adm' in deepspeed_ops"):
        decided(asked(ops={"fused_adm": True}), VIRGIN, check=True)
