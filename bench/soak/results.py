"""Trials as lines of JSON, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

KINDS = ("run", "processes", "node", "drop", "pause", "full", "readonly")


@dataclass(frozen=True)
class Trial:
    """One fault and what came of it.

    :param moment: seconds from the start of the run to the fault.
    :param task: what the node was at when it struck.
    :param disturbed: the exit code of the run that was struck.
    :param seconds: how long the next run took, which had to converge; null where it did not.
    :param found: what does not hold; nothing where all does.
    """

    at: str
    commit: str
    seed: int
    operation: str
    kind: str
    node: str
    detail: str
    moment: float
    task: str
    disturbed: int
    seconds: float | None
    found: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all that was promised is true."""
        return not self.found

    def __str__(self) -> str:
        took = "-" if self.seconds is None else f"{self.seconds:.0f} s"
        words = f"{self.moment:5.1f} s  {self.operation:<8} {self.kind:<9} {self.node}  {self.task:<60.60} {took:>6}"
        return f"{words}  {'; '.join(self.found) or 'nothing'}"


def append(path: Path, trial: Trial) -> None:
    """Add a trial to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(trial)) + "\n")


def read(path: Path) -> list[Trial]:
    """All trials of a file; none where there is no file."""
    if not path.is_file():
        return []
    return [Trial(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def table(trials: Sequence[Trial]) -> str:
    """The table as Markdown: a row for each kind and operation, then one for each trial that does not hold."""
    operations = sorted({trial.operation for trial in trials})
    lines = ["| fault | operation | tried | converged | longest, s |", "|---|---|---|---|---|"]
    for kind in KINDS:
        mine = [trial for trial in trials if trial.kind == kind]
        lines += [
            _row(kind, operation, [trial for trial in mine if trial.operation == operation])
            for operation in operations
            if any(trial.operation == operation for trial in mine)
        ]
        if mine:
            lines.append(_row(kind, "all", mine))
    failures = [trial for trial in trials if not trial.holds]
    if failures:
        lines += ["", "| fault | operation | moment, s | task | found |", "|---|---|---|---|---|"]
        lines += [
            f"| {trial.kind} | {trial.operation} | {trial.moment:.1f} | {trial.task} | {'; '.join(trial.found)} |"
            for trial in failures
        ]
    return "\n".join(lines)


def _row(kind: str, operation: str, trials: Sequence[Trial]) -> str:
    seconds = [trial.seconds for trial in trials if trial.seconds is not None]
    held = sum(trial.holds for trial in trials)
    longest = f"{max(seconds):.0f}" if seconds else "-"
    return f"| {kind} | {operation} | {len(trials)} | {held} | {longest} |"
