# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Call dnf, and turn what it complains about into sentences.

This is dnf 4, that of the RHEL family 8 to 10. dnf 5 has no shell (it has C(dnf do)), its tables look otherwise, and
its version locks are in another file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import Tool

_LOCK = re.compile(
    r"Existing lock (?P<path>\S+): another copy is running as pid (?P<pid>\d+)"
    r"|Failed to obtain the transaction lock|is locked by another process"
    r"|Waiting for process with pid (?P<holder>\d+) to finish|can't create transaction lock on (?P<rpm>\S+)"
)
_PROBLEM = re.compile(r"^ Problem.*(?:\n  - .*)*", re.MULTILINE)
_NO_MATCH = re.compile(r"^(?:Error: )?(?:No match for argument|Unable to find a match): *(?P<name>.*)$", re.MULTILINE)
_FILTERED = re.compile(r"All matches were filtered out by (?P<why>\S+ filtering) for argument: (?P<name>\S+)")
_FULL = re.compile(
    r"^.*(?:At least \S+ more space needed|No space left on device|Disk quota exceeded).*$", re.MULTILINE
)
_ERROR = re.compile(r"^(?:Error|error): (?!Operation aborted)(.*)$", re.MULTILINE)


class Dnf(Tool):
    """dnf and rpm of a node."""

    locked = holder = _LOCK

    def settings(self) -> list[str]:
        """Fail where another dnf runs, since its own waiting has no bound; remove nothing that nobody named."""
        wanted = ("exit_on_lock=1", "clean_requirements_on_remove=0")
        return ["--assumeyes", *(f"--setopt={each}" for each in wanted)]

    def succeeded(self, finished: Finished) -> bool:
        """dnf's shell ends with success also where it could do nothing."""
        return finished.rc == 0 and not self.locked.search(f"{finished.stdout}\n{finished.stderr}")

    def sentence(self, argv: Sequence[str], output: str) -> str:
        """Why a command of dnf failed, as far as its output tells."""
        full = _FULL.search(output)
        if full:
            return f"There is no space left for the packages: {full.group().strip()} Make room and repeat."
        filtered = _FILTERED.search(output)
        if filtered:
            return (
                f"{filtered['name']} is in the repositories of this node, but hidden by {filtered['why']}: another "
                "module stream is enabled, or the package is excluded or locked. Nothing was changed."
            )
        unknown = list(dict.fromkeys(name.strip() for name in _NO_MATCH.findall(output)))
        if unknown:
            return f"No package {', '.join(unknown)} is in the repositories of this node (dnf repolist names them)."
        problems = [" ".join(text.split()) for text in _PROBLEM.findall(output)]
        if problems:
            return (
                f"The packages have dependencies that cannot be met together: {'; '.join(dict.fromkeys(problems))}. "
                "Nothing was changed."
            )
        errors = _ERROR.findall(output)
        words = " ".join(errors) or (output.strip().splitlines() or ["it said nothing."])[-1]
        return f"'{argv[0]}' failed: {words}"

    def failed(self, output: str) -> bool:
        """Whether a run of dnf's shell failed, which its exit code does not tell."""
        return any(pattern.search(output) for pattern in (_PROBLEM, _NO_MATCH, _FILTERED, _ERROR, _FULL))
