# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds one wheel, apart from whoever asked for it; this source is run by the node's own Python.

Standard library only, Python 3.9 or newer. The argument is a folder with C(job.json). What it prints, and what the
build prints, is the log. Whoever waits reads C(wheel.json), which is written last and only of a whole wheel, or
C(failure.json). An open lock is inherited and held as long as any part of the build lives: it says that the build is at
work.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    began = time.monotonic()
    scratch, out = Path(job["scratch"]), Path(job["scratch"], "out")
    ended = _run(job)
    seconds = round(time.monotonic() - began, 1)
    made = sorted(out.glob("*.whl")) if out.is_dir() else []
    wheel = folder / made[0].name if ended == 0 and len(made) == 1 else None
    if wheel:
        shutil.move(str(made[0]), str(wheel))
    # What says that the build has ended comes last, so that a build that has ended leaves nothing else.
    shutil.rmtree(scratch, ignore_errors=True)
    if wheel:
        _write(folder / "wheel.json", {**job["manifest"], **_described(wheel), "seconds": seconds})
    else:
        _write(folder / "failure.json", {"ended": ended, "wheels": len(made), "seconds": seconds})


def _run(job: dict[str, Any]) -> Any:
    """The exit status of the build; null where its time was up."""
    # This runs as a program of its own, where there is no run_command.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        job["argv"],
        stdin=subprocess.DEVNULL,
        env=job["environment"],
        cwd=job["scratch"],
        start_new_session=True,
        pass_fds=[job["lock"]],
    )
    try:
        return process.wait(job["timeout"])
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _described(wheel: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return {
        "filename": wheel.name,
        "version": wheel.name.split("-")[1],
        "sha256": digest.hexdigest(),
        "size": wheel.stat().st_size,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
