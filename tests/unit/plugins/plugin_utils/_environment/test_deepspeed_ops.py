# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.deepspeed_ops import Circumstances, choose
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

ROWS = rows("deepspeed_ops")["ops"]
CUDA = Circumstances("0.19.8", "cuda", ["7.0", "8.0"])
CPU = Circumstances("0.19.8", "cpu")
V100 = Circumstances("0.19.8", "cuda", ["7.0"])
USER = Circumstances("0.19.8", "cuda", ["8.0"], system=False)


def chosen(wish, where=CUDA, switches=None):
    return choose(wish, switches or {}, where, ROWS)


SWITCHES = [
    # the issue's own example
    (
        {"fused_adam": True, "sparse_attn": False, "async_io": "auto"},
        CUDA,
        {"DS_BUILD_FUSED_ADAM": "1", "DS_BUILD_SPARSE_ATTN": "0", "DS_BUILD_AIO": "1"},
    ),
    ({"fused_adam": "yes", "cpu_adam": "False"}, CUDA, {"DS_BUILD_FUSED_ADAM": "1", "DS_BUILD_CPU_ADAM": "0"}),
    ({"deepspeed_shm_comm": True}, CPU, {"DS_BUILD_SHM_COMM": "1"}),
    ({"fused_lamb": "auto"}, CPU, {}),
    ({"fp_quantizer": "auto", "quantizer": "auto"}, V100, {"DS_BUILD_QUANTIZER": "1"}),
    ({"async_io": "auto"}, USER, {}),
    ({"async_io": True}, USER, {"DS_BUILD_AIO": "1"}),
    ({}, CUDA, {}),
]


@pytest.mark.parametrize(("wish", "where", "switches"), SWITCHES)
def test_ops_become_switches(wish, where, switches):
    found = chosen(wish, where)
    assert found["switches"] == switches
    assert found["problems"] == []


PROBLEMS = [
    ({"sparse_attn": True}, CUDA, "The op sparse_attn cannot be built: DeepSpeed 0.19.8 does not have it any more."),
    ({"fp_quantizer": True}, Circumstances("0.12.6", "cuda"), "DeepSpeed 0.12.6 does not have it yet"),
    (
        {"fp_quantizer": True},
        V100,
        "it needs GPUs of compute capability 8.0 or newer, and the newest of the nodes is 7.0",
    ),
    ({"deepspeed_shm_comm": True}, CUDA, "it is for cpu, and the nodes compute on cuda"),
    ({"gds": True}, Circumstances("0.19.8", "rocm"), "it is for cuda, and the nodes compute on rocm"),
    ({"deepspeed_ccl_comm": True}, CPU, "it needs the variable CCL_ROOT (deepspeed_build_environment)"),
    ({"fused_adm": True}, CUDA, "'fused_adm' in deepspeed_ops is no op of DeepSpeed; there are fused_adam"),
    ({"fused_adam": "maybe"}, CUDA, "fused_adam in deepspeed_ops is 'maybe'; write true, false or auto."),
    ({"all": True}, CUDA, "all in deepspeed_ops cannot be true"),
]


@pytest.mark.parametrize(("wish", "where", "sentence"), PROBLEMS)
def test_what_cannot_be_had_is_a_sentence(wish, where, sentence):
    assert sentence in " ".join(chosen(wish, where)["problems"])


def test_all_problems_are_told_at_once():
    assert len(chosen({"sparse_attn": True, "deepspeed_shm_comm": True, "x": True})["problems"]) == 3


def test_contradiction_between_both_ways_to_wish_is_a_sentence():
    found = chosen({"cpu_adam": True}, CUDA, {"DS_BUILD_CPU_ADAM": "0"})
    assert found["problems"] == [
        "deepspeed_ops says true of cpu_adam, and deepspeed_build says 0 of DS_BUILD_CPU_ADAM; keep one of them."
    ]
    assert chosen({"cpu_adam": True}, CUDA, {"DS_BUILD_CPU_ADAM": "1"})["problems"] == []


def test_all_by_auto_builds_what_can_be_and_tells_of_the_rest():
    found = chosen({"all": "auto", "random_ltd": False}, V100)
    on = {switch for switch, value in found["switches"].items() if value == "1"}
    assert {"DS_BUILD_FUSED_ADAM", "DS_BUILD_CPU_ADAM", "DS_BUILD_AIO", "DS_BUILD_TRANSFORMER"} < on
    assert found["switches"]["DS_BUILD_RANDOM_LTD"] == "0"
    # On a V100 these fail the whole build where they are asked for.
    assert {"fp_quantizer", "cutlass_ops", "ragged_device_ops", "evoformer_attn"} < set(found["left_out"])
    assert "8.0 or newer" in found["left_out"]["fp_quantizer"]


def test_switches_that_are_given_stay():
    found = chosen({"all": "auto"}, CUDA, {"DS_BUILD_AIO": "0", "DS_BUILD_OPS": "0"})
    assert found["switches"]["DS_BUILD_AIO"] == "0"
    assert found["switches"]["DS_BUILD_OPS"] == "0"


NEEDS = [
    ({"async_io": True}, CUDA, {"packages": ["libaio"], "native": True, "nvcc": False}),
    # The library on every node, pin_memory, which it loads first, and -laio, which the build for CPUs forgets.
    (
        {"async_io": True},
        CPU,
        {
            "run_packages": ["compiler", "libaio"],
            "compatible": ["DS_BUILD_AIO"],
            "variables": {"DS_BUILD_PIN_MEMORY": "1"},
            "flags": {"LDFLAGS": "-Wl,--no-as-needed -laio"},
        },
    ),
    (
        {"async_io": True},
        Circumstances("0.19.8", "cpu", variables={"LDFLAGS": "-L/srv/lib", "DS_BUILD_PIN_MEMORY": "0"}),
        {"variables": {}, "flags": {"LDFLAGS": "-L/srv/lib -Wl,--no-as-needed -laio"}},
    ),
    ({"async_io": False}, CPU, {"run_packages": [], "flags": {}, "compatible": []}),
    ({"cpu_adam": True}, CPU, {"run_packages": [], "run_python_packages": [], "flags": {}}),
    ({"cutlass_ops": True}, CUDA, {"run_python_packages": ["deepspeed-kernels"]}),
    ({"evoformer_attn": True}, CUDA, {"run_python_packages": []}),
    ({"fused_adam": True}, CUDA, {"packages": [], "native": False, "nvcc": True}),
    ({"fused_adam": True}, CPU, {"nvcc": False, "native": True}),
    ({"cpu_adam": True}, CUDA, {"native": True, "nvcc": False}),
    ({"cutlass_ops": True, "ragged_device_ops": True}, CUDA, {"python_packages": ["deepspeed-kernels"]}),
    (
        {"evoformer_attn": True},
        CUDA,
        {"python_packages": ["nvidia-cutlass"], "variables": {"CUTLASS_PATH": "DS_USE_CUTLASS_PYTHON_BINDINGS"}},
    ),
    (
        {"evoformer_attn": True},
        Circumstances("0.19.8", "cuda", ["8.0"], variables={"CUTLASS_PATH": "/srv/cutlass"}),
        {"python_packages": [], "variables": {}},
    ),
]


@pytest.mark.parametrize(("wish", "where", "needs"), NEEDS)
def test_needs_of_the_ops_are_known(wish, where, needs):
    found = chosen(wish, where)
    assert {name: found[name] for name in needs} == needs


def test_switch_by_deepspeeds_own_name_has_the_needs_of_its_op():
    assert chosen({}, CUDA, {"DS_BUILD_AIO": "1"})["packages"] == ["libaio"]
