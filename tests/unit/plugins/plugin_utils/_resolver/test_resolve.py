# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wishes and nodes that have a plan: what it is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import cluster, fixed, node

MONTH = "2026-11"


def parts(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan by the short names that the tables below use."""
    drivers = {name: entry["driver"] for name, entry in plan["nodes"].items()}
    return {
        "stack": plan["stack"],
        "on": plan["accelerator"],
        "python": plan["python"],
        "torch": f"{plan['torch']['version']}+{plan['torch']['build']}",
        "vision": plan["torch"]["torchvision"],
        "cuda": (plan["cuda"] or {}).get("version"),
        "release": (plan["cuda"] or {}).get("release"),
        "compile": (plan["cuda"] or {}).get("architectures"),
        "deepspeed": plan["deepspeed"],
        "apex": (plan["apex"] or {}).get("ref"),
        "switches": (plan["apex"] or {}).get("switches"),
        "nccl": plan["nccl"],
        "least": (plan["driver"] or {}).get("least"),
        "branch": (plan["driver"] or {}).get("branch"),
        "architectures": plan["architectures"],
        "actions": [driver["action"] for driver in drivers.values()],
        "then": [driver["then"] for driver in drivers.values()],
        "flavours": [driver["flavour"] for driver in drivers.values()],
    }


# (name, wishes, nodes, parts of the plan)
PLANS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # What auto takes.
    (
        "cpu",
        {"accelerator": "cpu"},
        cluster(node(), node()),
        {
            "stack": "torch-2.13-cpu",
            "python": "3.11",
            "torch": "2.13.0+cpu",
            "deepspeed": "0.19.8",
            "cuda": None,
            "apex": None,
            "actions": ["none", "none"],
        },
    ),
    (
        "cpu although there are GPUs",
        {"accelerator": "cpu"},
        cluster(node("a100", "535.54.03")),
        {"stack": "torch-2.13-cpu", "least": None, "actions": ["none"]},
    ),
    (
        "new GPUs without a driver",
        {},
        cluster(node("h100 h100")),
        {
            "stack": "torch-2.13-cu130",
            "python": "3.11",
            "torch": "2.13.0+cu130",
            "vision": "0.28.0",
            "cuda": "13.0",
            "release": "13.0.3",
            "deepspeed": "0.19.8",
            "least": "580.65.06",
            "branch": "580",
            "actions": ["install"],
            "then": ["580"],
            "flavours": ["open"],
        },
    ),
    ("Turing is the oldest for CUDA 13", {}, cluster(node("t4")), {"stack": "torch-2.13-cu130", "flavours": ["open"]}),
    ("Volta", {}, cluster(node("v100")), {"stack": "torch-2.13-cu126", "flavours": ["proprietary"], "then": ["580"]}),
    ("Pascal", {}, cluster(node("p100")), {"stack": "torch-2.13-cu126", "flavours": ["proprietary"]}),
    ("Pascal of the desk", {}, cluster(node("1080")), {"stack": "torch-2.13-cu126", "architectures": ["6.1"]}),
    ("Maxwell", {}, cluster(node("m40")), {"stack": "torch-2.13-cu126", "then": ["580"]}),
    (
        "Kepler",
        {},
        cluster(node("k80")),
        {"stack": "torch-2.0-cu117", "then": ["470"], "branch": "470", "flavours": ["proprietary"]},
    ),
    ("Blackwell", {}, cluster(node("b200")), {"stack": "torch-2.13-cu130", "flavours": ["open"]}),
    ("Blackwell of the desk", {}, cluster(node("5090")), {"stack": "torch-2.13-cu130", "compile": ["12.0"]}),
    (
        "Rubin needs a branch after the default",
        {},
        cluster(node("rubin")),
        {"then": ["615"], "branch": "615", "flavours": ["open"]},
    ),
    (
        "MI210",
        {},
        cluster(node("mi210")),
        {"on": "rocm", "stack": "torch-2.13-rocm7.2", "architectures": ["gfx90a"], "actions": ["none"]},
    ),
    (
        "MI100 beside MI300X",
        {},
        cluster(node("mi100"), node("mi300x")),
        {"stack": "torch-2.13-rocm7.2", "architectures": ["gfx908", "gfx942"]},
    ),
    (
        "graphics inside a processor are no GPU",
        {},
        cluster(node("ryzen a100")),
        {"on": "cuda", "stack": "torch-2.13-cu130"},
    ),
    # Mixed clusters.
    (
        "A100 beside V100S",
        {},
        cluster(node("a100 a100"), node("v100s v100s")),
        {
            "stack": "torch-2.13-cu126",
            "architectures": ["7.0", "8.0"],
            "compile": ["7.0", "8.0"],
            "flavours": ["open", "proprietary"],
        },
    ),
    (
        "A100 beside V100S beside Pascal",
        {},
        cluster(node("a100"), node("v100s"), node("p100")),
        {"stack": "torch-2.13-cu126", "architectures": ["6.0", "7.0", "8.0"]},
    ),
    (
        "Volta beside Blackwell",
        {},
        cluster(node("v100"), node("b200")),
        {"stack": "torch-2.11-cu128", "flavours": ["proprietary", "open"], "least": "525.60.13"},
    ),
    (
        "Kepler beside Ampere",
        {},
        cluster(node("k80"), node("a100")),
        {"stack": "torch-2.0-cu117", "then": ["470", "580"], "branch": "580"},
    ),
    (
        "a head without a GPU",
        {},
        cluster(node(), node("a100")),
        {"stack": "torch-2.13-cu130", "actions": ["none", "install"]},
    ),
    (
        "two kinds in one node",
        {},
        cluster(node("t4 a100 a100")),
        {"stack": "torch-2.13-cu130", "architectures": ["7.5", "8.0"]},
    ),
    # Drivers that may not be touched.
    (
        "driver 450, V100S",
        {},
        cluster(fixed("v100s", "450.80.02")),
        {"stack": "torch-2.7-cu118", "actions": ["keep"], "then": ["450.80.02"]},
    ),
    ("driver 470, A100", {}, cluster(fixed("a100", "470.182.03")), {"stack": "torch-2.7-cu118", "actions": ["keep"]}),
    ("driver 535, A100", {}, cluster(fixed("a100", "535.104.05")), {"stack": "torch-2.13-cu126", "actions": ["keep"]}),
    ("driver 550, H100", {}, cluster(fixed("h100", "550.54.14")), {"stack": "torch-2.13-cu126"}),
    (
        "driver 570, B200",
        {},
        cluster(fixed("b200", {"loaded": "570.86.15", "library": "570.86.15", "flavour": "open"})),
        {"stack": "torch-2.11-cu128"},
    ),
    ("driver 580.65.06, the first for CUDA 13", {}, cluster(fixed("a100", "580.65.06")), {"stack": "torch-2.13-cu130"}),
    ("driver 580 before 580.65.06", {}, cluster(fixed("a100", "580.63.02")), {"stack": "torch-2.13-cu126"}),
    ("driver 525.60.13, the first for CUDA 12", {}, cluster(fixed("a100", "525.60.13")), {"stack": "torch-2.13-cu126"}),
    ("driver 525.60.11", {}, cluster(fixed("a100", "525.60.11")), {"stack": "torch-2.7-cu118"}),
    (
        "one old driver holds all",
        {},
        cluster(node("h100"), fixed("a100", "535.54.03")),
        {"stack": "torch-2.13-cu126", "actions": ["install", "keep"]},
    ),
    (
        "a node without root beside one with",
        {},
        cluster(fixed("v100s", "535.54.03"), node("a100", "470.57.02")),
        {"stack": "torch-2.13-cu126", "actions": ["keep", "upgrade"]},
    ),
    # Drivers that may be.
    (
        "a driver that is good enough stays",
        {},
        cluster(node("a100", "580.95.05")),
        {"actions": ["keep"], "then": ["580.95.05"]},
    ),
    ("a newer one stays too", {}, cluster(node("a100", "595.58.03")), {"actions": ["keep"], "then": ["595.58.03"]}),
    (
        "535 is left for CUDA 13",
        {},
        cluster(node("a100", "535.54.03")),
        {"stack": "torch-2.13-cu130", "actions": ["upgrade"]},
    ),
    (
        "590 does not know Volta",
        {},
        cluster(node("v100", "590.48.01")),
        {"stack": "torch-2.13-cu126", "actions": ["upgrade"], "then": ["580"]},
    ),
    (
        "proprietary modules on Blackwell",
        {},
        cluster(node("b200", {"loaded": "580.95.05", "library": "580.95.05", "flavour": "proprietary"})),
        {"actions": ["upgrade"], "flavours": ["open"], "then": ["580"]},
    ),
    (
        "open modules on Volta",
        {},
        cluster(node("v100", {"loaded": "580.95.05", "library": "580.95.05", "flavour": "open"})),
        {"actions": ["upgrade"], "flavours": ["proprietary"]},
    ),
    (
        "module and libraries differ",
        {},
        cluster(
            node(
                "a100",
                {"loaded": "580.65.06", "library": "580.95.05", "agrees": False, "built": {"version": "580.95.05"}},
            )
        ),
        {"actions": ["reload"], "then": ["580.95.05"]},
    ),
    (
        "libraries went ahead without a module",
        {},
        cluster(
            node(
                "a100",
                {"loaded": "580.65.06", "library": "580.95.05", "agrees": False, "built": {"version": "580.65.06"}},
            )
        ),
        {"actions": ["install"], "then": ["580"]},
    ),
    (
        "module and libraries differ, both too old",
        {},
        cluster(node("a100", {"loaded": "470.57.02", "library": "535.54.03", "agrees": False})),
        {"actions": ["upgrade"]},
    ),
    (
        "not loaded",
        {},
        cluster(node("a100", {"loaded": None, "library": "580.95.05", "built": {"version": "580.95.05"}})),
        {"actions": ["reload"], "then": ["580.95.05"]},
    ),
    (
        "not built for the running kernel",
        {},
        cluster(node("a100", {"loaded": None, "library": "580.95.05", "built": {"version": None}})),
        {"actions": ["install"], "then": ["580"]},
    ),
    (
        "not loaded and too old",
        {},
        cluster(node("a100", {"loaded": None, "library": "535.54.03"})),
        {"actions": ["upgrade"]},
    ),
    (
        "only packages, of which one is broken",
        {},
        cluster(
            node(
                "a100",
                {
                    "packages": [{"name": "nvidia-driver-580", "version": "580.95.05-0ubuntu1", "broken": True}],
                    "built": {"version": None},
                },
            )
        ),
        {"actions": ["install"], "then": ["580"]},
    ),
    (
        "only a tool of a driver",
        {},
        cluster(node("a100", {"packages": [{"name": "libxnvctrl0", "version": "580.95.05-1"}]})),
        {"actions": ["install"], "then": ["580"]},
    ),
    ("only the module", {}, cluster(node("a100", {"loaded": "580.95.05", "library": None})), {"actions": ["keep"]}),
    # Wishes for the driver.
    ("a branch", {"driver_branch": "595"}, cluster(node("a100")), {"then": ["595"], "flavours": ["open"]}),
    (
        "an exact driver",
        {"driver_version": "580.95.05"},
        cluster(node("a100", "580.65.06")),
        {"actions": ["upgrade"], "then": ["580.95.05"]},
    ),
    (
        "an exact driver that is there",
        {"driver_version": "580.95.05"},
        cluster(node("a100", "580.95.05")),
        {"actions": ["keep"]},
    ),
    ("the branch that is there", {"driver_branch": "580"}, cluster(node("a100", "580.65.06")), {"actions": ["keep"]}),
    (
        "a branch of a node goes first",
        {"driver_branch": "595"},
        cluster(node("a100", driver_branch="580"), node("a100")),
        {"then": ["580", "595"], "branch": "580"},
    ),
    (
        "535 is wished for, so CUDA 12",
        {"driver_branch": "535"},
        cluster(node("a100")),
        {"stack": "torch-2.13-cu126", "then": ["535"], "flavours": ["proprietary"]},
    ),
    (
        "proprietary modules, as wished",
        {},
        cluster(node("a100", driver_flavour="proprietary")),
        {"flavours": ["proprietary"]},
    ),
    (
        "the other modules are wished for",
        {},
        cluster(
            node(
                "a100", {"loaded": "580.95.05", "library": "580.95.05", "flavour": "open"}, driver_flavour="proprietary"
            )
        ),
        {"actions": ["upgrade"], "flavours": ["proprietary"]},
    ),
    ("a branch as a number", {"driver_branch": 580}, cluster(node("a100")), {"then": ["580"]}),
    # A single wish narrows the rows.
    ("a toolkit of its torch", {"torch": "2.12.1", "cuda": "13.0"}, cluster(node("a100")), {"release": "13.0.2"}),
    (
        "the name of a stack that is newer than all",
        {"stack": "torch-2.16.0-cu132"},
        cluster(node("a100")),
        {"stack": "torch-2.16.0-cu132", "torch": "2.16.0+cu132", "vision": None},
    ),
    (
        "a torch that was built apart",
        {"torch": "2.13.0.dev20260601+cu130"},
        cluster(node("a100")),
        {"torch": "2.13.0.dev20260601+cu130", "cuda": "13.0"},
    ),
    (
        "a tag as the wheels of 2.1 have it",
        {"torch": "2.1.2+cu121.with.pypi.cudnn"},
        cluster(node("a100")),
        {"torch": "2.1.2+cu121"},
    ),
    (
        "a python alone keeps torch new",
        {"python": "3.10"},
        cluster(node("a100")),
        {"torch": "2.13.0+cu130", "python": "3.10"},
    ),
    (
        "an apex alone draws its torch",
        {"apex": "23.05"},
        cluster(node("a100")),
        {"torch": "2.0.1+cu117", "apex": "23.05"},
    ),
    (
        "a toolkit 12.8 beside a python",
        {"cuda": "12.8", "python": "3.12"},
        cluster(node("b200")),
        {"torch": "2.11.0+cu128", "python": "3.12"},
    ),
    (
        "torch 2.2.1",
        {"torch": "2.2.1"},
        cluster(node("a100")),
        {
            "stack": "torch-2.2.1-cu121",
            "python": "3.11",
            "torch": "2.2.1+cu121",
            "vision": "0.17.1",
            "cuda": "12.1",
            "apex": "24.04.01",
            "switches": "config-settings",
            "nccl": "2.19.3",
            "deepspeed": "0.19.8",
        },
    ),
    (
        "torch 2.2.1 for CPUs",
        {"torch": "2.2.1", "accelerator": "cpu"},
        cluster(node()),
        {"stack": "torch-2.2.1-cpu", "deepspeed": "0.19.8"},
    ),
    ("torch 2.1 as pip reads it", {"torch": "2.1"}, cluster(node("a100")), {"torch": "2.1.0+cu121"}),
    (
        "torch 1.13.1",
        {"torch": "1.13.1"},
        cluster(node("v100")),
        {
            "torch": "1.13.1+cu117",
            "python": "3.10",
            "deepspeed": "0.17.6",
            "apex": "22.03",
            "switches": "global-option",
        },
    ),
    (
        "torch 1.9.0 takes what was tried around it",
        {"torch": "1.9.0"},
        cluster(node("v100")),
        {"torch": "1.9.0+cu102", "deepspeed": "0.14.5"},
    ),
    ("torch 1.9.0 on Ampere", {"torch": "1.9.0"}, cluster(node("3090")), {"torch": "1.9.0+cu111", "cuda": "11.1"}),
    (
        "torch 2.6.0 beside a head without a GPU",
        {"torch": "2.6.0"},
        cluster(node(), node("a100")),
        {"stack": "torch-2.6-cu124", "deepspeed": "0.19.8"},
    ),
    ("torch 2.8.0 on Pascal", {"torch": "2.8.0"}, cluster(node("p100")), {"torch": "2.8.0+cu126"}),
    (
        "torch 2.15 is taken where it is asked for",
        {"torch": "2.15.0"},
        cluster(node("a100")),
        {"stack": "torch-2.15-cu132", "cuda": "13.2"},
    ),
    ("a build", {"torch_build": "cu126"}, cluster(node("a100")), {"stack": "torch-2.13-cu126"}),
    ("an old build", {"torch_build": "cu121"}, cluster(node("a100")), {"torch": "2.5.1+cu121"}),
    ("a tag", {"torch": "2.5.1+cu124"}, cluster(node("h100")), {"torch": "2.5.1+cu124", "cuda": "12.4"}),
    (
        "a build for CPUs settles the accelerator",
        {"torch_build": "cpu"},
        cluster(node()),
        {"stack": "torch-2.13-cpu", "on": "cpu"},
    ),
    (
        "a toolkit draws its torch",
        {"cuda": "12.4"},
        cluster(node("a100")),
        {"torch": "2.6.0+cu124", "cuda": "12.4", "release": "12.4.1"},
    ),
    (
        "a release of a toolkit",
        {"cuda": "12.6.2"},
        cluster(node("a100")),
        {"torch": "2.13.0+cu126", "release": "12.6.2"},
    ),
    (
        "a toolkit that no torch was built with",
        {"cuda": "12.2"},
        cluster(node("a100")),
        {"torch": "2.13.0+cu126", "cuda": "12.2", "apex": None},
    ),
    ("CUDA 13.2", {"cuda": "13.2"}, cluster(node("b200")), {"torch": "2.13.0+cu132", "release": "13.2.2"}),
    (
        "python 3.12",
        {"python": "3.12"},
        cluster(node("a100")),
        {"stack": "torch-2.13.0-cu130", "python": "3.12", "deepspeed": "0.19.8"},
    ),
    (
        "python with three numbers",
        {"python": "3.11.9"},
        cluster(node("a100")),
        {"stack": "torch-2.13-cu130", "python": "3.11.9"},
    ),
    ("python 3.8", {"python": "3.8"}, cluster(node("a100")), {"torch": "2.4.1+cu121", "python": "3.8"}),
    ("a DeepSpeed", {"deepspeed": "0.14.0"}, cluster(node("a100")), {"torch": "2.13.0+cu130", "deepspeed": "0.14.0"}),
    (
        "an old DeepSpeed draws an old torch",
        {"deepspeed": "0.9.3"},
        cluster(node("a100")),
        {"torch": "2.3.1+cu121", "deepspeed": "0.9.3"},
    ),
    (
        "apex, whichever fits",
        {"apex": True},
        cluster(node("v100")),
        {"stack": "torch-2.13-cu126", "apex": "6424da3b4faa6c8f062da4a48c424fff3f02d42d", "switches": "environment"},
    ),
    ("no apex", {"apex": False}, cluster(node("a100")), {"stack": "torch-2.13-cu130", "apex": None}),
    (
        "a stack by its name",
        {"stack": "torch-2.1-cu118"},
        cluster(node("a100", "535.54.03")),
        {"stack": "torch-2.1-cu118", "python": "3.8", "actions": ["keep"]},
    ),
    ("a stack that auto passes over", {"stack": "torch-2.14-cu130"}, cluster(node("a100")), {"torch": "2.14.1+cu130"}),
    (
        "a stack with another python",
        {"stack": "torch-2.0-cu117", "python": "3.9"},
        cluster(node("a100")),
        {"stack": "torch-2.0.1-cu117", "python": "3.9", "deepspeed": "0.14.5"},
    ),
    (
        "the name of a composed stack",
        {"stack": "torch-2.2.1-cu118"},
        cluster(node("a100")),
        {"stack": "torch-2.2.1-cu118", "torch": "2.2.1+cu118"},
    ),
    ("bf16", {"bf16": True}, cluster(node("a100"), node("h100")), {"stack": "torch-2.13-cu130"}),
    ("bf16 as text", {"bf16": "auto"}, cluster(node("v100")), {"stack": "torch-2.13-cu126"}),
    (
        "nothing is no wish",
        {"torch": "", "cuda": None, "python": "auto", "stack": "auto", "apex": ""},
        cluster(node("a100")),
        {"stack": "torch-2.13-cu130"},
    ),
    ("upper case", {"accelerator": "CPU", "torch_build": "CPU"}, cluster(node()), {"stack": "torch-2.13-cpu"}),
    # What carries wheels.
    ("glibc 2.17", {}, cluster(node("a100", glibc="2.17")), {"stack": "torch-2.6-cu124"}),
    ("glibc 2.28", {}, cluster(node("a100", glibc="2.28")), {"stack": "torch-2.13-cu130"}),
    ("glibc 2.27 of one node", {}, cluster(node("a100"), node("a100", glibc="2.27")), {"stack": "torch-2.6-cu124"}),
    (
        "Grace Hopper",
        {},
        cluster(node("gh200", machine="aarch64")),
        {"stack": "torch-2.13-cu130", "flavours": ["open"]},
    ),
    ("GB10", {}, cluster(node("gb10", machine="aarch64")), {"stack": "torch-2.13-cu130", "compile": ["12.1"]}),
    ("CPUs of aarch64", {"accelerator": "cpu"}, cluster(node(machine="aarch64")), {"stack": "torch-2.13-cpu"}),
    # The stories of the seeds.
    (
        "seeds/000: torch 1.13.0+cu117 on python 3.9",
        {"torch": "1.13.0+cu117", "python": "3.9"},
        cluster(node("v100")),
        {"stack": "torch-1.13-cu117", "apex": "22.03", "cuda": "11.7", "nccl": "2.14.3"},
    ),
    (
        "seeds/000: CUDA 11.5 with torch 1.13.0+cu117 and no apex",
        {"torch": "1.13.0+cu117", "cuda": "11.5", "python": "3.9"},
        cluster(node("v100")),
        {"cuda": "11.5", "release": "11.5.2", "apex": None},
    ),
    (
        "seeds/002: driver 450 that nobody dares to change",
        {},
        cluster(fixed("v100s v100s", "450.80.02")),
        {"stack": "torch-2.7-cu118", "actions": ["keep"]},
    ),
    (
        "seeds/002: the driver of December, torch 2.1.1",
        {"torch": "2.1.1+cu118", "python": "3.8"},
        cluster(node("2080", "545.23.08")),
        {"torch": "2.1.1+cu118", "stack": "torch-2.1-cu118", "actions": ["keep"]},
    ),
    (
        "seeds/002: torch 2.0.1 on python 3.8",
        {"torch": "2.0.1", "python": "3.8"},
        cluster(node("2080", "545.23.08")),
        {"stack": "torch-2.0-cu117-py38", "actions": ["keep"]},
    ),
    (
        "seeds/002: torch 2.0.1 and the toolkit 11.8",
        {"torch": "2.0.1+cu117", "cuda": "11.8", "python": "3.8"},
        cluster(node("2080", "545.23.08")),
        {"cuda": "11.8", "apex": None, "torch": "2.0.1+cu117"},
    ),
    (
        "seeds/002: apex with the toolkit 11.8",
        {"torch": "2.1.1+cu118", "cuda": "11.8", "apex": True, "python": "3.8"},
        cluster(node("2080")),
        {"stack": "torch-2.1-cu118", "apex": "23.08"},
    ),
    (
        "seeds/003: A100 and V100S, torch 2.0.1+cu117 on python 3.10",
        {"torch": "2.0.1+cu117", "python": "3.10"},
        cluster(node("a100 a100", "470.182.03"), node("v100s v100s", "470.182.03")),
        {"stack": "torch-2.0-cu117", "actions": ["keep", "keep"]},
    ),
    (
        "seeds/003: torch 2.1.2+cu121, nvcc 12.2, DeepSpeed 0.14.0",
        {"torch": "2.1.2+cu121", "cuda": "12.2", "deepspeed": "0.14.0", "python": "3.10"},
        cluster(node("a100", "535.104.05"), node("v100s", "535.104.05")),
        {"cuda": "12.2", "actions": ["keep", "keep"]},
    ),
    (
        "seeds/004: DeepSpeed 0.9.3 on A40",
        {"deepspeed": "0.9.3", "python": "3.10"},
        cluster(node("a40 a40")),
        {"torch": "2.3.1+cu121"},
    ),
    # The stories of USERS.md.
    (
        "USERS 23: an old driver after the default became CUDA 13",
        {},
        cluster(fixed("a100", "550.90.07"), fixed("a100", "535.183.01")),
        {"stack": "torch-2.13-cu126", "actions": ["keep", "keep"]},
    ),
    (
        "USERS 3: unattended upgrades parted library from module",
        {"torch": "2.5.1"},
        cluster(
            node(
                "a100",
                {"loaded": "535.54.03", "library": "535.183.01", "agrees": False, "built": {"version": "535.183.01"}},
            )
        ),
        {"actions": ["reload"], "then": ["535.183.01"]},
    ),
]


@pytest.mark.parametrize(("wishes", "nodes", "expected"), [case[1:] for case in PLANS], ids=[case[0] for case in PLANS])
def test_plan(wishes: dict[str, Any], nodes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = resolve_stack(wishes, nodes, MONTH)
    assert found["conflicts"] == []
    assert found["nearest"] is None
    assert {name: parts(found["plan"])[name] for name in expected} == expected


def test_a_node_says_what_it_has_and_why_its_driver_is_what_it_is() -> None:
    plan = resolve_stack({}, cluster(node("a100 a100", "470.182.03")), MONTH)["plan"]
    assert plan["nodes"]["node1"] == {
        "driver": {
            "now": "470.182.03",
            "then": "580",
            "branch": "580",
            "version": "",
            "flavour": "open",
            "action": "upgrade",
            "reason": "driver 470.182.03 cannot stay: CUDA 13.0 needs 580.65.06 or newer",
        },
        "gpus": "2 x NVIDIA A100-PCIE-40GB",
        "architectures": ["8.0"],
    }


# (name, wishes, nodes, what the warnings say, each once)
WARNINGS: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("nothing to say", {}, cluster(node("a100")), []),
    (
        "between floor and toolkit",
        {},
        cluster(fixed("a100", "580.95.05")),
        ["node1: the driver 580.95.05 is older than 580.126.20, which CUDA 13.0 was made with; all runs there but "],
    ),
    (
        "said once for all",
        {},
        cluster(node("a100", "580.95.05"), node("h100", "580.95.05")),
        ["All nodes: the driver 580.95.05 is older"],
    ),
    (
        "past its end",
        {"driver_branch": "550"},
        cluster(node("a100")),
        ["node1: the branch 550 of the driver had its last release in 2025-06."],
    ),
    (
        "parted and not to be touched",
        {},
        cluster(fixed("a100", {"loaded": "580.65.06", "library": "580.126.20"})),
        ["nothing computes there before a reboot."],
    ),
    (
        "there and not loaded, not to be touched",
        {},
        cluster(fixed("a100", {"loaded": None, "library": "580.126.20"})),
        ["node1: the driver 580.126.20 is there and not loaded; nothing computes there before it is."],
    ),
    (
        "a wish that is not followed",
        {"driver_branch": "595"},
        cluster(fixed("a100", "580.126.20")),
        ["node1: nvidia_driver_branch asks for 595, and 580.126.20 stays, since"],
    ),
    (
        "a GPU that is not known",
        {},
        cluster(node("unknown")),
        ["node1: the compute capability of NVIDIA Device 3fff is not known, so whether torch runs on it was not"],
    ),
    (
        "CUDA, and no GPU seen",
        {"accelerator": "cuda"},
        cluster(node()),
        ["No GPU was seen on any node, so nothing about GPUs and drivers was checked."],
    ),
    (
        "a torch newer than all",
        {"torch": "2.16.0"},
        cluster(node("a100")),
        [
            "Nothing is known about torch 2.16.0; it is taken to be as 2.15.0 is.",
            "torchvision is left out: which one belongs to torch 2.16.0 is not known here",
            "torchaudio is left out: which one belongs to torch 2.16.0 is not known here",
        ],
    ),
    (
        "a DeepSpeed newer than all",
        {"deepspeed": "0.20.0"},
        cluster(node("a100")),
        ["Nothing is known about DeepSpeed 0.20.0; it is taken to be as 0.19.8 is."],
    ),
    (
        "a branch newer than all",
        {"driver_branch": "630"},
        cluster(node("a100")),
        ["Nothing is known about driver branch 630; it is taken to be as 620 is."],
    ),
    (
        "an apex that is not known",
        {"apex": "deadbeef"},
        cluster(node("a100")),
        ["Nothing is known about apex deadbeef; it is taken as it is."],
    ),
    (
        "an apex of another time",
        {"apex": "22.03", "torch": "2.13.0"},
        cluster(node("a100")),
        ["apex 22.03 is of the time of torch 1.8 to 2.0; whether it compiles with 2.13.0 is not known."],
    ),
    (
        "a number that is read right",
        {"cuda": 11.8},
        cluster(node("a100", "580.126.20")),
        ["cuda_toolkit_versions is the number 11.8, and YAML reads 11.80 without quotes as that too; quote it."],
    ),
    (
        "another minor than torch's",
        {"torch": "2.0.1+cu117", "cuda": "11.8"},
        cluster(node("a100", "580.126.20")),
        ["The toolkit is CUDA 11.8 and torch's CUDA is 11.7: DeepSpeed's ops compile so, apex does not."],
    ),
    (
        "nvcc does not know Ada",
        {"torch": "2.0.1+cu117"},
        cluster(node("4090", "580.126.20")),
        ["node1: nvcc of CUDA 11.7 does not know compute capability 8.9; extensions are compiled for 8.6, which"],
    ),
    ("GPUs that are not used", {"torch_build": "cpu"}, cluster(node("a100")), ["so the GPUs of node1 are not used."]),
    (
        "CUDA's torch on CPUs",
        {"accelerator": "cpu", "torch_build": "cu130"},
        cluster(node()),
        ["torch 2.13.0+cu130 computes on CPUs as the build cpu does, and is some GB larger."],
    ),
    (
        "torch alone has wheels",
        {"torch": "2.5.1", "python": "3.13"},
        cluster(node("a100")),
        [
            "torchvision is left out: there is no torchvision 0.20.1, which belongs to torch 2.5.1, for Python 3.13.",
            "torchaudio is left out: there is no torchaudio 2.5.1, which belongs to torch 2.5.1, for Python 3.13.",
        ],
    ),
    (
        "torchaudio has ended",
        {"torch": "2.13.0", "torch_build": "cu132"},
        cluster(node("a100")),
        ["torchaudio is left out: there is no torchaudio 2.11.0, which belongs to torch 2.13.0, for the build cu132"],
    ),
    (
        "a machine without torchaudio",
        {"torch": "1.9.0", "torch_build": "cpu", "accelerator": "cpu"},
        {**cluster(node()), "node2": {**node(), "machine": "aarch64"}},
        ["node2: torchaudio is left out: there is no torchaudio 0.9.0, which belongs to torch 1.9.0, for aarch64"],
    ),
]


@pytest.mark.parametrize(
    ("wishes", "nodes", "said"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS]
)
def test_warnings(wishes: dict[str, Any], nodes: dict[str, Any], said: list[str]) -> None:
    found = resolve_stack(wishes, nodes, MONTH)
    assert found["plan"]
    assert len(found["warnings"]) == len(said), found["warnings"]
    for text, warning in zip(said, found["warnings"], strict=True):
        assert text in warning
