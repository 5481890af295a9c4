# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict on a cluster. Plain results of modules in, checks with reasons and fixes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import Check, Cluster, Found
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.launch import check_launch, loaded_ops
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.layers import (
    check_environments,
    check_nodes,
    check_pdsh,
    check_ssh,
    silent_nodes,
)

__all__ = ["Cluster", "judge"]

# More names than these do not help the one who reads them.
_MOST_HOSTS = 8


def _first(run: Found, stage: str) -> dict[str, Any]:
    """What the first rank that came to a stage reported there; empty where none did."""
    return dict(next((report for report in run.get("reports") or () if report["stage"] == stage), {}))


def _of_all(run: Found, stage: str, name: str) -> str | None:
    """What all ranks report of themselves at a stage: one value, or the different ones with commas; None for none."""
    values = [str(report[name]) for report in run.get("reports") or () if report["stage"] == stage and report.get(name)]
    return ", ".join(dict.fromkeys(values)) or None


def _summary(cluster: Cluster, checks: Sequence[Check]) -> dict[str, Any]:
    run = cluster.training
    joined, reduced = _first(run, "joined"), _first(run, "reduced")
    prepared, trained = _first(run, "prepared"), _first(run, "trained")
    return {
        "nodes": list(cluster.nodes),
        "left_alone": list(cluster.away),
        "world_size": joined.get("world"),
        "hosts": sorted({str(said["host"]) for said in run.get("reports") or () if said["stage"] == "joined"}),
        "accelerator": _of_all(run, "imported", "accelerator"),
        "device": _of_all(run, "imported", "device"),
        "backend": _of_all(run, "joined", "backend"),
        "all_reduce": reduced.get("total"),
        "config": run.get("config") or None,
        "precision": prepared.get("precision"),
        "optimizer": prepared.get("optimizer"),
        "zero_stage": prepared.get("zero_stage"),
        "filled_in": list(prepared.get("notes") or ()),
        "loss_first": trained.get("first"),
        "loss_last": trained.get("last"),
        "failed": sum(not check.ok for check in checks),
    }


def _launch_lines(run: Found, summary: Mapping[str, Any]) -> list[str]:
    """What a launch has shown, as far as it came."""
    lines = []
    if summary["world_size"]:
        hosts = summary["hosts"]
        where = ", ".join(hosts) if len(hosts) <= _MOST_HOSTS else f"{len(hosts)} hosts"
        lines.append(f"world size {summary['world_size']} on {where}")
        device = f" ({summary['device']})" if summary["device"] else ""
        lines.append(f"accelerator {summary['accelerator']}{device}, backend {summary['backend']}")
    if summary["all_reduce"] is not None:
        lines.append(f"all-reduce {summary['all_reduce']:g}")
    if summary["optimizer"]:
        lines.append(
            f"{summary['config']}: {summary['optimizer']}, {summary['precision']}, ZeRO stage {summary['zero_stage']}"
        )
    if summary["filled_in"]:
        lines.append(f"the configuration leaves to the Trainer, and verify used: {', '.join(summary['filled_in'])}")
    compiled = {
        op: max(took for _how, took in (ops[op] for ops in loaded_ops(run).values() if op in ops))
        for ops in loaded_ops(run).values()
        for op, (how, _took) in ops.items()
        if how == "compiled"
    }
    lines += [f"op {op} compiled in {took:g} s; later jobs find it compiled" for op, took in compiled.items()]
    if summary["loss_first"] is not None:
        lines.append(f"loss {summary['loss_first']:.4f} -> {summary['loss_last']:.4f}")
    return lines


def _not_checked(cluster: Cluster, pending: Sequence[Check]) -> list[str]:
    """What a run in check mode cannot judge, and why: what only site sets up, and the launch."""
    nodes = {
        check.layer: dict.fromkeys(other.node for other in pending if other.layer == check.layer) for check in pending
    }
    lines = [
        f"{layer}: not checked on {listed(list(where))}; the playbook 'site' sets it up, and --check changes nothing"
        for layer, where in nodes.items()
    ]
    if cluster.check_mode and cluster.head in cluster.nodes:
        lines.append("launch and the layers after it: not checked, since --check launches nothing")
    return lines


def _lines(
    cluster: Cluster, checks: Sequence[Check], pending: Sequence[Check], summary: Mapping[str, Any]
) -> list[str]:
    lines = []
    for layer in dict.fromkeys(check.layer for check in checks):
        of_layer = [check for check in checks if check.layer == layer]
        failed = sum(not check.ok for check in of_layer)
        state = "passed" if not failed else f"{failed} of {len(of_layer)} checks failed"
        lines.append(f"{layer}: {state}")
    lines += _not_checked(cluster, pending)
    if cluster.training.get("slots"):
        lines += _launch_lines(cluster.training, summary)
    if cluster.away:
        lines.append(f"left alone because of --limit, and not verified: {', '.join(cluster.away)}")
    if silent_nodes(cluster):
        lines.append(f"did not answer, so nobody knows whether they let these in: {', '.join(silent_nodes(cluster))}")
    if cluster.idle:
        lines.append(f"no rank is meant to run there, since hostfile_slots is 0: {', '.join(cluster.idle)}")
    if not cluster.training:
        lines.append(f"no launch was tried: {cluster.head}, the head, takes no part in this run")
    return lines


def judge(cluster: Cluster) -> dict[str, Any]:
    """The verdict: C(ok), C(checks), C(summary), and C(text), the same as lines for people.

    Nothing that was not proved is called good: a cluster of which nothing was launched, although its head takes part,
    is not ok. In check mode no launch is tried, and what site would set up is no failure; the text says so.
    """
    found = [
        *check_nodes(cluster),
        *check_environments(cluster),
        *check_ssh(cluster),
        *check_pdsh(cluster),
        *([] if cluster.check_mode else check_launch(cluster)),
    ]
    pending = [check for check in found if check.by_site] if cluster.check_mode else []
    checks = [check for check in found if check not in pending]
    if cluster.head in cluster.nodes and not cluster.training and not cluster.check_mode:
        fix = "Run the playbook 'verify' without --check."
        checks.append(Check("launch", "starts every rank", cluster.head, False, "nothing was launched", fix))
    summary = _summary(cluster, checks)
    return {
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
        "summary": summary,
        "text": _lines(cluster, checks, pending, summary),
        "failures": [check.sentence() for check in checks if not check.ok],
    }
