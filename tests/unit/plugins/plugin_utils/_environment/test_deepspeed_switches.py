# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_switches import (
    SwitchError,
    build_problems,
    problems,
    switches,
)

SWITCHES = [
    ({"DS_BUILD_SHM_COMM": 1}, {"DS_BUILD_SHM_COMM": "1"}),
    ({"DS_BUILD_OPS": True, "DS_BUILD_AIO": "0"}, {"DS_BUILD_OPS": "1", "DS_BUILD_AIO": "0"}),
    ({}, {}),
]


@pytest.mark.parametrize(("wish", "variables"), SWITCHES)
def test_switches_become_variables_of_a_build(wish: dict[str, Any], variables: dict[str, str]) -> None:
    assert switches(wish) == variables


BAD_SWITCHES = [
    ({"CUDA_HOME": "/usr/local/cuda"}, "'CUDA_HOME'"),
    ({"ds_build_ops": 1}, "'ds_build_ops'"),
    ({"DS_BUILD_OPS": "maybe"}, "DS_BUILD_OPS in deepspeed_build is 'maybe'"),
    ({"DS_BUILD_STRING": "+site"}, "DS_BUILD_STRING"),
    ({"DS_BUILD_OPS": 2}, "is 2"),
]


@pytest.mark.parametrize(("wish", "words"), BAD_SWITCHES)
def test_what_is_no_switch_is_refused_by_name(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(SwitchError) as caught:
        switches(wish)
    assert words in str(caught.value)


def _op(switch: str, installed: bool = False, compatible: bool = True, remarks: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"switch": switch, "installed": installed, "compatible": compatible, "remarks": list(remarks)}


def _environment(
    *, installed: tuple[str, ...] = (), built_with: str = "2.13", cuda: str | None = None
) -> dict[str, Any]:
    ops = {
        "deepspeed_not_implemented": _op("DS_BUILD_NOT_IMPLEMENTED"),
        "async_io": _op("DS_BUILD_AIO", compatible=False, remarks=("please install the libaio-dev package with apt",)),
        "deepspeed_shm_comm": _op("DS_BUILD_SHM_COMM"),
        "cpu_adam": _op("DS_BUILD_CPU_ADAM"),
    }
    for name in installed:
        ops[name]["installed"] = True
    return {
        "exists": True,
        "prefix": "/env",
        "packages": {"torch": "2.13.0+cpu"},
        "torch": {"version": "2.13.0+cpu", "cuda": cuda},
        "deepspeed": {
            "version": "0.19.8",
            "installed_ops": list(installed),
            "built_with": {"version": built_with, "cuda_version": "0.0"},
            "ops": ops,
        },
        "errors": [],
    }


RIGHT = [
    (_environment(), {}),
    (_environment(built_with="0.0"), {}),
    (_environment(installed=("deepspeed_shm_comm",)), {}),
    (_environment(installed=("deepspeed_shm_comm",)), {"DS_BUILD_SHM_COMM": "1"}),
    (_environment(installed=("deepspeed_shm_comm",)), {"DS_BUILD_SHM_COMM": "1", "DS_BUILD_AIO": "0"}),
    (_environment(installed=("deepspeed_shm_comm", "cpu_adam")), {"DS_BUILD_OPS": "1"}),
    (_environment(installed=("deepspeed_shm_comm",)), {"DS_BUILD_OPS": "1", "DS_BUILD_CPU_ADAM": "0"}),
]


@pytest.mark.parametrize(("environment", "given"), RIGHT)
def test_right_deepspeed_has_no_problem(environment: dict[str, Any], given: dict[str, str]) -> None:
    assert list(problems(environment, "0.19.8", given)) == []


AIO = {"DS_BUILD_AIO": "1"}


def _loading(name: str, reason: str | None, *, compatible: bool = True) -> dict[str, Any]:
    """An environment with an op built in, and what loading it says."""
    environment = _environment(installed=(name,))
    environment["deepspeed"]["loads"] = {name: reason}
    environment["deepspeed"]["ops"][name]["compatible"] = compatible
    return environment


UNDEFINED = "ImportError: async_io_op.so: undefined symbol: io_submit"
MISSING = "ImportError: libaio.so.1: cannot open shared object file: No such file or directory"
ALONE = "RuntimeError: pin_memory is not built in, so DeepSpeed would compile it at a run"

LOADS: list[tuple[dict[str, Any], dict[str, str], list[str]]] = [
    (_loading("async_io", None), AIO, []),
    (_loading("async_io", UNDEFINED), AIO, [
        "The op async_io is built into DeepSpeed 0.19.8 in /env and cannot be loaded: ImportError: async_io_op.so: "
        "undefined symbol: io_submit. It was built for another torch, or without a library that it needs. Build it"]),
    (_loading("async_io", MISSING), AIO, [
        "Install the package with libaio.so.1 on this node, or leave the op out (deepspeed_ops: {async_io: false})."]),
    (_loading("async_io", ALONE), AIO, ["(deepspeed_ops: {async_io: true, pin_memory: true})"]),
    (_loading("async_io", "it ended the interpreter with signal 4"), AIO, ["another processor"]),
    (_loading("async_io", UNDEFINED), {"DS_BUILD_OPS": "1", "DS_BUILD_CPU_ADAM": "0", "DS_BUILD_SHM_COMM": "0"},
     ["undefined symbol"]),
    # Nobody asked for it, and no run uses it by itself.
    (_loading("async_io", UNDEFINED), {}, []),
    (_loading("async_io", UNDEFINED), {"DS_BUILD_AIO": "0", "DS_BUILD_OPS": "0"}, []),
    # Every run on CPUs uses this one.
    (_loading("deepspeed_shm_comm", UNDEFINED), {}, ["deepspeed_shm_comm is built into"]),
    # DeepSpeed asks the second column of ds_report before it uses the op.
    (_loading("async_io", None, compatible=False), AIO, ["not compatible: please install the libaio-dev package"]),
    (_loading("cpu_adam", None, compatible=False), {"DS_BUILD_CPU_ADAM": "1"}, []),
    # Not loadable and not compatible: one reason is enough.
    (_loading("async_io", MISSING, compatible=False), AIO, ["cannot be loaded"]),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "given", "words"), LOADS)
