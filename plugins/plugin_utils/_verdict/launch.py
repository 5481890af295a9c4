# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks a launch on all nodes: what the ranks compute on, their all-reduce, the ops they load, their training."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.accelerator import (
    check_accelerators,
    check_backends,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import Check, Cluster, Found
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.ranks import (
    behind,
    failure,
    first_failure,
    of_stage,
    owners,
    place,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.symptoms import symptom

_REFUSED = 2
# What ds-launch mentions besides the reasons for which it starts nothing.
_ASIDE = re.compile(r"^(Another run goes on|A run without its ds-launch|CUDA_VISIBLE_DEVICES of this shell|Bringing )")
_BUILD_OPS = "Run the playbook 'site' with the tag deepspeed, which builds and proves the op on every node."


def _is_refused(run: Found) -> bool:
    return run["status"] == _REFUSED and not run["reports"] and not first_failure(run)[0]


def _refusals(cluster: Cluster, run: Found) -> Iterator[Check]:
    """What ds-launch found on the nodes that prevents a start; each of its sentences is a reason and a remedy."""
    sentences = [str(sentence) for sentence in run["sentences"] if not _ASIDE.match(str(sentence))]
    for sentence in sentences or [f"ds-launch started nothing and does not say why (status {run['status']})"]:
        parts = re.split(r"; (?=[a-z'])|(?<=\w)\. (?=[A-Z])", sentence, maxsplit=1)
        named = [node for node in run["slots"] if re.search(rf"(?<![\w.-]){re.escape(node)}(?![\w-]|\.\w)", sentence)]
        remedy = parts[1] if len(parts) > 1 else f"Run it by hand on the head: {run['command']}"
        # verify hands its own variable on as this option.
        remedy = remedy.replace("--master_port", "verify_port")
        node = named[0] if named else cluster.head
        yield Check("launch", "starts", node, False, parts[0].rstrip("."), remedy[:1].upper() + remedy[1:])


def _joining(cluster: Cluster, run: Found) -> Check:
    name, head, seconds = "starts every rank", cluster.head, float(run["seconds"])
    slots = run["slots"]
    nodes = behind(run, "joined")[0]
    if nodes:
        return Check("launch", name, place(cluster, run, nodes), False, *failure(run, "joined"), seconds)
    hosts = sorted({str(report["host"]) for report in of_stage(run, "joined")})
    world = sum(slots.values())
    if {int(report["world"]) for report in of_stage(run, "joined")} == {world} and len(hosts) >= len(slots):
        return Check("launch", name, head, True, seconds=seconds)
    reason = f"{world} ranks on {len(slots)} nodes were meant, but the ranks that joined are on {listed(hosts)} only"
    fix = "Two names of the hostfile lead to one machine; correct the ansible_host of these nodes."
    return Check("launch", name, head, False, reason, fix, seconds)


def _reducing(cluster: Cluster, run: Found) -> Check:
    seconds = float(run["seconds"])
    world = sum(run["slots"].values())
    expected = world * (world + 1) / 2
    nodes = behind(run, "reduced")[0]
    if nodes:
        where = place(cluster, run, nodes)
        return Check("all_reduce", "sum over all ranks", where, False, *failure(run, "reduced"), seconds)
    wrong = next((report for report in of_stage(run, "reduced") if float(report["total"]) != expected), None)
    if wrong is None:
        return Check("all_reduce", f"sum {expected:g} over {world} ranks", cluster.head, True, seconds=seconds)
    reason = f"rank {wrong['rank']} got {wrong['total']:g} from the all-reduce instead of {expected:g}"
    fix = "The network or a device gives wrong data; look for errors in the kernel's log of that host."
    return Check("all_reduce", "sum over all ranks", str(wrong["host"]), False, reason, fix, seconds)


def _broken_ops(run: Found) -> Iterator[Check]:
    """The ops that could not be loaded, each on each node once. One that DeepSpeed can do without is no failure."""
    nodes = owners(run)
    seen: set[tuple[str, str]] = set()
    for report in of_stage(run, "op") if run["status"] else ():
        op, node = str(report["op"]), nodes.get(int(report["rank"]), str(report["host"]))
        if report["how"] != "failed" or (op, node) in seen:
            continue
        seen.add((op, node))
        why, fix = symptom([str(report["error"])])
        reason = f"the op {op} cannot be loaded: {report['error']}" + (f" ({why})" if why else "")
        yield Check("ops", op, node, False, reason, fix or _BUILD_OPS)


def loaded_ops(run: Found) -> dict[str, dict[str, tuple[str, float]]]:
    """For each node the ops that its ranks loaded, each with how it came and the seconds of the slowest rank."""
    nodes = owners(run)
    found: dict[str, dict[str, tuple[str, float]]] = {node: {} for node in run["slots"]}
    for report in of_stage(run, "op"):
        if "took" in report:
            ops = found.setdefault(nodes.get(int(report["rank"]), str(report["host"])), {})
            known = ops.get(str(report["op"]), ("", -1.0))
            ops[str(report["op"])] = max(known, (str(report["how"]), float(report["took"])), key=lambda entry: entry[1])
    return found


def _how(op: str, how: str, took: float) -> str:
    return f"{op} {how}" + (f" in {took:g} s" if how == "compiled" else "")


def _ops(run: Found) -> Iterator[Check]:
    for node, ops in loaded_ops(run).items():
        name = ", ".join(_how(op, *came) for op, came in ops.items()) or "none is needed"
        yield Check("ops", name, node, True, seconds=max((took for _how, took in ops.values()), default=0.0))


def _fell(report: Found) -> bool:
    """Whether a loss fell; one that is no number did not."""
    return float(report["last"]) < float(report["first"])


def _training(cluster: Cluster, run: Found) -> Check:
    name, head, seconds = "falling loss", cluster.head, float(run["seconds"])
    for stage in ("prepared", "trained"):
        nodes = behind(run, stage)[0]
        if nodes:
            where = place(cluster, run, nodes)
            return Check("training", name, where, False, *failure(run, stage), seconds)
    trained, prepared = of_stage(run, "trained"), of_stage(run, "prepared")
    rising = next((report for report in trained if not _fell(report)), None)
    if rising is not None:
        reason = f"the loss went from {rising['first']:.4g} to {rising['last']:.4g} instead of down"
        fix = "The arithmetic of a rank is wrong; compare the versions and the health of the devices."
        return Check("training", name, head, False, reason, fix, seconds)
    if not prepared:
        return Check("training", name, head, False, "no rank reports its optimizer", "Run verify again.", seconds)
    if run["status"]:
        reason = f"all ranks trained, but ds-launch ended with status {run['status']}"
        return Check("training", "ends cleanly", head, False, reason, f"Run it by hand on the head: {run['command']}")
    with_what = f"{prepared[0]['optimizer']}, {prepared[0]['precision']}, ZeRO-{prepared[0]['zero_stage']}"
    return Check("training", f"falling loss with {with_what}", head, True, seconds=seconds)


def check_launch(cluster: Cluster) -> Iterator[Check]:
    """Whether a launch starts every rank on the right device, and whether they reduce, load their ops and train.

    What comes after a layer that failed was not tried, and is not mentioned.
    """
    run = cluster.training
    if not run:
        return
    if run.get("problem") or run.get("failed"):
        text = str(run.get("problem") or run.get("msg") or "nothing could be started")
        reason, _semicolon, fix = text.partition("; ")
        fix = fix[:1].upper() + fix[1:] if fix else "Run the playbook 'hostfile'."
        yield Check("launch", "starts every rank", cluster.head, False, reason, fix)
        return
    for node in (name for name in cluster.nodes if name not in run["slots"] and name not in cluster.idle):
        reason = "it is not in the hostfile, so no rank runs there"
        fix = "Set hostfile_slots for it, and run the playbook 'hostfile'."
        yield Check("launch", "is in the hostfile", node, False, reason, fix)
    if _is_refused(run):
        yield from _refusals(cluster, run)
        return
    stopping = [*check_accelerators(cluster, run)] or [*_broken_ops(run)]
    if stopping:
        yield from stopping
        return
    joined = _joining(cluster, run)
    yield joined
    if not joined.ok:
        return
    backends = list(check_backends(run))
    yield from backends
    reduced = _reducing(cluster, run)
    yield reduced
    if not reduced.ok or not all(check.ok for check in backends):
        return
    trained = _training(cluster, run)
    if not behind(run, "prepared")[0]:
        yield from _ops(run)
    yield trained
