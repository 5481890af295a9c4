# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wishes and nodes that have no plan: every reason, and what would work."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import cluster, fixed, node

OPEN = {"loaded": "580.126.20", "library": "580.126.20", "flavour": "open"}
PROPRIETARY = {**OPEN, "flavour": "proprietary"}

# (name, wishes, nodes, (subject, hosts, words of the reason) of each conflict, words of what would work or nothing)
Expected = list[tuple[str, list[int], str]]
CONFLICTS: list[tuple[str, dict[str, Any], dict[str, Any], Expected, str]] = [
    # GPUs that a torch has no kernels for.
    (
        "as in DESIGN.md",
        {"torch": "2.13.0+cu130"},
        cluster(node("a100"), node("v100s")),
        [
            (
                "torch",
                [2],
                "torch 2.13.0+cu130 has no kernels for compute capability 7.0 (Tesla V100S-PCIE-32GB on node2); the "
                "newest that runs on every node is 2.13.0+cu126.",
            )
        ],
        "Set torch_version to 2.13.0+cu126 (it is 2.13.0+cu130): then",
    ),
    (
        "the build apart",
        {"torch": "2.13.0", "torch_build": "cu130"},
        cluster(node("v100")),
        [("torch", [1], "no kernels for compute capability 7.0")],
        "Set torch_build to cu126 (it is cu130): then",
    ),
    (
        "RTX 5090 with torch 2.5.1",
        {"torch": "2.5.1"},
        cluster(node("5090")),
        [
            (
                "torch",
                [1],
                "no kernels for compute capability 12.0 (NVIDIA GeForce RTX 5090 on node1); the newest that runs on "
                "every node is 2.13.0+cu130",
            )
        ],
        "Set torch_version to 2.13.0 (it is 2.5.1)",
    ),
    (
        "H100 with torch 1.13.1+cu117",
        {"torch": "1.13.1+cu117"},
        cluster(node("h100")),
        [("torch", [1], "9.0 (NVIDIA H100 80GB HBM3 on node1)")],
        "Set torch_version to",
    ),
    (
        "RTX 3090 with CUDA 10.2",
        {"torch": "1.8.1+cu102"},
        cluster(node("3090")),
        [("torch", [1], "compute capability 8.6")],
        "Set torch_version to 1.8.1+cu111",
    ),
    (
        "P100 with torch 2.8.0+cu128",
        {"torch": "2.8.0+cu128"},
        cluster(node("p100")),
        [("torch", [1], "compute capability 6.0")],
        "2.8.0+cu126",
    ),
    (
        "RTX 5090 beside P100",
        {},
        cluster(node("5090"), node("p100")),
        [
            (
                "torch",
                [1, 2],
                "No torch has kernels for both compute capability 12.0 (NVIDIA GeForce RTX 5090 on node1) and 6.0 "
                "(Tesla P100-PCIE-16GB on node2).",
            )
        ],
        "Take node2 out of group 'nodes': then torch 2.13.0+cu130",
    ),
    (
        "Kepler beside two Blackwell",
        {},
        cluster(node("k80"), node("b200"), node("b200")),
        [("torch", [1, 2, 3], "3.7 (Tesla K80 on node1) and 10.0 (NVIDIA B200 on node2 and node3)")],
        "Take node1 out",
    ),
    (
        "MI355X with an old ROCm",
        {"torch": "2.5.1"},
        cluster(node("mi355x")),
        [("torch", [1], "no kernels for gfx950 (AMD MI355X on node1)")],
        "Set torch_version to 2.13.0",
    ),
    # Drivers.
    (
        "CUDA 13 on a driver 535 that stays",
        {"torch": "2.13.0+cu130"},
        cluster(fixed("a100", "535.104.05")),
        [
            (
                "driver_manage",
                [1],
                "node1 has the driver 535.104.05, which may not be touched (nvidia_driver_manage is false): CUDA "
                "13.0 needs 580.65.06 or newer.",
            )
        ],
        "Set torch_version to 2.13.0+cu126",
    ),
    (
        "a toolkit that is newer than the driver allows",
        {"cuda": "13.0"},
        cluster(fixed("a100", "550.54.14"), fixed("h100", "550.54.14")),
        [("driver_manage", [1, 2], "All nodes have the driver 550.54.14")],
        "Set cuda_toolkit_versions to 12.6 (it is 13.0)",
    ),
    (
        "torch 2.0.1+cu117 on driver 440",
        {"torch": "2.0.1"},
        cluster(fixed("v100", "440.33.01")),
        [("driver_manage", [1], "CUDA 11.7 needs 450.80.02 or newer")],
        "Set torch_version to 1.12.1",
    ),
    (
        "seeds/002: 450.51 runs only CUDA 11.0, and no DeepSpeed works with its torch",
        {"torch_build": "cu110"},
        cluster(fixed("v100s", "450.51.06")),
        [("torch", [], "No DeepSpeed works with torch 1.7.1: its process groups fail with older ones")],
        "Set torch_build to cu102",
    ),
    (
        "a driver too old for whatever there is",
        {},
        cluster(fixed("a100", "450.51.06")),
        [("driver_manage", [1], "CUDA 11.8 needs 450.80.02 or newer.")],
        "Set nvidia_driver_manage to true on node1",
    ),
    (
        "an old driver that stays beside Blackwell",
        {},
        cluster(fixed("a100", "450.80.02"), node("b200")),
        [("driver_manage", [1], "CUDA 12.8 needs 525.60.13 or newer.")],
        "Set nvidia_driver_manage to true on node1",
    ),
    (
        "GPUs and no driver, without root",
        {},
        cluster(fixed("a100", None)),
        [
            (
                "driver_manage",
                [1],
                "node1 has GPUs and no driver, which may not be installed (nvidia_driver_manage is false)",
            )
        ],
        "Set nvidia_driver_manage to true on node1: then",
    ),
    (
        "Blackwell with driver 550 that stays",
        {},
        cluster(fixed("b200", "550.54.14")),
        [("driver_manage", [1], "NVIDIA B200 needs 570 or newer")],
        "Set nvidia_driver_manage to true on node1",
    ),
    (
        "Blackwell with proprietary modules that stay",
        {},
        cluster(fixed("b200", PROPRIETARY)),
        [
            (
                "driver_manage",
                [1],
                "its kernel modules are the proprietary ones, and its GPUs run only with the open ones",
            )
        ],
        "Set nvidia_driver_manage to true on node1",
    ),
    (
        "Volta with open modules that stay",
        {},
        cluster(fixed("v100", OPEN)),
        [("driver_manage", [1], "run only with the proprietary ones")],
        "Set nvidia_driver_manage to true on node1",
    ),
    (
        "driver 590 on Volta that stays",
        {},
        cluster(fixed("v100", "590.48.01")),
        [("driver_manage", [1], "580 is the last branch for Tesla V100-SXM2-16GB")],
        "Set nvidia_driver_manage to true",
    ),
    (
        "proprietary modules are wished for on Blackwell",
        {},
        cluster(node("b200", driver_flavour="proprietary")),
        [
            (
                "driver_flavour",
                [1],
                "nvidia_driver_flavour is proprietary on node1, and its GPUs run only with the open kernel modules; "
                "set it to auto.",
            )
        ],
        "Set nvidia_driver_flavour to auto on node1 (it is proprietary): then",
    ),
    (
        "open modules are wished for on Volta",
        {},
        cluster(node("v100", driver_flavour="open")),
        [("driver_flavour", [1], "run only with the proprietary kernel modules")],
        "Set nvidia_driver_flavour to auto on node1",
    ),
    (
        "open modules of a branch that has none",
        {"torch": "2.0.1"},
        cluster(node("a100", driver_flavour="open", driver_branch="470")),
        [("driver_flavour", [1], "the branch 470 has no open ones, which begin with 515")],
        "Set nvidia_driver_flavour to auto on node1",
    ),
    (
        "proprietary modules after they ended",
        {},
        cluster(node("a100", driver_flavour="proprietary", driver_branch="620")),
        [("driver_flavour", [1], "the branch 620 has no proprietary ones, which ended with 615")],
        "Set nvidia_driver_flavour to auto on node1",
    ),
    (
        "a branch that is too old for the CUDA",
        {"driver_branch": "535", "torch_build": "cu130"},
        cluster(node("a100")),
        [
            (
                "driver_branch",
                [1],
                "nvidia_driver_branch is 535, which does not do for node1: CUDA 13.0 needs 580.65.06 or newer.",
            )
        ],
        "Leave nvidia_driver_branch out (it is 535): then",
    ),
    (
        "a branch that is too new for the GPU",
        {"driver_branch": "590"},
        cluster(node("v100")),
        [("driver_branch", [1], "580 is the last branch for Tesla V100-SXM2-16GB")],
        "Leave nvidia_driver_branch out (it is 590)",
    ),
    (
        "a branch of one node",
        {},
        cluster(node("b200", driver_branch="535"), node("a100")),
        [("driver_branch", [1], "NVIDIA B200 needs 570 or newer")],
        "Set nvidia_driver_branch to 580 on node1 (it is 535)",
    ),
    (
        "a driver that is just too old",
        {"driver_version": "580.63.02", "torch_build": "cu130"},
        cluster(node("a100")),
        [
            (
                "driver_version",
                [1],
                "nvidia_driver_version is 580.63.02, which does not do for node1: CUDA 13.0 needs 580.65.06 or newer",
            )
        ],
        "Leave nvidia_driver_version out",
    ),
    (
        "Blackwell and Volta in one node",
        {},
        cluster(node("b200 v100")),
        [
            (
                "driver",
                [1],
                "node1: NVIDIA B200 needs the open kernel modules and Tesla V100-SXM2-16GB the proprietary ones, and "
                "a kernel loads one kind",
            )
        ],
        "",
    ),
    (
        "Kepler and Blackwell in one node",
        {},
        cluster(node("k80 b200"), node("a100")),
        [
            ("torch", [1], "No torch has kernels for both"),
            ("driver", [1], "no driver knows both Tesla K80 (up to branch 470) and NVIDIA B200 (from branch 570)"),
        ],
        "Take node1 out of group 'nodes'",
    ),
    (
        "Kepler and CUDA 12",
        {"torch": "2.5.1"},
        cluster(node("k80")),
        [("torch", [1], "no kernels for compute capability 3.7")],
        "Set torch_version to 2.0.1",
    ),
    # What carries wheels.
    (
        "CentOS 7 with torch 2.7.1",
        {"torch": "2.7.1"},
        cluster(node("a100", glibc="2.17", distribution="CentOS", distribution_version="7.9")),
        [
            (
                "torch",
                [1],
                "needs glibc 2.28 or newer, and node1, CentOS 7.9, has 2.17; the newest that runs on every node is "
                "2.6.0+cu124",
            )
        ],
        "Set torch_version to 2.6.0",
    ),
    (
        "aarch64 with torch 2.6.0",
        {"torch": "2.6.0"},
        cluster(node("gh200", machine="aarch64")),
        [("torch", [1], "torch 2.6.0+cu124 has no wheels for aarch64, the machine of node1")],
        "Set torch_version to 2.13.0",
    ),
    (
        "aarch64 and ROCm",
        {"accelerator": "rocm"},
        cluster(node("mi300x", machine="aarch64")),
        [("torch", [1], "torch 2.13.0+rocm7.2 has no wheels for aarch64")],
        "",
    ),
    (
        "a machine that nobody builds for",
        {"accelerator": "cpu"},
        cluster(node(machine="riscv64")),
        [("torch", [1], "torch 2.13.0+cpu has no wheels for riscv64, the machine of node1")],
        "",
    ),
    # What computes.
    (
        "no GPU",
        {},
        cluster(node(), node()),
        [("accelerator", [], "No GPU was found on any node; set cluster_accelerator to cpu to train on CPUs.")],
        "Set cluster_accelerator to cpu: then torch 2.13.0+cpu",
    ),
    (
        "NVIDIA beside AMD",
        {},
        cluster(node("a100"), node("a100"), node("mi210")),
        [
            ("accelerator", [1, 2, 3], "NVIDIA and AMD GPUs are in one cluster (all nodes)"),
            ("accelerator", [3], "node3 has only GPUs of AMD (AMD MI210), which do not compute with CUDA"),
        ],
        "Take node3 out of group 'nodes': then torch 2.13.0+cu130",
    ),
    (
        "more AMD than NVIDIA",
        {},
        cluster(node("a100"), node("mi210"), node("mi210")),
        [("accelerator", [1, 2, 3], "in one cluster"), ("accelerator", [1], "node1 has only GPUs of NVIDIA")],
        "Take node1 out of group 'nodes': then torch 2.13.0+rocm7.2",
    ),
    (
        "ROCm on NVIDIA",
        {"accelerator": "rocm"},
        cluster(node("a100")),
        [("accelerator", [1], "which do not compute with ROCm")],
        "Set cluster_accelerator to cuda (it is rocm)",
    ),
    (
        "a ROCm build on NVIDIA",
        {"torch_build": "rocm6.4"},
        cluster(node("a100")),
        [("accelerator", [1], "node1 has only GPUs of NVIDIA")],
        "Set torch_build to cu130 (it is rocm6.4)",
    ),
    (
        "a torch newer than all on ROCm",
        {"accelerator": "rocm", "torch": "2.16.0"},
        cluster(node("mi210")),
        [("torch", [], "No torch 2.16.0 is known that computes on rocm.")],
        "Set torch_version to 2.13.0 (it is 2.16.0)",
    ),
    (
        "CUDA on AMD",
        {"accelerator": "cuda"},
        cluster(node("mi210")),
        [("accelerator", [1], "which do not compute with CUDA")],
        "Set cluster_accelerator to rocm",
    ),
    (
        "cuda and the build cpu",
        {"accelerator": "cuda", "torch_build": "cpu"},
        cluster(node("a100")),
        [
            (
                "torch_build",
                [],
                "cluster_accelerator is cuda, and the build cpu of torch computes on cpu; change one of both.",
            )
        ],
        "Set torch_build to cu130 (it is cpu)",
    ),
    (
        "an accelerator that there is not",
        {"accelerator": "xpu"},
        cluster(node("a100")),
        [("accelerator", [], "cluster_accelerator is 'xpu'; it must be auto, cuda, rocm or cpu.")],
        "Set cluster_accelerator to cuda (it is xpu)",
    ),
    # bf16.
    (
        "bf16 on V100 beside A100",
        {"bf16": True},
        cluster(node("a100"), node("v100s")),
        [
            (
                "bf16",
                [2],
                "bf16 is wished for, and begins with compute capability 8.0; Tesla V100S-PCIE-32GB on node2 has 7.0, "
                "so train with fp16.",
            )
        ],
        "Train with fp16 instead of bf16: then",
    ),
    (
        "bf16 on T4",
        {"bf16": True},
        cluster(node("t4")),
        [("bf16", [1], "Tesla T4 on node1 has 7.5")],
        "Train with fp16",
    ),
    (
        "seeds/002: bf16 with an NCCL that lacks it",
        {"bf16": True, "torch": "1.9.0"},
        cluster(node("a100")),
        [("bf16", [], "bf16 needs NCCL 2.10.3 or newer, and torch 1.9.0 has 2.7.8 inside.")],
        "Train with fp16",
    ),
    # Wishes against each other.
    (
        "two builds",
        {"torch": "2.0.1+cu117", "torch_build": "cu118"},
        cluster(node("a100")),
        [
            (
                "torch_build",
                [],
                "torch_version is '2.0.1+cu117' and torch_build is 'cu118', which contradict each other; give the "
                "build once.",
            )
        ],
        "Set torch_build to cu117 (it is cu118)",
    ),
    (
        "a build that the torch does not come in",
        {"torch": "2.0.1", "torch_build": "cu121"},
        cluster(node("a100")),
        [
            (
                "torch_build",
                [],
                "torch 2.0.1 does not come as cu121; its builds are cu117, cu118, cpu, rocm5.3, rocm5.4.2",
            )
        ],
        "Set torch_build to cu117 (it is cu121)",
    ),
    (
        "seeds/002: the build of a torch that came later",
        {"torch": "1.7.1+cu118"},
        cluster(node("v100")),
        [("torch_build", [], "torch 1.7.1 does not come as cu118; its builds are cu101, cu102, cu110, cpu.")],
        "Set torch_version to",
    ),
    (
        "CUDA 13 with cu117",
        {"cuda": "13.0", "torch": "2.0.1+cu117"},
        cluster(node("a100")),
        [
            (
                "cuda",
                [],
                "cuda_toolkit_versions begins with 13.0, and torch 2.0.1+cu117 has CUDA 11.7: DeepSpeed 0.19.8 "
                "compiles its ops for that only with 11.0 to 11.8.",
            )
        ],
        "Set cuda_toolkit_versions to 11.7 (it is 13.0)",
    ),
    (
        "CUDA 13.1 with cu130",
        {"cuda": "13.1", "torch_build": "cu130"},
        cluster(node("a100")),
        [("cuda", [], "compiles its ops for that only with 13.0.")],
        "Set cuda_toolkit_versions to 13.0 (it is 13.1)",
    ),
    (
        "seeds/002: nvcc 12.3 with cu117",
        {"cuda": "12.3", "torch": "2.0.1+cu117", "deepspeed": "0.12.6"},
        cluster(node("2080")),
        [
            (
                "cuda",
                [],
                "torch 2.0.1+cu117 has CUDA 11.7: DeepSpeed 0.12.6 compiles its ops for that only with 11.0 to 11.8",
            )
        ],
        "Set cuda_toolkit_versions to 11.7",
    ),
    (
        "a toolkit without CUDA",
        {"cuda": "12.4", "accelerator": "cpu"},
        cluster(node()),
        [("cuda", [], "torch 2.13.0+cpu computes without CUDA; leave one of both out.")],
        "Leave cuda_toolkit_versions out (it is 12.4)",
    ),
    (
        "seeds/002: apex with another minor",
        {"cuda": "11.8", "torch": "2.0.1+cu117", "apex": True},
        cluster(node("2080")),
        [
            (
                "apex",
                [],
                "apex compiles only with the very CUDA of torch: that is 11.7, and cuda_toolkit_versions begins with "
                "11.8",
            )
        ],
        "Leave apex_ref out",
    ),
    (
        "seeds/000: apex with CUDA 11.5",
        {"cuda": "11.5", "torch": "1.13.0+cu117", "apex": "22.03"},
        cluster(node("v100")),
        [("apex", [], "that is 11.7, and cuda_toolkit_versions begins with 11.5")],
        "Leave apex_ref out (it is 22.03)",
    ),
    (
        "apex on CPUs",
        {"accelerator": "cpu", "apex": True},
        cluster(node()),
        [("apex", [], "apex is built for CUDA, and torch computes without it here; leave apex out.")],
        "Leave apex_ref out",
    ),
    (
        "apex with a python that is too old",
        {"apex": "6424da3b4faa6c8f062da4a48c424fff3f02d42d", "torch": "2.8.0", "python": "3.9"},
        cluster(node("a100")),
        [("apex", [], "it needs python 3.10 or newer, and 3.9 is planned")],
        "Leave apex_ref out",
    ),
    (
        "DeepSpeed 0.13.5 with torch 2.4",
        {"deepspeed": "0.13.5", "torch": "2.4.1"},
        cluster(node("a100")),
        [
            (
                "deepspeed",
                [],
                "DeepSpeed 0.13.5 does not work with torch 2.4.1: it imports 'log' from torch.distributed.elastic, "
                "which torch 2.4 took away.",
            )
        ],
        "Set deepspeed_version to 0.19.8 (it is 0.13.5)",
    ),
    (
        "DeepSpeed 0.18.9 with torch 2.1",
        {"deepspeed": "0.18.9", "torch": "2.1.2"},
        cluster(node("a100")),
        [("deepspeed", [], "it uses torch.library.custom_op, which came with torch 2.4")],
        "Set deepspeed_version to 0.19.8",
    ),
    (
        "DeepSpeed 0.19.8 with torch 1.13",
        {"deepspeed": "0.19.8", "torch": "1.13.1"},
        cluster(node("a100")),
        [("deepspeed", [], "its metadata asks for torch 2.0.0 or newer")],
        "Set deepspeed_version to 0.17.6",
    ),
    (
        "DeepSpeed 0.14.5 with torch 2.6.0 on a head without a GPU",
        {"deepspeed": "0.14.5", "torch": "2.6.0"},
        cluster(node(), node("a100")),
        [("deepspeed", [], "it cannot be imported on a node without a GPU")],
        "Set deepspeed_version to",
    ),
    (
        "python 3.12 with torch 2.0.1",
        {"python": "3.12", "torch": "2.0.1"},
        cluster(node("a100")),
        [("python", [], "torch 2.0.1 has wheels for python 3.8 to 3.11, not for 3.12.")],
        "Set conda_python_version to 3.10 (it is 3.12)",
    ),
    (
        "python 3.9 with torch 2.13",
        {"python": "3.9", "torch": "2.13.0"},
        cluster(node("a100")),
        [("python", [], "has wheels for python 3.10 to 3.14, not for 3.9")],
        "Set conda_python_version to 3.11",
    ),
    (
        "two wishes that no torch brings together",
        {"python": "3.13", "deepspeed": "0.13.5"},
        cluster(node("a100")),
        [("deepspeed", [], "DeepSpeed 0.13.5 does not work with torch")],
        "Set conda_python_version to 3.11 (it is 3.13)",
    ),
    (
        "a stack and another torch",
        {"stack": "torch-2.0-cu117", "torch": "2.1.0"},
        cluster(node("a100")),
        [
            (
                "torch",
                [],
                "cluster_stack 'torch-2.0-cu117' has torch 2.0.1, and 2.1.0 is asked for; leave one of both out.",
            )
        ],
        "Set torch_version to 2.0.1 (it is 2.1.0)",
    ),
    (
        "a stack and another build",
        {"stack": "torch-2.0-cu117", "torch_build": "cu118"},
        cluster(node("a100")),
        [("torch_build", [], "has the build cu117, and cu118 is asked for")],
        "Set torch_build to cu117 (it is cu118)",
    ),
    (
        "a stack and GPUs that it does not know",
        {"stack": "torch-2.0-cu117"},
        cluster(node("h100")),
        [("torch", [1], "compute capability 9.0")],
        "Set cluster_stack to torch-2.13-cu130 (it is torch-2.0-cu117)",
    ),
    (
        "a branch and a version of another",
        {"driver_branch": "570", "driver_version": "580.95.05"},
        cluster(node("a100")),
        [
            (
                "driver_version",
                [],
                "nvidia_driver_version 580.95.05 is not of nvidia_driver_branch 570; give one of both.",
            )
        ],
        "Leave nvidia_driver_version out",
    ),
    # What cannot be read.
    (
        "a stack that there is not",
        {"stack": "torch-2.13-cu13"},
        cluster(node("a100")),
        [("stack", [], "There is no stack 'torch-2.13-cu13' (cluster_stack); near it are torch-2.13-cu130")],
        "Set cluster_stack to torch-2.13-cu130 (it is torch-2.13-cu13)",
    ),
    (
        "a torch that there is not",
        {"torch": "2.0.7"},
        cluster(node("a100")),
        [("torch", [], "torch_version: there is no torch 2.0.7; the nearest are 2.0.1 and 2.1.0.")],
        "Set torch_version to 2.0.1 (it is 2.0.7)",
    ),
    (
        "a torch older than all",
        {"torch": "1.4.0"},
        cluster(node("v100")),
        [("torch", [], "torch_version is 1.4.0; the oldest torch that anything is known about is 1.7.1.")],
        "Set torch_version to",
    ),
    (
        "a DeepSpeed that there is not",
        {"deepspeed": "0.14.9"},
        cluster(node("a100")),
        [("deepspeed", [], "there is no DeepSpeed 0.14.9; the nearest are 0.14.5 and 0.15.0.")],
        "Set deepspeed_version to 0.14.5 (it is 0.14.9): then torch 2.13.0+cu130",
    ),
    (
        "a CUDA that there is not",
        {"cuda": "12.7"},
        cluster(node("a100")),
        [("cuda", [], "there is no CUDA 12.7; the nearest are 12.6 and 12.8.")],
        "Set cuda_toolkit_versions to 12.6 (it is 12.7)",
    ),
    (
        "a CUDA without its minor",
        {"cuda": "12"},
        cluster(node("a100")),
        [("cuda", [], "cuda_toolkit_versions begins with '12', which names no minor version; give one such as 12.9.")],
        "Set cuda_toolkit_versions to 13.0",
    ),
    (
        "a python that there is not",
        {"python": "3.5"},
        cluster(node("a100")),
        [("python", [], "the oldest python that anything is known about is 3.6.")],
        "Set conda_python_version to 3.6",
    ),
    (
        "a python newer than all",
        {"python": "3.20", "torch": "2.13.0"},
        cluster(node("a100")),
        [("python", [], "has wheels for python 3.10 to 3.14, not for 3.20")],
        "Set conda_python_version to 3.11",
    ),
    (
        "a branch that there is not",
        {"driver_branch": "581"},
        cluster(node("a100")),
        [("driver_branch", [], "there is no driver branch 581; the nearest are 580 and 590.")],
        "Set nvidia_driver_branch to 580 (it is 581)",
    ),
    (
        "a branch as packages are named",
        {"driver_branch": "580-server"},
        cluster(node("a100")),
        [("driver_branch", [], "nvidia_driver_branch is '580-server', which is no version of driver branch")],
        "Set nvidia_driver_branch to 580 (it is 580-server)",
    ),
    (
        "a branch where a version should be",
        {"driver_version": "580"},
        cluster(node("a100")),
        [
            (
                "driver_version",
                [],
                "nvidia_driver_version is '580'; one is 580.95.05; for any of a branch, set nvidia_driver_branch.",
            )
        ],
        "Leave nvidia_driver_version out",
    ),
    (
        "a build as CUDA writes it",
        {"torch_build": "11.7"},
        cluster(node("a100")),
        [
            (
                "torch_build",
                [],
                "torch_build asks for the build '11.7'; a build is cpu, or one such as cu126 or rocm7.2; cu117 may "
                "be meant.",
            )
        ],
        "Set torch_build to cu130",
    ),
    (
        "a tag with a dot",
        {"torch": "2.0.1+cu11.7"},
        cluster(node("a100")),
        [
            ("torch", [], "torch_version asks for the build 'cu11.7'"),
        ],
        "Set torch_version to 2.0.1",
    ),
    (
        "a build that no torch comes in",
        {"torch_build": "cu999"},
        cluster(node("a100")),
        [("torch_build", [], "No torch is known that comes as cu999")],
        "Set torch_build to cu130",
    ),
    (
        "words for a version",
        {"torch": "latest"},
        cluster(node("a100")),
        [("torch", [], "torch_version is 'latest', which is no version of torch.")],
        "Set torch_version to 2.13.0 (it is latest)",
    ),
    (
        "a range for a version",
        {"torch": ">=2.0"},
        cluster(node("a100")),
        [("torch", [], "torch_version is '>=2.0', which is no version of torch")],
        "Set torch_version to 2.0.0 (it is >=2.0)",
    ),
    (
        "a python that lost its zero",
        {"python": 3.1},
        cluster(node("a100")),
        [
            (
                "python",
                [],
                "conda_python_version is the number 3.1, and YAML reads 3.10 without quotes as that too; quote what "
                "is meant.",
            )
        ],
        "Set conda_python_version to 3.10 (it is 3.1): then torch 2.13.0+cu130",
    ),
    (
        "a python that lost its zero and came as text",
        {"python": "3.1"},
        cluster(node("a100")),
        [("python", [], "there is no python 3.1; the nearest is 3.6; 3.10 without quotes arrives as 3.1.")],
        "Set conda_python_version to 3.10 (it is 3.1)",
    ),
    (
        "a torch that may have lost its zero",
        {"torch": 2.1},
        cluster(node("a100")),
        [("torch", [], "torch_version is the number 2.1, and YAML reads 2.10 without quotes as that too")],
        "Set torch_version to 2.1.0 (it is 2.1)",
    ),
    (
        "a list",
        {"torch": ["2.0.1"]},
        cluster(node("a100")),
        [("torch", [], "torch_version is ['2.0.1']; it must be one value, as text.")],
        "Set torch_version to 2.13.0",
    ),
    (
        "a truth",
        {"python": True},
        cluster(node("a100")),
        [("python", [], "conda_python_version is True; it must be one value, as text.")],
        "Set conda_python_version to 3.11",
    ),
    (
        "a mapping for apex",
        {"apex": {"ref": "25.09"}},
        cluster(node("a100")),
        [("apex", [], "it must be a ref of apex's repository, true or false")],
        "Leave apex_ref out",
    ),
    (
        "a wish by another name",
        {"pytorch": "2.0.1"},
        cluster(node("a100")),
        [("pytorch", [], "There is no wish 'pytorch'; 'torch' may be meant.")],
        "Leave the wish 'pytorch' out: then",
    ),
    (
        "a branch of a node that cannot be read",
        {},
        cluster(node("a100", driver_branch="r580"), node("a100")),
        [("driver_branch", [1], "node1: nvidia_driver_branch is 'r580', which is no version of driver branch")],
        "nvidia_driver_branch",
    ),
    (
        "modules of a node that there are not",
        {},
        cluster(node("a100"), node("a100", driver_flavour="opne")),
        [("driver_flavour", [2], "node2: nvidia_driver_flavour is 'opne'; it must be auto, open or proprietary.")],
        "then torch 2.13.0+cu130",
    ),
    (
        "all at once",
        {"python": "3.13", "torch": "2.0.1+cu117", "torch_build": "cu118", "cuda": "13.0", "bf16": True},
        cluster(fixed("v100s", "450.80.02"), node("b200")),
        [
            ("torch_build", [], "contradict each other"),
            ("python", [], "torch 2.0.1 has wheels for python 3.8 to 3.11, not for 3.13"),
            ("cuda", [], "begins with 13.0"),
            ("bf16", [1], "Tesla V100S-PCIE-32GB on node1 has 7.0"),
            ("torch", [2], "no kernels for compute capability 10.0 (NVIDIA B200 on node2)"),
        ],
        "Take node1 out of group 'nodes', set torch_version to 2.13.0+cu130 (it is 2.0.1+cu117) and leave "
        "torch_build out (it is cu118): then torch 2.13.0+cu130, python 3.13",
    ),
]


