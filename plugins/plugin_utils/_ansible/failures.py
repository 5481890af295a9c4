# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nodes that a run has lost: from Ansible's results to reasons and remedies for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.symptoms import first

# The exit statuses of a shell that could not start a command.
_NOT_RUN = (126, 127)
# ssh shouts about it for fifteen lines.
_CHANGED_KEY = re.compile(r"IDENTIFICATION HAS CHANGED.*?Offending (?P<kind>\S+ )?key in (?P<place>\S+)", re.DOTALL)
# Ansible's own advice, to use another folder, leads away from the cause.
_NO_FOLDER = re.compile(r"Failed to create temporary directory.*?mkdir -p \W*echo (?P<folder>\S+)", re.DOTALL)
_NOISE = re.compile(r"^(Task failed: )?(Action failed: |Module failed: )?")


@dataclass(frozen=True)
class Loss:
    """How a run lost a node: it C(failed) or was C(lost), at which task, why; for_all: the task spoke for all nodes."""

    kind: str
    task: str
    reason: str
    for_all: bool = False

    @property
    def event(self) -> str:
        """What happened to the node, as a clause without its subject."""
        how = "could not be reached" if self.kind == "lost" else "failed"
        return f"{how} at '{self.task}': {self.reason}"

    @property
    def remedy(self) -> str:
        """What the user can do, as a clause; empty where the reason is not a known one, or says it already."""
        # A task that fails with the words of a lost connection speaks of something else: a file, a download.
        kinds = ("unreachable", "unusable") if self.kind == "lost" else ("unusable",)
        return next((found.fix for found in (first(kind, self.reason) for kind in kinds) if found), "")


# The first unhandled failure of each node of this run. The callback fills it in Ansible's main process; each task runs
# in a process that is forked from it later, so a lookup finds here what has happened until then.
LOSSES: dict[str, Loss] = {}


def reason(result: Mapping[str, Any]) -> str:
    """What a failed result says, in one line that ends without a full stop."""
    failed_items = [item for item in result.get("results") or () if isinstance(item, Mapping) and item.get("failed")]
    if failed_items:
        return reason(failed_items[0])
    said = str(result.get("msg") or result.get("stderr") or "").strip()
    detail = str(result.get("module_stderr") or result.get("stderr") or "").strip()
    if said.startswith(("MODULE FAILURE", "non-zero return code", "Module result deserialization failed")) and detail:
        said = detail.splitlines()[0] if result.get("rc") in _NOT_RUN else f"{said}: {detail.splitlines()[-1]}"
    changed_key = _CHANGED_KEY.search(said)
    if changed_key:
        return f"Its {changed_key['kind'] or ''}host key is not the one in {changed_key['place']}"
    no_folder = _NO_FOLDER.search(said)
    if no_folder:
        return f"The folder {no_folder['folder']} cannot be created there"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return _NOISE.sub("", "; ".join(lines), count=1).rstrip(".") or "it gave no reason"


def farewell(losses: Mapping[str, Loss], others: bool = True) -> Sequence[str]:
    """Lines about each node that is missing at the end; none when all are there.

    A failure of a task that speaks for all nodes sets no single node aside: it ended the run, and is told above.

    :param others: whether any node went on.
    """
    lines = []
    for host, loss in losses.items():
        if not loss.for_all:
            advice = f" What to do: {loss.remedy}." if loss.remedy else ""
            lines.append(f"  {host}: {loss.event}.{advice}")
    if lines:
        stopped = any(loss.for_all for loss in losses.values())
        went_on = "Set aside; the others went on without:" if others else "Set aside, and no node is left:"
        title = "Set aside before the run stopped:" if stopped else went_on
        lines = ["", title, *lines, "Repair and run again: what is done is kept."]
    return lines


def as_data(losses: Mapping[str, Loss]) -> dict[str, dict[str, str]]:
    """The event and the remedy of each loss, by node, as plain data."""
    return {host: {"event": loss.event, "remedy": loss.remedy} for host, loss in losses.items() if not loss.for_all}
