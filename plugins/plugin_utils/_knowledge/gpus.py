# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a GPU beyond what its node can tell: from PCI ids and names to architectures, by data/gpus.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Table = Mapping[str, Any]


def _chip(table: Table, device: str) -> Table:
    """The row of the chip that a PCI device id belongs to, empty where none does."""
    number = int(device, 16)
    return next((row for row in table["chips"] if int(row["first"], 16) <= number <= int(row["last"], 16)), {})


def capability_of_name(table: Table, name: str) -> str | None:
    """The compute capability of a product by its name."""
    found = (row["compute_capability"] for row in table["products"] if re.search(row["pattern"], name, re.IGNORECASE))
    return next((str(capability) for capability in found), None)


def architecture_of(table: Table, capability: str | None) -> str | None:
    """The architecture of a compute capability."""
    rows = table["architectures"]
    return next((str(row["name"]) for row in rows if capability in row["compute_capabilities"]), None)


def _nvidia(gpu: Mapping[str, Any], table: Table) -> dict[str, Any]:
    device = str(gpu["pci_id"] or "").partition(":")[2]
    chip = _chip(table, device) if device else {}
    name = gpu["name"] or table["boards"].get(device) or (f"NVIDIA {chip['chip']}" if chip else None)
    capability = gpu["compute_capability"] or chip.get("compute_capability") or capability_of_name(table, name or "")
    architecture = architecture_of(table, capability) or chip.get("architecture")
    return {**gpu, "name": name, "compute_capability": capability, "architecture": architecture}


def _amd(gpu: Mapping[str, Any], table: Table) -> dict[str, Any]:
    device = str(gpu["pci_id"] or "").partition(":")[2]
    row: Table = next((row for row in table["amd"] if device in row["ids"]), {})
    gfx = gpu["gfx"] or row.get("gfx")
    if gfx in table["processor_graphics"]:
        gfx = None
    return {**gpu, "name": gpu["name"] or row.get("name"), "gfx": gfx, "architecture": row.get("architecture")}


def completed(report: Mapping[str, Any], gpus: Table, drivers: Table) -> dict[str, Any]:
    """The fact fromzero_gpus with what the tables know, where the node itself could not tell.

    :param gpus: the rows of data/gpus.yml. drivers: those of data/drivers.yml, for the highest CUDA of a branch.
    """
    driver = dict(report["driver"])
    branch = str(driver["library"] or driver["loaded"] or "").partition(".")[0]
    carried = (row["cuda"] for row in drivers["branches"] if str(row["branch"]) == branch)
    driver["cuda"] = driver["cuda"] or next(carried, None)
    known = [_amd(gpu, gpus) if gpu["vendor"] == "amd" else _nvidia(gpu, gpus) for gpu in report["gpus"]]
    return {**report, "gpus": known, "driver": driver}
