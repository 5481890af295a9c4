# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of a cluster on its head, where runs from other control nodes see it: scripts for sh, and what they print.

A lock that is not renewed ends: the head cannot see whether a process on another machine is there. Its age is that
of the file by the clock of the head.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import LEASE, Owner, read_owner

# Where root may be used, one for all accounts, which no reboot outlives; without root, in the home of the account.
_PLACE = """\
f=$HOME/.fromzero-deepspeed.lock
[ "$(id -u)" = 0 ] && [ -d /run ] && f=/run/fromzero-deepspeed.lock
exec 9<"${f%/*}"
flock -w 10 9 2>/dev/null
own() { [ -e "$f" ] && grep -qF "$1" "$f"; }
"""
_TAKE = """\
umask 022
if [ -e "$f" ]; then
  age=$(( $(date +%s) - $(stat -c %Y "$f") ))
  if own {token} || {{ [ -n {gone} ] && own {gone}; }} || [ "$age" -gt {lease} ] || [ "$age" -lt -{lease} ] \\
    || ! grep -q '"token"' "$f"; then
    :
  else
    printf 'LOCKED\\t%s\\n' "$(cat "$f")"
    exit 0
  fi
fi
printf '%s\\n' {text} >"$f" && echo TAKEN
"""
_RENEW = """\
if own {token}; then touch "$f" && echo TAKEN; elif ! [ -e "$f" ]; then
umask 022; printf '%s\\n' {text} >"$f" && echo TAKEN; else echo LOST; fi
"""
_RELEASE = """\
if own {token}; then rm -f "$f"; fi
"""


@dataclass(frozen=True)
class Answer:
    """What the head printed: the lock was C(taken), or somebody else has it; neither where the script did not run."""

    taken: bool
    holder: Owner | None


def take(run: Owner, gone: str = "") -> str:
    """A script that takes the lock where nobody has it.

    :param gone: the token of a run that is known to be over.
    """
    values = {"token": shlex.quote(run.token), "gone": shlex.quote(gone), "text": shlex.quote(run.text())}
    return _PLACE + _TAKE.format(lease=LEASE, **values)


def renew(run: Owner) -> str:
    """A script that shows that the run goes on; after a reboot of the head it takes the lock again."""
    return _PLACE + _RENEW.format(token=shlex.quote(run.token), text=shlex.quote(run.text()))


def release(run: Owner) -> str:
    """A script that gives the lock back, where it is still the run's."""
    return _PLACE + _RELEASE.format(token=shlex.quote(run.token))


def read(output: str) -> Answer:
    """What a script printed, among whatever else a login shell prints."""
    locked = re.search(r"^LOCKED\t(.*?)\r?$", output, re.MULTILINE)
    return Answer(
        taken=bool(re.search(r"^TAKEN\r?$", output, re.MULTILINE)),
        holder=read_owner(locked[1]) if locked else None,
    )


def is_lost(output: str) -> bool:
    """Whether another run has the lock now, which this one did not renew in time."""
    return bool(re.search(r"^LOST\r?$", output, re.MULTILINE))
