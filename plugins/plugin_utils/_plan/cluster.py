# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides one stack for all nodes of an inventory, those that a run looks at and those that an earlier one has seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import (
    Node,
    accelerator_problems,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan import driver_check, toolkit_check
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.nodes import brings, builder, reported, request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.record import differences, keep
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.user_requests import wishes

Requests = Mapping[str, Mapping[str, Any]]
# (wishes, nodes) -> plan, conflicts, nearest, warnings.
Resolve = Callable[[Mapping[str, Any], Requests], Mapping[str, Any]]

# Kinds of nodes that are each tried without, to see which of them holds the others back.
_KINDS_TRIED = 8


@dataclass(frozen=True)
class Cluster:
    """What a plan is made from.

    members: all nodes of the inventory. nodes: those that this run has looked at. outside: those that it leaves alone.
    values: what each member is given of the variables that wish for something. before: the record of the last run.
    """

    members: Sequence[str]
    nodes: Sequence[Node]
    outside: Sequence[str]
    values: Mapping[str, Mapping[str, Any]]
    before: Mapping[str, Any]

    def found(self) -> dict[str, Any]:
        """What decides the plan on each member that is known, in the order of the inventory."""
        now = {node.name: reported(node) for node in self.nodes}
        known = self.before.get("nodes") or {}
        then = {name: known[name]["found"] for name in self.members if "found" in known.get(name, {})}
        return {name: now.get(name, then.get(name)) for name in self.members if name in now or name in then}


def _headless(cluster: Cluster, requests: Requests) -> list[str]:
    """No GPU where one is needed, on all nodes that are known."""
    here = {node.name: node for node in cluster.nodes}
    known = [
        here.get(name) or Node(name, {"fromzero_gpus": asked}, cluster.values.get(name, {}))
        for name, asked in requests.items()
    ]
    return accelerator_problems(known) if known else []


def _kinds(requests: Requests) -> list[list[str]]:
    """The nodes, those together that a plan cannot tell apart."""
    kinds: dict[str, list[str]] = {}
    for name, asked in requests.items():
        kinds.setdefault(json.dumps(asked, sort_keys=True), []).append(name)
    return list(kinds.values())


def _limits(plan: Mapping[str, Any], wished: Mapping[str, Any], requests: Requests, resolve: Resolve) -> list[str]:
    """Which nodes hold the others back, by deciding again without each kind of them."""
    kinds = _kinds(requests)
    if not 1 < len(kinds) <= _KINDS_TRIED:
        return []
    found = []
    for kind in kinds:
        others = {names[0]: requests[names[0]] for names in kinds if names is not kind}
        without = resolve(wished, others)["plan"]
        better = differences(plan, without) if without else []
        if better:
            verb, it = ("decides", "it") if len(kind) == 1 else ("decide", "them")
            gpus = plan["nodes"][kind[0]].get("gpus")
            found.append(f"{named(kind)}{f' ({gpus})' if gpus else ''} {verb}: without {it} {', '.join(better)}.")
    return found


def _why(plan: Mapping[str, Any], wished: Mapping[str, Any], requests: Requests, resolve: Resolve) -> list[str]:
    asked = [name if value is True else f"{name} {value}" for name, value in wished.items()]
    found = [f"Wished for: {', '.join(asked)}."] if asked else []
    found += _limits(plan, wished, requests, resolve)
    curated = {row["stack"]: row["why"] for row in rows("stacks")["stacks"]}
    return [*found, f"{plan['stack']}: {curated[plan['stack']]}."] if plan["stack"] in curated else found


def _entries(cluster: Cluster, found: Mapping[str, Any], planned: Requests, brought: Requests) -> dict[str, Any]:
    """What is written down of each node."""
    known = cluster.before.get("nodes") or {}
    return {
        name: {
            **{key: known.get(name, {}).get(key) for key in ("interface", "address", "slots")},
            **brought.get(name, {}),
            "found": found[name],
            "plan": planned[name],
        }
        for name in found
    }


def _refused(cluster: Cluster, plan: Mapping[str, Any], planned: Requests) -> list[str]:
    """What the roles nvidia_driver and cuda_toolkit would refuse on the nodes that this run looks at."""
    driver, cuda, found = plan["driver"], plan["cuda"], []
    for node in cluster.nodes:
        own, values = planned[node.name]["driver"], cluster.values.get(node.name, {})
        found += driver_check.refusals(node, own, driver["least"], values) if driver else []
        found += toolkit_check.refusals(node, own, cuda["version"], values) if cuda else []
    return list(dict.fromkeys(found))


def _unseen(cluster: Cluster, found: Mapping[str, Any]) -> list[str]:
    unseen = [name for name in cluster.members if name not in found]
    return [f"The plan is made without {named(unseen)}, which no run has looked at yet."] if unseen else []


def _parted(cluster: Cluster, changed: Sequence[str]) -> list[str]:
    if not changed:
        return []
    return [
        f"This run comes to another plan than the one for {named(cluster.outside)}: {', '.join(changed)}. Run without "
        "--limit, so that all nodes get it."
    ]


def decide(cluster: Cluster, resolve: Resolve) -> dict[str, Any]:
    """The plan of a cluster, or all that stands against one.

    The result has C(problems) and C(remarks), sentences, and C(nearest), one, empty where there is none. Without
    problems it also has C(plan), what all nodes have in common; C(nodes), what is planned for each that the run looks
    at; C(brings), what each of those brings to a launch; C(why), sentences; C(record), what is to be written down.
    """
    wished, problems = wishes(cluster.members, cluster.values)
    found = cluster.found()
    requests = {name: request(part, cluster.values.get(name, {})) for name, part in found.items()}
    resolved = resolve(wished, requests)
    headless = _headless(cluster, requests)
    problems += headless
    # The resolver says it too, and knows nothing of slots that are given.
    told = [conflict for conflict in resolved["conflicts"] if not headless or conflict["subject"] != "accelerator"]
    problems += [str(conflict["reason"]) for conflict in told]
    said = {
        "problems": problems,
        "nearest": (resolved["nearest"] or {}).get("text", ""),
        "remarks": [*resolved["warnings"], *_unseen(cluster, found)],
    }
    if not resolved["plan"]:
        return said
    plan = {name: value for name, value in resolved["plan"].items() if name != "nodes"} | {"builder": builder(found)}
    planned = resolved["plan"]["nodes"]
    problems += _refused(cluster, plan, planned)
    if problems:
        return said
    brought = {node.name: brings(node, plan["accelerator"]) for node in cluster.nodes}
    after = {**plan, "nodes": _entries(cluster, found, planned, brought)}
    record, changed = keep(cluster.before, after, cluster.outside)
    return {
        **said,
        "remarks": [*said["remarks"], *_parted(cluster, changed)],
        "plan": plan,
        "nodes": {node.name: planned[node.name] for node in cluster.nodes},
        "brings": brought,
        "why": _why(resolved["plan"], wished, requests, resolve),
        "record": record,
    }
