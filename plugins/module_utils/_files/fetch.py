# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one place where the modules open an address of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from ansible.module_utils.urls import open_url

# Opens an address for reading; tests hand in their own.
Fetch = Callable[[str], IO[bytes]]
# How long an address may stay silent.
SECONDS = 60


def open_address(address: str, seconds: float = SECONDS) -> IO[bytes]:
    """The address, opened as Ansible does: with the proxies, the certificates and the C(.netrc) of the account.

    :raises urllib.error.HTTPError: it answers with an error.
    :raises OSError: it does not answer.
    """
    found: IO[bytes] = open_url(address, timeout=seconds, follow_redirects="all", http_agent="fromzero.deepspeed")
    return found
