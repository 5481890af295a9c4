# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where sshd listens on this node, and which host keys it offers there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import parse_public_key
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.sshd_config import SSHD_CONFIG, all_directives

Runner = Callable[[Sequence[str]], tuple[int, str, str]]
PROC = Path("/proc")
_SECONDS = "5"


@dataclass(frozen=True)
class Door:
    """An address of this node and the port on which its sshd listens there."""

    address: str
    port: int
    runner: Runner

    def offered(self, key_type: str) -> list[str]:
        """The host keys of a type that sshd offers, C(algorithm base64); empty where it does not answer."""
        command = ["ssh-keyscan", "-T", _SECONDS, "-p", str(self.port), "-t", key_type, "--", self.address]
        try:
            _code, out, _err = self.runner(command)
        except OSError:
            return []
        lines = [line.split(" ", 1)[1] for line in out.splitlines() if " " in line and not line.startswith("#")]
        return [parse_public_key(line) for line in lines]


def find_door(runner: Runner) -> Door:
    """That of the connection which Ansible came by, else the one that sshd's configuration names."""
    return Door(*(_connection(os.getpid()) or ("127.0.0.1", _configured())), runner)


def _connection(process: int) -> tuple[str, int] | None:
    """The end of an ssh connection on this node, from the environment of a process or of one above it.

    sudo takes the variable away from what it starts, and not from the shell that started it.
    """
    while process > 1:
        try:
            environment = (PROC / str(process) / "environ").read_bytes()
        except OSError:
            environment = b""
        for entry in environment.split(b"\0"):
            name, _equals, value = entry.partition(b"=")
            # The address and port of the client, then those of this node.
            words = value.decode("utf-8", "replace").split()
            if name == b"SSH_CONNECTION" and len(words) == 4 and words[3].isdigit():
                return words[2], int(words[3])
        process = _parent(process)
    return None


def _parent(process: int) -> int:
    try:
        status = (PROC / str(process) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    parents = [line.split()[1] for line in status.splitlines() if line.startswith("PPid:")]
    return int(parents[0]) if parents else 0


def _configured() -> int:
    ports = [arguments[0] for keyword, arguments in all_directives(SSHD_CONFIG) if keyword == "port" and arguments]
    return int(ports[0]) if ports and ports[0].isdigit() else 22
