"""The self-extracting installer: a shell script with a tar archive behind it."""

from __future__ import annotations

import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def build(target: Path, solver: Path) -> None:
    """Write the installer with everything inside: the stand-in, what it lays out, and the wheel of py-rattler."""
    script = (HERE / "installer.sh").read_text()
    head = script.replace("@LINES@", str(script.count("\n") + 1))
    partial = target.with_suffix(".part")
    with partial.open("wb") as out:
        out.write(head.encode())
        # Not compressed: nearly all of it is a wheel, which is.
        with tarfile.open(fileobj=out, mode="w|") as archive:
            for member, name in (
                (solver, solver.name),
                (HERE / "conda.py", "conda.py"),
                (HERE / "conda.sh", "conda.sh"),
            ):
                archive.add(member, name, filter=_anonymous)
    partial.replace(target)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
