# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep what Ansible packs for the nodes from one run to the next.

Ansible packs each module with its libraries once in a run, which takes a quarter of a second of a processor; the tests
have hundreds of runs. It looks for what is packed in a folder of the run's own: a link leads that to one for all runs
with the same plugins.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as release

DOCUMENTATION = """
name: keep_modules
type: notification
short_description: Keeps packed modules from one run to the next
description: For the tests of this repository alone.
"""

ROOT = Path(__file__).resolve().parents[2]


def state_of(folder: Path) -> str:
    """A name for what is in a folder of plugins, and for the Ansible that packs it."""
    digest = hashlib.sha256(release.encode())
    for path in sorted(folder.rglob("*.py")):
        found = path.stat()
        digest.update(f"{path} {found.st_mtime_ns} {found.st_size}\n".encode())
    return digest.hexdigest()[:16]


class CallbackModule(CallbackBase):
    """Makes the link before the first task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "keep_modules"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        kept = ROOT / "build" / "modules" / state_of(ROOT / "plugins")
        kept.mkdir(parents=True, exist_ok=True)
        link = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
        if not link.exists():
            link.symlink_to(kept)
