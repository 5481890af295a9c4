# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes to try the resolver with, as gpu_info reports them."""

from __future__ import annotations

from typing import Any

_NVIDIA = {
    "k80": ("Tesla K80", "Kepler", "3.7"),
    "m40": ("Tesla M40", "Maxwell", "5.2"),
    "p100": ("Tesla P100-PCIE-16GB", "Pascal", "6.0"),
    "1080": ("NVIDIA GeForce GTX 1080 Ti", "Pascal", "6.1"),
    "v100": ("Tesla V100-SXM2-16GB", "Volta", "7.0"),
    "v100s": ("Tesla V100S-PCIE-32GB", "Volta", "7.0"),
    "t4": ("Tesla T4", "Turing", "7.5"),
    "2080": ("NVIDIA GeForce RTX 2080 Ti", "Turing", "7.5"),
    "a100": ("NVIDIA A100-PCIE-40GB", "Ampere", "8.0"),
    "3090": ("NVIDIA GeForce RTX 3090", "Ampere", "8.6"),
    "a40": ("NVIDIA A40", "Ampere", "8.6"),
    "4090": ("NVIDIA GeForce RTX 4090", "Ada", "8.9"),
    "h100": ("NVIDIA H100 80GB HBM3", "Hopper", "9.0"),
    "gh200": ("NVIDIA GH200 480GB", "Hopper", "9.0"),
    "b200": ("NVIDIA B200", "Blackwell", "10.0"),
    "b300": ("NVIDIA B300 SXM6 AC", "Blackwell", "10.3"),
    "5090": ("NVIDIA GeForce RTX 5090", "Blackwell", "12.0"),
    "gb10": ("NVIDIA GB10", "Blackwell", "12.1"),
    "rubin": ("NVIDIA Rubin", "Rubin", "10.7"),
    "unknown": ("NVIDIA Device 3fff", None, None),
}
_AMD = {"mi100": "gfx908", "mi210": "gfx90a", "mi300x": "gfx942", "mi355x": "gfx950"}
ARCHITECTURES = [name for name in _NVIDIA if name != "unknown"]


def gpu(name: str) -> dict[str, Any]:
    """One GPU by a short name."""
    if name in _NVIDIA:
        product, architecture, capability = _NVIDIA[name]
        return {
            "vendor": "nvidia",
            "name": product,
            "architecture": architecture,
            "compute_capability": capability,
            "gfx": None,
        }
    # Graphics inside a processor have no gfx name that is known.
    gfx = _AMD.get(name)
    return {
        "vendor": "amd",
        "name": f"AMD {name.upper()}",
        "architecture": None,
        "compute_capability": None,
        "gfx": gfx,
    }


def node(gpus: str = "", driver: str | dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A node with GPUs by their short names, and a driver that is loaded and whole where only its version is given."""
    if isinstance(driver, str):
        driver = {"loaded": driver, "library": driver, "agrees": True, "flavour": None}
    return {
        "gpus": [{"index": index, **gpu(name)} for index, name in enumerate(gpus.split())],
        "driver": driver or {},
        "machine": "x86_64",
        "glibc": "2.36",
        "distribution": "Debian",
        "distribution_version": "12",
        "driver_manage": True,
        "driver_branch": "",
        "driver_version": "",
        "driver_flavour": "auto",
        **changes,
    }


def fixed(gpus: str, driver: str | dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """A node whose driver may not be touched."""
    return node(gpus, driver, driver_manage=False, **changes)


def cluster(*nodes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Nodes as node1, node2 and so on."""
    return {f"node{number}": each for number, each in enumerate(nodes, 1)}
