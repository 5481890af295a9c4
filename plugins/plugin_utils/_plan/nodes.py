# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nodes report, as the resolver of stacks takes it and as a run writes it down for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.checks import slot_count
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import flag, resolve
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.accelerators import VENDORS, computing
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.driver_check import VARIABLES as OF_ITS_DRIVER
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.toolkit_check import VARIABLES as OF_ITS_TOOLKITS

Values = Mapping[str, Any]

# What a node is given that concerns its own part of a plan.
VARIABLES = ("cluster_become", "hostfile_slots", *OF_ITS_DRIVER, *OF_ITS_TOOLKITS)
# What decides a plan. Memory, UUIDs and process numbers do not, and would change the record for nothing.
_GPU = ("vendor", "name", "architecture", "compute_capability", "gfx", "pci_id")


def _said(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the values that say something."""
    return {name: found[name] for name in names if found.get(name) not in (None, "", [], {})}


def _alike(gpus: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """GPUs in their order, neighbours that are the same as one with their count."""
    found: list[dict[str, Any]] = []
    for gpu in gpus:
        kind = _said(gpu, _GPU)
        if found and {**found[-1], "count": None} == {**kind, "count": None}:
            found[-1]["count"] += 1
        else:
            found.append({**kind, "count": 1})
    return found


def _driver(found: Mapping[str, Any]) -> dict[str, Any]:
    """What there is of a driver; its packages count only where nothing else tells the version."""
    driver = _said(found, ("loaded", "library", "flavour"))
    if isinstance(found.get("built"), Mapping):
        driver["built"] = {"version": found["built"].get("version")}
    if not driver.keys() & {"loaded", "library"} and found.get("packages"):
        driver["packages"] = [_said(package, ("name", "version")) for package in found["packages"]]
    return driver


def reported(node: Node) -> dict[str, Any]:
    """What a node has that decides the plan, without what says nothing."""
    gpus = [gpu for accelerator in VENDORS for gpu in computing(node.gpu_report, accelerator)]
    found = {
        "gpus": _alike(gpus),
        "driver": _driver(node.gpu_report.get("driver") or {}) if gpus else {},
        "machine": node.facts.get("architecture"),
        "glibc": node.report.get("glibc"),
        "processor": node.report.get("processor"),
        "distribution": node.facts.get("distribution"),
        "distribution_version": node.facts.get("distribution_version"),
    }
    return _said(found, tuple(found))


def request(found: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """What the resolver takes for one node.

    :param found: as reported() gave it, now or in an earlier run.
    :param values: those of the node's VARIABLES that are given.
    """
    gpus = [
        {"index": index, **{name: kind.get(name) for name in _GPU}}
        for index, kind in enumerate(kind for kind in found.get("gpus") or [] for _each in range(kind.get("count", 1)))
    ]
    return {
        "gpus": gpus,
        "driver": found.get("driver") or {},
        "machine": found.get("machine"),
        "glibc": found.get("glibc"),
        "distribution": found.get("distribution"),
        "distribution_version": found.get("distribution_version"),
        # Without root nothing of the system can be changed, whatever is wished.
        "driver_manage": flag(values.get("nvidia_driver_manage", True)) and resolve("cluster_become", values),
        "driver_branch": str(values.get("nvidia_driver_branch") or ""),
        "driver_version": str(values.get("nvidia_driver_version") or ""),
        "driver_flavour": str(values.get("nvidia_driver_flavour") or "auto"),
    }


def builder(found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The node whose builds run on the most others: of the commonest architecture, with the oldest C library, and of
    those with the processor that can least; the first where several are alike. Null without nodes.

    :param found: what is known of each node, as reported() gave it.
    """
    machines = [node.get("machine") for node in found.values()]
    common = max(machines, key=machines.count, default=None)
    alike = [name for name, node in found.items() if node.get("machine") == common]
    return min(
        alike,
        key=lambda name: (
            numbers(str(found[name].get("glibc") or "0")),
            int(found[name].get("processor") or 0),
        ),
        default=None,
    )


def brings(node: Node, accelerator: str) -> dict[str, Any]:
    """What a node brings to a launch: interface and address between nodes, and slots, counted as in role hostfile."""
    link = (node.facts.get("fromzero_network") or {}).get("link") or {}
    slots = slot_count(node.values.get("hostfile_slots"))
    if slots is None:
        on_cpu = slot_count(node.values.get("hostfile_cpu_slots", 1))
        slots = on_cpu if accelerator == "cpu" else node.gpus_for(accelerator)
    return {"interface": link.get("interface") or "", "address": link.get("address") or "", "slots": slots or 0}
