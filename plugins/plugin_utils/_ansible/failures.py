# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nodes that a run has lost: from Ansible's results to reasons and remedies for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What Ansible says about a node that it cannot connect to, and what the user can do.
_UNREACHED = (
    (
        r"host key is not the one",
        "if it was installed anew, take the old key out with ssh-keygen -R and add the new one after checking it; if "
        "not, somebody may be listening in between",
    ),
    (r"Host key verification failed", "add its host key to known_hosts after checking it"),
    (r"Permission denied", "give the account of this machine access to the node"),
    (
        r"Could not resolve|Name or service not known|Connection refused|timed out|No route to host|unreachable",
        "check that it runs and that ansible_host and ansible_port are right",
    ),
)
# The same about a node that it cannot use.
_UNUSABLE = (
    (
        r"^The folder \S+ cannot be created there",
        "see there with 'df -h' and 'touch' whether the home of the account is missing, full or read-only",
    ),
    (
        r"requires a minimum of Python|interpreter .* was not found|python[\d.]*: (command )?not found",
        "install Python 3.9 or newer on it or set ansible_python_interpreter",
    ),
    (
        r"Unable to parse package file|package cache file is corrupted|no available installation candidate",
        "look at its package sources; damaged lists are mended by emptying /var/lib/apt/lists and apt-get update",
    ),
    (r"^(?!.*[Mm]ake room).*No space left on device", "make room on that disk"),
    (r"^(?!.*mount it for).*Read-only file system", "mount it for writing; dmesg tells whether its disk is at fault"),
    (
        r"[Mm]issing sudo password|a password is required|not in the sudoers",
        "allow sudo, give its password with --ask-become-pass, or set cluster_become: false",
    ),
)
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
        known = (*_UNREACHED, *_UNUSABLE) if self.kind == "lost" else _UNUSABLE
        return next((advice for pattern, advice in known if re.search(pattern, self.reason)), "")


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
