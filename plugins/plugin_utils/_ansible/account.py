# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account that an action works as on the node, where one action needs two of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def as_user(action: Any, user: str) -> Iterator[None]:
    """Run the modules of an action as a user, for as long as the context lasts.

    Does nothing where the task becomes nobody, or where no user is named.

    :param action: the action plugin.
    """
    become, shell = action._connection.become, action._connection._shell
    if become is None or not user:
        yield
        return
    before, folder = become.get_option("become_user"), shell.tmpdir
    become.set_option("become_user", user)
    # A command of the account that Ansible connects as is not wrapped by become. The connection would wait for what the
    # command before it was to print.
    become.success = become.prompt = ""
    # Without pipelining the files of a module lie in a folder that only one account can read.
    shell.tmpdir = None
    try:
        yield
    finally:
        if shell.tmpdir is not None:
            action._remove_tmp_path(shell.tmpdir)
        become.set_option("become_user", before)
        shell.tmpdir = folder
