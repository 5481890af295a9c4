# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Python a node has, before any module runs there: a script for its shell, and sentences about what it prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible.module_utils import basic

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers

# What the modules of this collection need; newer releases of Ansible may need more.
FLOOR = max((3, 9), tuple(getattr(basic, "_PY_MIN", ())))
# Where else a Python may lie that Ansible does not look for by itself.
_MORE = ("python3.15", "python3.14", "python3.13", "python3.12", "python3.11", "/usr/bin/python3")
_TEST = f"import sys; print('%d.%d.%d' % sys.version_info[:3]); sys.exit(sys.version_info < {FLOOR})"
# Systems by their ID in os-release, as Ansible names them in its facts.
_SYSTEMS = {
    "almalinux": "AlmaLinux", "centos": "CentOS", "debian": "Debian", "ol": "OracleLinux", "rhel": "RedHat",
    "rocky": "Rocky", "ubuntu": "Ubuntu",
}  # fmt: skip
_APT = ("Debian", "Ubuntu")


@dataclass(frozen=True)
class Candidate:
    """A Python of a node: C(given) by a variable, in Ansible's C(list), or C(more); no version: it does not run."""

    kind: str
    path: str
    version: str

    @property
    def works(self) -> bool:
        return numbers(self.version)[:2] >= FLOOR


@dataclass(frozen=True)
class Report:
    """What a node's shell printed. The first candidate is the one that Ansible takes; complete: the script ran."""

    candidates: Sequence[Candidate]
    system: str
    system_version: str
    complete: bool

    @property
    def taken(self) -> Candidate | None:
        """The Python that Ansible would use."""
        return next((found for found in self.candidates if found.kind != "more"), None)


def script(given: str, listed: Sequence[str]) -> str:
    """A script for sh that names Pythons until one is new enough.

    :param given: the interpreter that a variable or a configuration sets, empty where Ansible looks for one. As with
        Ansible, the shell reads it: it may begin with a tilde, or have arguments.
    :param listed: the names that Ansible looks for, in its order.
    """
    test = shlex.quote(_TEST)
    lines = ['try() { printf \'PYTHON\\t%s\\t%s\\t%s\\n\' "$1" "$2" "$3"; }']
    if given:
        lines.append(
            f'v=$({given} -c {test} 2>/dev/null); s=$?; try given {shlex.quote(given)} "$v"; [ $s = 0 ] && exit 0'
        )
    kinds = dict.fromkeys((*listed, *_MORE), "more") | ({} if given else dict.fromkeys(listed, "list"))
    for name, kind in kinds.items():
        lines.append(
            f"f=$(command -v {shlex.quote(name)}) && case $f in /*) "
            f'v=$("$f" -c {test} 2>/dev/null); s=$?; try {kind} "$f" "$v"; [ $s = 0 ] && exit 0;; esac'
        )
    lines += [
        "[ -r /etc/os-release ] && . /etc/os-release",
        'printf \'SYSTEM\\t%s\\t%s\\n\' "$ID" "$VERSION_ID"',
        "exit 0",
    ]
    return "\n".join(lines)


def read(output: str) -> Report:
    """What the script printed, among whatever else a login shell prints."""
    pythons = re.findall(r"^PYTHON\t(\w+)\t([^\t\r\n]*)\t([^\t\r\n]*)\r?$", output, re.MULTILINE)
    system = re.search(r"^SYSTEM\t([^\t\r\n]*)\t([^\t\r\n]*)\r?$", output, re.MULTILINE)
    found = list(dict.fromkeys(Candidate(*python) for python in pythons))
    name = _SYSTEMS.get(system[1], system[1]) if system else ""
    works = any(candidate.works for candidate in found)
    return Report(found, name, system[2] if system else "", bool(works or system))


def _install(system: str, version: str) -> str:
    if system in _APT:
        return "sudo apt-get install -y python3"
    # The python3 of EL 8 is 3.6, which belongs to the system.
    return f"sudo dnf install -y {'python3.12' if version.partition('.')[0] == '8' else 'python3'}"


def _remedy(report: Report, systems: Mapping[str, Sequence[str]]) -> str:
    other = next((found for found in report.candidates if found.works), None)
    if other:
        return f"set ansible_python_interpreter: {other.path}, which is {other.version}"
    name, version = report.system, report.system_version
    known = systems.get(name, ())
    if not any(version == one or version.startswith(f"{one}.") for one in known):
        where = f"it runs {name} {version}, which is not supported either" if name else "nothing says what it runs"
        supported = "; ".join(f"{system} {', '.join(versions)}" for system, versions in systems.items())
        return f"{where}; supported are {supported}"
    return f"install one: {_install(name, version)}"


def problem(node: str, report: Report, systems: Mapping[str, Sequence[str]]) -> str:
    """Why Ansible cannot work on a node, as a sentence; empty where it can, or where the shell printed nothing of use.

    :param systems: supported versions by distribution, as Ansible names them in its facts.
    """
    taken = report.taken
    if not report.complete or (taken and taken.works):
        return ""
    oldest = ".".join(map(str, FLOOR))
    if taken is None:
        what = f"has no Python that Ansible finds, and {oldest} is the oldest that works"
    elif taken.version:
        what = f"has Python {taken.version} at {taken.path}, and {oldest} is the oldest that works"
    elif taken.kind == "given":
        what = f"has no Python that runs at {taken.path}, which ansible_python_interpreter names"
    else:
        what = f"has a Python at {taken.path} that does not run"
    return f"{node} {what}; {_remedy(report, systems)}."
