# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each rank computes on what was meant, and if not, why: from what torch sees on a node to a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import RUN_SITE, Check, Cluster, Found
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.ranks import of_stage, owners

_BACKENDS = {"cuda": "nccl", "rocm": "nccl", "cpu": "gloo"}
_MAKERS = {"cuda": "CUDA", "rocm": "ROCm"}
_TOO_OLD = re.compile(r"too old|driver version is insufficient", re.IGNORECASE)
_RUN_HOSTFILE = "Run the playbook 'hostfile'"


def _build(report: Found, wanted: str) -> tuple[str, str]:
    """Why the build of torch cannot use the GPUs, with the fix."""
    other = {"cuda": "hip", "rocm": "cuda"}[wanted]
    kind = (
        f"for {_MAKERS['rocm' if wanted == 'cuda' else 'cuda']}" if report.get(other) else f"without {_MAKERS[wanted]}"
    )
    fix = f"{RUN_SITE} with cluster_accelerator: {wanted}, which installs the right build."
    return f"torch {report['torch']} is a build {kind}", fix


def _driver(report: Found) -> tuple[str, str]:
    """Why torch sees no GPU of NVIDIA's although its build could, with the fix."""
    why, driver = str(report.get("why") or ""), str(report.get("driver") or "")
    if _TOO_OLD.search(why):
        which = f"the driver{f' {driver}' if driver else ''}"
        reason = f"{which} is too old for torch {report['torch']}, which was built for CUDA {report['cuda']}"
        fix = f"{RUN_SITE}, which upgrades the driver, or takes a torch for this one where you have set no version."
        return f"{reason} (torch: {why.rstrip('.')})", fix
    if report.get("denied"):
        reason = f"the account that trains may not use {listed([str(path) for path in report['denied']])}"
        fix = "Give it read and write access there ('ls -l' shows the group of these files), and run again."
        return reason, fix
    if not driver:
        return "no NVIDIA driver is loaded", f"{RUN_SITE} with the tag nvidia_driver."
    if not report.get("device_files"):
        reason = f"there is no /dev/nvidia0, although the driver {driver} is loaded"
        return reason, "Run 'nvidia-modprobe -c 0 -u' there; a container needs the GPUs from its engine (--gpus all)."
    return (
        f"torch sees no GPU ({why.rstrip('.') or 'it does not say why'})",
        "Look at nvidia-smi and dmesg on that node.",
    )


def explain(report: Found, wanted: str) -> tuple[str, str]:
    """Why a rank computes on the CPU where GPUs were meant, with the fix."""
    visible = report.get("visible")
    if report.get("forced"):
        reason = f"DS_ACCELERATOR is {report['forced']} there"
        return (
            reason,
            f"{_RUN_HOSTFILE}, which writes that variable into ~/.deepspeed_env, and look for it in ~/.bashrc.",
        )
    if not report.get({"cuda": "cuda", "rocm": "hip"}[wanted]):
        return _build(report, wanted)
    if visible is not None and str(visible).strip() in ("", "-1"):
        name = "HIP_VISIBLE_DEVICES" if wanted == "rocm" else "CUDA_VISIBLE_DEVICES"
        return f"{name} hides all GPUs there", f"Take {name} out of the environment of the account that trains."
    if wanted == "cuda":
        return _driver(report)
    if report.get("denied"):
        reason = f"the account that trains may not use {listed([str(path) for path in report['denied']])}"
        return reason, "Add it to the groups video and render there, and run again."
    why = str(report.get("why") or "it does not say why").rstrip(".")
    return f"torch sees no GPU ({why})", "Look at rocminfo and dmesg on that node."


def _wrong(report: Found, wanted: str, slots: int) -> tuple[str, str]:
    """What is wrong with what a rank computes on, with the fix; two empty texts where nothing is."""
    found = str(report["accelerator"])
    if found == "cpu" and wanted != "cpu":
        if wanted == "auto":
            reason, fix = explain(report, "rocm" if report.get("hip") else "cuda")
            return f"it computes on its CPU: {reason}", f"Set cluster_accelerator: cpu where that is meant. Else: {fix}"
        reason, fix = explain(report, wanted)
        return f"it computes on its CPU, but cluster_accelerator is {wanted}: {reason}", fix
    if wanted not in ("auto", found):
        reason = f"it computes on {found}, but cluster_accelerator is {wanted}"
        return reason, f"{_RUN_HOSTFILE}, which tells the ranks what to compute on."
    devices = int(report["devices"])
    if found in _MAKERS and devices != slots:
        seen, given = f"{devices} GPU{'' if devices == 1 else 's'}", f"{slots} slot{'' if slots == 1 else 's'}"
        reason = f"torch sees {seen} there, and the hostfile has {given}"
        return reason, f"{_RUN_HOSTFILE}, which counts the GPUs; if one is missing, look at dmesg on that node."
    return "", ""


def check_accelerators(cluster: Cluster, run: Found) -> Iterator[Check]:
    """The nodes whose ranks compute on something else than what was meant."""
    nodes = owners(run)
    seen: set[str] = set()
    for report in of_stage(run, "imported"):
        node = nodes.get(int(report["rank"]), str(report["host"]))
        reason, fix = _wrong(report, cluster.accelerator, int(run["slots"].get(node, 0)))
        if reason and node not in seen:
            seen.add(node)
            yield Check("accelerator", cluster.accelerator, node, False, reason, fix)


def _kinds(reports: Sequence[Found]) -> str:
    """What the ranks of a node compute on, in words."""
    names = list(dict.fromkeys(str(report["device"] or report["accelerator"]) for report in reports))
    return f"{len(reports)} x {listed(names)}"


def check_backends(run: Found) -> Iterator[Check]:
    """For each node what its ranks compute on, and whether they talk by the backend that belongs to it."""
    nodes = owners(run)
    used = {int(report["rank"]): str(report["backend"]) for report in of_stage(run, "joined")}
    by_node: dict[str, list[Found]] = {}
    for report in of_stage(run, "imported"):
        by_node.setdefault(nodes.get(int(report["rank"]), str(report["host"])), []).append(report)
    unknown = [rank for rank in nodes if rank not in {int(report["rank"]) for report in of_stage(run, "imported")}]
    first_unknown: dict[str, int] = {}
    for rank in unknown:
        first_unknown.setdefault(nodes[rank], rank)
    for node, rank in first_unknown.items():
        reason = f"rank {rank} does not report what it computes on"
        yield Check("accelerator", "reported", node, False, reason, "Run verify again.")
    for node, reports in by_node.items():
        name = f"{_kinds(reports)}, {used.get(int(reports[0]['rank']), '')}"
        meant = _BACKENDS.get(str(reports[0]["accelerator"]), "")
        wrong = next((report for report in reports if meant not in used.get(int(report["rank"]), meant)), None)
        if wrong is None:
            yield Check("accelerator", name, node, True)
            continue
        rank = int(wrong["rank"])
        reason = f"rank {rank} reduces by {used[rank]}, and {meant} belongs to {wrong['accelerator']}"
        fix = "Take what chooses another backend out of hostfile_environment and hostfile_config."
        yield Check("accelerator", name, node, False, reason, f"{fix} Then run the playbook 'hostfile'.")