def test_op_is_proved_by_loading_it(environment: dict[str, Any], given: dict[str, str], words: list[str]) -> None:
    found = list(problems(environment, "0.19.8", given, ["DS_BUILD_AIO"]))
    assert len(found) == len(words), found
    assert all(word in sentence for word, sentence in zip(words, found, strict=True)), found


def test_op_of_another_torch_is_one_sentence() -> None:
    environment = _loading("async_io", "RuntimeError: PyTorch version mismatch!")
    environment["deepspeed"]["built_with"] = {"version": "2.12"}
    [found] = problems(environment, "0.19.8", AIO)
    assert "were built with torch 2.12" in found


WRONG = [
    (_environment(), "0.19.8", {"DS_BUILD_AIO": "1"}, ["async_io", "DS_BUILD_AIO", "libaio-dev"]),
    (_environment(), "0.19.8", {"DS_BUILD_SHM_COMM": "1"}, ["deepspeed_shm_comm", "installed without this switch"]),
    (_environment(), "0.19.8", {"DS_BUILD_SHMCOMM": "1"}, ["DS_BUILD_SHMCOMM builds no op", "DS_BUILD_SHM_COMM"]),
    (_environment(), "0.19.8", {"DS_BUILD_OPS": "1"}, ["lacks cpu_adam, deepspeed_shm_comm"]),
    (_environment(), "0.16.9", {}, ["DeepSpeed 0.19.8 in /env is not the version 0.16.9"]),
    (_environment(installed=("cpu_adam",), built_with="2.12"), "0.19.8", {}, ["built with torch 2.12", "now 2.13"]),
    ({**_environment(), "deepspeed": {}, "errors": ["deepspeed is of no use in /env: ImportError: torch."]},
     "0.19.8", {}, ["ImportError: torch"]),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "version", "given", "words"), WRONG)
def test_wrong_deepspeed_is_a_sentence_that_names_op_and_reason(
    environment: dict[str, Any], version: str, given: dict[str, str], words: list[str]
) -> None:
    text = "\n".join(problems(environment, version, given))
    assert [word for word in words if word not in text] == []


OBSTACLES: list[tuple[dict[str, Any], dict[str, str], dict[str, str], str]] = [
    ({**_environment(), "packages": {}, "torch": {}}, {}, {}, "Run the role torch first"),
    ({"exists": False, "prefix": "/env", "errors": ["There is no Python environment at /env."]}, {}, {}, "no Python"),
    (
        {**_environment(), "torch": {}, "errors": ["torch is of no use in /env: ImportError: libgomp."]},
        {},
        {},
        "libgomp",
    ),
    (_environment(cuda="13.0"), {"DS_BUILD_FUSED_ADAM": "1"}, {}, "deepspeed_architectures: ['8.0', '9.0']"),
]


@pytest.mark.parametrize(("environment", "given", "variables", "words"), OBSTACLES)
def test_obstacle_is_named_before_anything_is_built(
    environment: dict[str, Any], given: dict[str, str], variables: dict[str, str], words: str
) -> None:
    assert words in "\n".join(build_problems(environment, given, variables))


CLEAR = [
    (_environment(), {"DS_BUILD_SHM_COMM": "1"}, {}),
    (_environment(cuda="13.0"), {}, {}),
    (_environment(cuda="13.0"), {"DS_BUILD_FUSED_ADAM": "1"}, {"TORCH_CUDA_ARCH_LIST": "8.0"}),
    (_environment(cuda="12.8"), {"DS_BUILD_FUSED_ADAM": "1"}, {}),
]


@pytest.mark.parametrize(("environment", "given", "variables"), CLEAR)
def test_environment_that_is_ready_has_no_obstacle(
    environment: dict[str, Any], given: dict[str, str], variables: dict[str, str]
) -> None:
    assert build_problems(environment, given, variables) == []
