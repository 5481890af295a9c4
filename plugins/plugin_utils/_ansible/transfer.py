# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files between the control node and an account of a node that is not the one which Ansible connects as.

Ansible cannot hand its temporary files from one account without root's rights to another. A folder that nobody can
list, by a name that nobody can guess, needs no rights: whoever knows the path can read the file. Its name says which
run of which control node made it, so that the next run there removes what one that was killed has left.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError


def _ours() -> str:
    """How the folders of this account of this control node begin."""
    return f"/tmp/.fromzero-{hashlib.sha256(f'{os.uname().nodename} {os.getuid()}'.encode()).hexdigest()[:8]}"


def sweep(action: Any) -> None:
    """Remove from the node what runs of this control node that are no more have left there."""
    listed = action._low_level_execute_command(f"ls -d {_ours()}-*", sudoable=False).get("stdout", "")
    name = re.compile(rf"{re.escape(_ours())}-(\d+)-[0-9a-f]{{32}}")
    matches = (name.fullmatch(line.strip()) for line in listed.splitlines())
    left = [match[0] for match in matches if match and not Path("/proc", match[1]).exists()]
    if left and Path("/proc/self").exists():
        action._low_level_execute_command(f"rm -rf {shlex.join(left)}", sudoable=False)


@contextmanager
def handed_over(action: Any, file: Path, name: str) -> Iterator[str]:
    """The path of a copy on the node, for as long as the context lasts.

    :param action: the action plugin. name: what the copy is called.
    """
    # A task runs in a process of its own, which the run has started.
    folder = f"{_ours()}-{os.getppid()}-{secrets.token_hex(16)}"
    target = f"{folder}/{name}"
    _execute(action, f"umask 066 && mkdir {shlex.quote(folder)}")
    try:
        action._connection.put_file(str(file), target)
        _execute(action, f"chmod 0644 {shlex.quote(target)}")
        yield target
    finally:
        action._low_level_execute_command(f"rm -rf {shlex.quote(folder)}", sudoable=False)


def fetched(action: Any, path: str, target: Path, task_vars: dict[str, Any]) -> None:
    """Bring a file of the node to the control node, also one that the connection's account may not read."""
    try:
        action._connection.fetch_file(path, str(target))
    except AnsibleError:
        found = action._execute_module(
            module_name="ansible.builtin.slurp", module_args={"src": path}, task_vars=task_vars
        )
        if found.get("failed"):
            raise AnsibleActionFail(f"{path} cannot be read: {found.get('msg', 'no reason given')}.") from None
        target.write_bytes(base64.b64decode(found["content"]))


def _execute(action: Any, command: str) -> None:
    done = action._low_level_execute_command(command, sudoable=False)
    if done["rc"] != 0:
        raise AnsibleActionFail(
            f"No file can be handed to the node: {command!r} ended with {done['rc']} "
            f"({(done.get('stderr') or done.get('stdout') or 'no output').strip()})."
        )
