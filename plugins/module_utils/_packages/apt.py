# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Call apt and dpkg, and turn what they complain about into sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import Tool

# apt says who has the lock while it waits, and only that it could not have it when it gives up.
_LOCKED = re.compile(
    r"^E: (?:Could not get lock|Unable to acquire the dpkg frontend lock) "
    r"|^dpkg: error: dpkg (?:frontend|database|status database) (?:lock was|is) locked by another process",
    re.MULTILINE,
)
_HOLDER = re.compile(
    r"Could not get lock (?P<path>\S+?)\. It is held by process (?P<pid>\d+) \((?P<name>[^)]*)\)"
    r"|locked by another process with pid (?P<holder>\d+)"
)
_COMPLAINT = re.compile(r"^(?:E|W): (.*)$", re.MULTILINE)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n((?: .*\n)+)", re.MULTILINE)
_FULL = re.compile(
    r"^.*(?:don't have enough free space in|No space left on device|Disk quota exceeded).*$", re.MULTILINE
)
#: Each package that dpkg fails on, and the reason.
PROCESSING = re.compile(r"^dpkg: error processing (?:package|archive) (\S+) [^\n]*\n\s*([^\n]*)", re.MULTILINE)
_UNFETCHED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)


class Apt(Tool):
    """apt and dpkg of a node; nobody is asked anything, and files that an administrator has changed stay."""

    locked, holder = _LOCKED, _HOLDER
    variables: ClassVar[Mapping[str, str]] = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}

    def settings(self) -> list[str]:
        """The options of every apt command that changes something."""
        waiting = [f"DPkg::Lock::Timeout={int(self._lock_timeout)}", "Acquire::Retries=3"]
        files = ["Dpkg::Options::=--force-confdef", "Dpkg::Options::=--force-confold"]
        return [word for option in (*waiting, *files) for word in ("-o", option)]

    def sentence(self, argv: Sequence[str], output: str) -> str:
        """Why a command of apt failed, as far as its output tells."""
        full = _FULL.search(output)
        if full:
            return f"There is no space left for the packages: {full.group().strip()} Make room and repeat."
        unmet = _UNMET.search(output)
        if unmet:
            lines = " ".join(unmet[1].split())
            return f"The packages have dependencies that cannot be met together: {lines}. Nothing was changed."
        failed = PROCESSING.findall(output)
        if failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed)
            return (
                f"dpkg could not finish: {reasons}. The packages stay as they are, half installed; mend the reason and "
                "repeat, or look at /var/log/apt/term.log."
            )
        unfetched = _UNFETCHED.findall(output)
        if unfetched:
            return f"{unfetched[0][0]} could not be fetched: {unfetched[0][1]}. Nothing was changed."
        complaints = _COMPLAINT.findall(output)
        words = " ".join(complaints) or (output.strip().splitlines() or ["it said nothing."])[-1]
        return f"'{' '.join(argv[:1])}' failed: {words}"
