# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of a node's GPUs an accelerator computes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VENDORS: Mapping[str, str] = {"cuda": "nvidia", "rocm": "amd"}
MAKERS: Mapping[str, str] = {"cuda": "NVIDIA", "rocm": "AMD"}


def _computes(gpu: Mapping[str, Any], vendor: str) -> bool:
    """Graphics inside an AMD processor are a GPU without a known instruction set, and no accelerator."""
    if gpu.get("vendor", "nvidia") != vendor:
        return False
    return vendor == "nvidia" or bool(gpu.get("gfx"))


def accelerator_of(gpus: Sequence[Mapping[str, Any]]) -> str | None:
    """What GPUs compute with: cuda where any is NVIDIA's, rocm where AMD's are, null where none computes."""
    return next((name for name, vendor in VENDORS.items() if any(_computes(gpu, vendor) for gpu in gpus)), None)


def computing(report: Mapping[str, Any] | None, accelerator: str) -> list[Mapping[str, Any]]:
    """The GPUs of the fact fromzero_gpus that an accelerator computes on; for auto, on that which they compute with."""
    gpus = (report or {}).get("gpus") or []
    vendor = VENDORS.get(str(accelerator_of(gpus) if accelerator == "auto" else accelerator))
    return [gpu for gpu in gpus if vendor and _computes(gpu, vendor)]
