# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the ranks of a launch came, and why not further: reports of ranks and sentences of ds-launch to reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.hostfile import ranks
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import Cluster, Found
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.symptoms import (
    is_consequence,
    symptom,
)

_MOST_NODES = 4
STAGES = ("started", "imported", "joined", "reduced", "prepared", "trained")
_STAGE_WORDS = {
    "": "did not start",
    "started": "started but did not load torch and DeepSpeed",
    "imported": "loaded DeepSpeed but did not join the others",
    "joined": "joined the others but did not finish the all-reduce",
    "reduced": "finished the all-reduce but could not set up DeepSpeed's engine",
    "prepared": "set up DeepSpeed's engine but did not finish the training",
}
_FIRST = re.compile(r"^Rank (?P<rank>\d+) on (?P<node>\S+) failed first|^(?P<lost>\S+) was lost after ")
_LOGS = re.compile(r"'ds-launch --logs [^']+'")
_CORRECT_CONFIG = (
    "Correct hostfile_optimizer, hostfile_config or another variable of the role hostfile that decides it, and run "
    "the playbook 'hostfile'."
)


def of_stage(run: Found, stage: str) -> list[Found]:
    """What the ranks of a run reported at one stage."""
    return [report for report in run["reports"] if report["stage"] == stage]


def owners(run: Found) -> dict[int, str]:
    """The node of each rank."""
    return dict(ranks(dict(run["slots"])))


def _reached(reports: Sequence[Found]) -> dict[int, str]:
    """How far each rank came."""
    reached: dict[int, str] = {}
    for report in reports:
        rank, stage = int(report["rank"]), str(report["stage"])
        if stage in STAGES and STAGES.index(stage) >= STAGES.index(reached.get(rank, "started")):
            reached[rank] = stage
    return reached


def _named(nodes: Mapping[int, str]) -> str:
    """Ranks by their nodes, as words; of many nodes only the first."""
    words = []
    for node in dict.fromkeys(nodes.values()):
        own = sorted(rank for rank, owner in nodes.items() if owner == node)
        words.append(f"rank {own[0]} on {node}" if len(own) == 1 else f"ranks {own[0]} to {own[-1]} on {node}")
    more = len(words) - _MOST_NODES
    return listed(words if more <= 0 else [*words[:_MOST_NODES], f"those of {more} more nodes"])


def behind(run: Found, until: str) -> tuple[list[str], str]:
    """The nodes whose ranks came least far, and a clause that says how far; nothing where all came to a stage."""
    nodes = owners(run)
    reached = _reached(run["reports"])
    depth = {rank: STAGES.index(reached[rank]) if rank in reached else -1 for rank in nodes}
    least = min(depth.values())
    if least >= STAGES.index(until):
        return [], ""
    last = {rank: node for rank, node in nodes.items() if depth[rank] == least}
    return list(dict.fromkeys(last.values())), f"{_named(last)} {_STAGE_WORDS[STAGES[least] if least >= 0 else '']}"


def first_failure(run: Found) -> tuple[str, int, str]:
    """The node and the rank that failed first, with ds-launch's sentence; empty, -1 where it names none."""
    for sentence in run["sentences"]:
        match = _FIRST.match(str(sentence))
        if match:
            return match["node"] or match["lost"], int(match["rank"] or -1), str(sentence).rstrip(".")
    return "", -1, ""


def unfinished_op(run: Found) -> str:
    """A clause about the ops that ranks began to compile and did not finish."""
    done = {(report["rank"], report["op"]) for report in of_stage(run, "op") if report["how"] != "begun"}
    begun = {(report["rank"], report["op"]) for report in of_stage(run, "op")} - done
    nodes = owners(run)
    where = {op: sorted({nodes.get(rank, "a node") for rank, name in begun if name == op}) for _rank, op in begun}
    return "; ".join(f"the op {op} was still being compiled on {listed(on)}" for op, on in sorted(where.items()))


def _hang(run: Found, until: str) -> tuple[str, str]:
    """Why a run was stopped, with the fix."""
    nodes, clause = behind(run, until)
    reason, fix = symptom(run["tail"])
    locks = sorted({lock for report in run["reports"] for lock in report.get("locks") or ()})
    if not reason:
        reason = unfinished_op(run)
        fix = "Set verify_timeout to more seconds, or build the op beforehand (deepspeed_ops)." if reason else ""
    if locks and not symptom(run["tail"])[0]:
        reason = f"a killed build left the lock {locks[0]}, for which every later build waits"
        fix = "Remove that file on the node, and run again."
    where = named(nodes) if nodes else "the nodes"
    fix = fix or f"Look at {where} first: what runs there, and whether all ports are open between the nodes."
    return "; ".join(part for part in (f"after {run['seconds']:g} s the run was stopped", clause, reason) if part), fix


def first_error(run: Found) -> str:
    """The error that others follow from, of the whole output; empty where no rank had one.

    What a rank reports comes before what it prints, since it says more; the rank that ds-launch saw fail first comes
    before others, and an error that tells of a lost rank after all that do not.
    """
    first = first_failure(run)[1]
    known = [*of_stage(run, "failed"), *run.get("exceptions", ())]
    known.sort(key=lambda error: (is_consequence(str(error["error"])), int(error["rank"]) != first))
    return str(known[0]["error"]) if known else ""


def _explained(run: Found, error: str) -> tuple[str, str]:
    """The reason and the fix for the first error; where it says nothing by itself, for all that the run wrote last."""
    is_cause = bool(error) and not is_consequence(error)
    # What a compiler wrote says more than the exception after it.
    found = symptom([error]) if is_cause and "Error building extension" not in error else ("", "")
    errors = [str(report["error"]) for report in of_stage(run, "failed")]
    return found if found[0] else symptom([*run["tail"], *errors, error], consequences=not is_cause)


def failure(run: Found, until: str) -> tuple[str, str]:
    """Why a run did not come to a stage, with its fix."""
    if run["timed_out"]:
        return _hang(run, until)
    clause = behind(run, until)[1]
    sentence = first_failure(run)[2]
    error = first_error(run)
    reason, fix = _explained(run, error)
    if error and not reason and until == "prepared":
        return f"DeepSpeed cannot start with {run['config']}: {error}", _CORRECT_CONFIG
    if not reason:
        lines = [line.strip() for line in run["tail"] if "Error" in line] or [line for line in run["tail"] if line]
        reason = f"ds-launch ended with status {run['status']}" + (f" ({lines[-1].strip()})" if lines else "")
        reason = (sentence if is_consequence(error) else error) or sentence or error or reason
    logs = _LOGS.search("\n".join(str(sentence) for sentence in run["sentences"]))
    shown = f"{logs[0]} on the head shows all of it." if logs else f"Run it by hand on the head: {run['command']}"
    return "; ".join(part for part in (clause, reason) if part), fix or shown


def place(cluster: Cluster, run: Found, nodes: Sequence[str]) -> str:
    """The node that a failure belongs to: the one that failed first, or that alone fell behind, else the head."""
    node = first_failure(run)[0]
    if node and not run["timed_out"]:
        return node
    return nodes[0] if len(nodes) == 1 else cluster.head
