# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges what the probes of a cluster found. Plain results of modules in, checks with reasons and fixes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict_check import Check, Cluster
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict_launch import check_launch
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict_layers import (
    check_environments,
    check_nodes,
    check_pdsh,
    check_ssh,
)

__all__ = ["Cluster", "judge"]

# More names than these do not help the one who reads them.
_MOST_HOSTS = 8


def _summary(cluster: Cluster, checks: Sequence[Check]) -> dict[str, Any]:
    run = cluster.training
    told = list(run.get("told") or ())
    trained = next((said for said in told if said["stage"] == "trained"), None)
    reduced = next((said for said in told if said["stage"] == "reduced"), None)
    joined = next((said for said in told if said["stage"] == "joined"), None)
    return {
        "nodes": list(cluster.nodes),
        "left_alone": list(cluster.away),
        "world_size": joined["world"] if joined else None,
        "hosts": sorted({str(said["host"]) for said in told if said["stage"] == "joined"}),
        "all_reduce": reduced["total"] if reduced else None,
        "loss_first": trained["first"] if trained else None,
        "loss_last": trained["last"] if trained else None,
        "failed": sum(not check.ok for check in checks),
    }


def _lines(cluster: Cluster, checks: Sequence[Check], summary: Mapping[str, Any]) -> list[str]:
    lines = []
    for layer in dict.fromkeys(check.layer for check in checks):
        of_layer = [check for check in checks if check.layer == layer]
        failed = sum(not check.ok for check in of_layer)
        state = "passed" if not failed else f"{failed} of {len(of_layer)} checks failed"
        lines.append(f"{layer}: {state}")
    if summary["world_size"]:
        hosts = summary["hosts"]
        where = ", ".join(hosts) if len(hosts) <= _MOST_HOSTS else f"{len(hosts)} hosts"
        lines.append(f"world size {summary['world_size']} on {where}")
    if summary["all_reduce"] is not None:
        lines.append(f"all-reduce {summary['all_reduce']:g}")
    if summary["loss_first"] is not None:
        lines.append(f"loss {summary['loss_first']:.4f} -> {summary['loss_last']:.4f}")
    if cluster.away:
        lines.append(f"left alone because of --limit, and not verified: {', '.join(cluster.away)}")
    if cluster.idle:
        lines.append(f"no rank is meant to run there, since hostfile_slots is 0: {', '.join(cluster.idle)}")
    if not cluster.training:
        lines.append(f"no launch was tried: {cluster.head}, the head, takes no part in this run")
    return lines


def judge(cluster: Cluster) -> dict[str, Any]:
    """The verdict: C(ok), C(checks), C(summary), and C(text), the same as lines for people.

    Nothing that was not proved is called good: a cluster of which nothing was launched, although its head takes part,
    is not ok.
    """
    checks = [
        *check_nodes(cluster),
        *check_environments(cluster),
        *check_ssh(cluster),
        *check_pdsh(cluster),
        *check_launch(cluster),
    ]
    if cluster.head in cluster.nodes and not cluster.training:
        fix = "Run the playbook 'verify' without --check."
        checks.append(Check("launch", "starts every rank", cluster.head, False, "nothing was launched", fix))
    summary = _summary(cluster, checks)
    return {
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
        "summary": summary,
        "text": _lines(cluster, checks, summary),
        "failures": [check.sentence() for check in checks if not check.ok],
    }
