# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of each run on the head: what was started where, how it ended, and what every rank printed."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ds_launch.words import Refusal, since

# Runs of which the output is kept; the oldest go first.
KEPT_RUNS = 100


def runs_folder() -> Path:
    """Where the runs of this account are kept."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "ds-launch" / "runs"


def new_name() -> str:
    """A name for a run, sorted by its start."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


class Record:
    """What is known of one run, in C(run.json)."""

    def __init__(self, name: str, **known: Any) -> None:
        """:raises Refusal: the folder cannot be made."""
        self.folder = runs_folder() / name
        self._known: dict[str, Any] = {"run": name, "started": time.time(), **known}
        try:
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o700)
            self._write()
            _forget_old()
        except OSError as error:
            raise Refusal(f"The output cannot be kept in {self.folder}: {error.strerror}.") from error

    def end(self, **known: Any) -> None:
        """Note how the run ended."""
        self._known.update(ended=time.time(), **known)
        self._write()

    def _write(self) -> None:
        path = self.folder / "run.json"
        path.write_text(json.dumps(self._known, indent=2) + "\n", encoding="utf-8")


def _all() -> list[Path]:
    folder = runs_folder()
    return sorted(entry for entry in folder.iterdir() if (entry / "run.json").is_file()) if folder.is_dir() else []


def _forget_old() -> None:
    for folder in _all()[:-KEPT_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)


def show(name: str) -> None:
    """Print the last run, or the one with this name: what it was, how it ended, and all its output.

    :raises Refusal: there is no such run.
    """
    runs = _all()
    if not runs:
        raise Refusal(f"No run is kept in {runs_folder()}.")
    chosen = [folder for folder in runs if folder.name == name] if name else runs[-1:]
    if not chosen:
        known = "\n".join(f"  {folder.name}" for folder in runs[-10:])
        raise Refusal(f"No run has the name {name}; the last ones are\n{known}")
    folder = chosen[0]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    ended = record.get("ended")
    lines = [
        f"Run      {record['run']}, {record['user']}, in {record['folder']}",
        f"Command  {shlex.join(record['command'])}",
        f"Nodes    {', '.join(f'{node} ({len(slots)})' for node, slots in record['nodes'].items())}",
        f"Versions {', '.join(f'{package} {version}' for package, version in record['versions'].items())}",
        f"Start    {since(record['started'])}",
        f"End      {since(ended)}, exit code {record['exit_code']}" if ended else "End      none noted",
        *([f"Reason   {record['reason']}"] if record.get("reason") else []),
        f"Files    {folder}",
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    with open(folder / "output.log", "rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
