# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a CUDA toolkit at a prefix says of itself, whoever installed it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import held, mark_of, one_line
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor

MISSING, PRESENT, BUSY, CUT_OFF, BROKEN, OCCUPIED = "missing", "present", "busy", "cut off", "broken", "occupied"
# How long nvcc may take to say its version: seconds, on a slow network file system.
NVCC_SECONDS = 60

# Starts a program; the number is a bound in seconds.
Start = Callable[[Sequence[str], float], Finished]

_RELEASE = re.compile(r"\brelease (\d+\.\d+), V([\d.]+)")
_VERSION_TXT = re.compile(r"CUDA Version (\d+\.\d+(?:\.\d+)?)")
# A folder that packages of single libraries made holds these, and no compiler.
_TRACES = ("version.json", "version.txt", "nvvm", "targets", "include", "lib64", "bin")


@dataclass(frozen=True)
class Toolkit:
    """What is at a prefix. C(version) is the release, such as 13.0.3; C(nvcc) the compiler's own version.

    C(reason) is a part of a sentence where there is something that is no whole toolkit.
    """

    prefix: Path
    state: str
    version: str = ""
    nvcc: str = ""
    reason: str = ""

    @property
    def minor(self) -> str:
        """The part of the release that folders and packages are named by, such as 13.0."""
        return minor(self.version)

    def serves(self, wanted: str) -> bool:
        """Whether it is a whole toolkit of a version such as 13.0 or 13.0.3."""
        if self.state != PRESENT:
            return False
        # Where only nvcc tells, the third number is not known.
        length = min(len(wanted.split(".")), len(self.version.split(".")))
        return wanted.split(".")[:length] == self.version.split(".")[:length]


@dataclass(frozen=True)
class Recorded:
    """What the role cuda_toolkit has noted of a toolkit that it proved: its folder, and variables for a compiler."""

    home: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def recorded(file: Path) -> Recorded:
    """What is noted in a file of the role cuda_toolkit; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Recorded(str(found["home"]), {str(name): str(value) for name, value in found["variables"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Recorded()


def look(prefix: Path, start: Start) -> Toolkit:
    """What is at a prefix, without changing it."""
    mark = mark_of(prefix)
    if mark.exists() and mark.stat().st_size:
        return Toolkit(prefix, BUSY if held(mark) else CUT_OFF, reason="an installer did not come to its end there")
    return inspect(prefix, start)


def inspect(prefix: Path, start: Start) -> Toolkit:
    """What is at a prefix, whether or not an installer is at work there."""
    if not prefix.exists() or (prefix.is_dir() and not any(prefix.iterdir())):
        return Toolkit(prefix, MISSING)
    if not any((prefix / trace).exists() for trace in _TRACES):
        return Toolkit(prefix, OCCUPIED, reason="it holds no CUDA toolkit")
    written = _written(prefix)
    if not (prefix / "bin" / "nvcc").is_file():
        return Toolkit(prefix, BROKEN, written, reason="it has no bin/nvcc")
    finished = start([str(prefix / "bin" / "nvcc"), "--version"], NVCC_SECONDS)
    said = _RELEASE.search(finished.stdout)
    if finished.rc != 0 or not said:
        words = one_line(finished.last_words or "no answer", 200)
        return Toolkit(prefix, BROKEN, written, reason=f"bin/nvcc does not run ({words})")
    release, nvcc = said.groups()
    if written and not f"{written}.".startswith(f"{release}."):
        return Toolkit(prefix, BROKEN, written, nvcc, f"its nvcc is of {release}, and version.json says {written}")
    return Toolkit(prefix, PRESENT, written or release, nvcc)


def _written(prefix: Path) -> str:
    """The release in version.json, which toolkits have since 11.1, or in version.txt; empty where neither tells."""
    try:
        version = json.loads((prefix / "version.json").read_text(encoding="utf-8"))["cuda"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        version = ""
    if isinstance(version, str) and version:
        return version
    try:
        said = _VERSION_TXT.search((prefix / "version.txt").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return said.group(1) if said else ""