@pytest.mark.parametrize(
    ("wishes", "nodes", "expected", "works"), [case[1:] for case in CONFLICTS], ids=[case[0] for case in CONFLICTS]
)
def test_conflicts(wishes: dict[str, Any], nodes: dict[str, Any], expected: Expected, works: str) -> None:
    found = resolve_stack(wishes, nodes, "2026-11")
    assert found["plan"] is None
    told = [(conflict["subject"], conflict["hosts"], conflict["reason"]) for conflict in found["conflicts"]]
    assert [(subject, hosts) for subject, hosts, _reason in told] == [
        (subject, [f"node{number}" for number in numbers]) for subject, numbers, _words in expected
    ], told
    for (_subject, _hosts, reason), (*_same, words) in zip(told, expected, strict=True):
        assert words in reason
        assert reason.endswith(".") and "{hosts}" not in reason and ".." not in reason
    assert (found["nearest"] or {}).get("text", "").startswith(works) or works in found["nearest"]["text"]
    assert bool(found["nearest"]) == bool(works)


def _after(nodes: dict[str, Any], text: str) -> dict[str, Any]:
    """Nodes as they are when a sentence about them was followed."""
    left = {name: dict(each) for name, each in nodes.items() if f"{name} out of group" not in text}
    for name, each in left.items():
        if f"nvidia_driver_manage to true on {name}" in text:
            each["driver_manage"] = True
        if f"nvidia_driver_flavour to auto on {name}" in text or "modules of a node" in text:
            each["driver_flavour"] = "auto"
        if f"nvidia_driver_branch to 580 on {name}" in text:
            each["driver_branch"] = "580"
    return left


@pytest.mark.parametrize(
    ("wishes", "nodes", "works"),
    [(case[1], case[2], case[4]) for case in CONFLICTS if case[4] and " of a node " not in f" {case[0]} "],
    ids=[case[0] for case in CONFLICTS if case[4] and " of a node " not in f" {case[0]} "],
)
def test_the_nearest_set_works(wishes: dict[str, Any], nodes: dict[str, Any], works: str) -> None:
    nearest = resolve_stack(wishes, nodes, "2026-11")["nearest"]
    again = resolve_stack(nearest["wishes"], _after(nodes, nearest["text"]), "2026-11")
    assert again["conflicts"] == []
    torch = again["plan"]["torch"]
    assert f"torch {torch['version']}+{torch['build']}, python {again['plan']['python']}" in nearest["text"]
