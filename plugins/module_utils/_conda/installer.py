# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An installer of conda: where it comes from, and that it is the file it claims to be."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import CondaError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files import verified as verified_file
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import Fetch
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words

_WORDS = Words(
    what="installer",
    checksum="conda_installer_checksum",
    elsewhere="correct the address, or name a mirror (conda_installer_url) or a file (conda_installer_path)",
    fail=CondaError,
    # The installer looks at its own name and wants it to end so.
    name="installer.sh",
)


def require_sum(checksum: str, installer: str) -> None:
    """:raises CondaError: the text is neither a sum nor an address."""
    verified_file.require_sum(checksum, installer, _WORDS)


def verified(installer: str, checksum: str, fetch: Fetch) -> contextlib.AbstractContextManager[Path]:
    """The installer as a file on this node whose sum is right, for as long as the context lasts.

    :raises CondaError: it cannot be had, or its sum is another one.
    """
    return verified_file.verified(installer, checksum, fetch, _WORDS)


__all__ = ["Fetch", "require_sum", "verified"]
