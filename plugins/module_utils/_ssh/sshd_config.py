# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the configuration of OpenSSH on a node says, and the limits that a mesh of N nodes wants of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

SSHD_CONFIG = Path("/etc/ssh/sshd_config")
SSHD_FOLDER = Path("/etc/ssh/sshd_config.d")
SSH_CONFIG = Path("/etc/ssh/ssh_config")
SSH_FOLDER = Path("/etc/ssh/ssh_config.d")
HEADER = "# Written by the role fromzero.deepspeed.ssh_mesh; changes are lost at its next run.\n"
# sshd without a HostKey line looks for these.
DEFAULT_HOST_KEYS = tuple(f"/etc/ssh/ssh_host_{name}_key" for name in ("rsa", "ecdsa", "ed25519"))
Directive = tuple[str, list[str]]


def directives(text: str) -> Iterator[Directive]:
    """The (lower-case keyword, arguments) of each line, comments and blank lines left out."""
    for line in text.splitlines():
        found = re.match(r"\s*([A-Za-z]\w*)\s*(?:=\s*|\s)\s*(.*?)\s*$", line)
        if found:
            words = re.findall(r'"([^"]*)"|(\S+)', found.group(2))
            arguments = [quoted or plain for quoted, plain in words]
            comment = next((at for at, word in enumerate(arguments) if word.startswith("#")), len(arguments))
            yield found.group(1).lower(), arguments[:comment]


def includes_folder(text: str, folder: Path) -> bool:
    """Whether the main configuration reads the folder's .conf files for every connection (not only inside a Match)."""
    for keyword, arguments in directives(text):
        if keyword in ("match", "host") and arguments != ["*"] and [word.lower() for word in arguments] != ["all"]:
            return False
        for pattern in arguments if keyword == "include" else ():
            whole = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
            if Path(whole).parent == folder and Path("x.conf").match(Path(whole).name):
                return True
    return False


def read_text(path: Path) -> str:
    """The text of a configuration file, empty where it is missing or closed to us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, PermissionError):
        return ""


def located_directives(path: Path, depth: int = 0, folder: Path | None = None) -> Iterator[tuple[Path, int, Directive]]:
    """(file, line, directive) of a configuration with those that it includes, in the order in which they count.

    :param folder: where included files lie that have no leading slash: where the first file does.
    """
    folder = folder or path.parent
    for number, line in enumerate(read_text(path).splitlines(), 1):
        for keyword, arguments in directives(line):
            if keyword != "include":
                yield path, number, (keyword, arguments)
                continue
            for pattern in arguments if depth < 16 else ():
                whole = Path(pattern).expanduser() if pattern.startswith("~") else folder / pattern
                for file in sorted(Path("/").glob(str(whole).lstrip("/"))):
                    yield from located_directives(file, depth + 1, folder)


def all_directives(path: Path) -> Iterator[Directive]:
    """The directives of a configuration and of the files that it includes, in the order in which they count."""
    for _file, _number, directive in located_directives(path):
        yield directive


def host_key_files(found: Sequence[Directive]) -> list[Path]:
    """The files that hold the public host keys which sshd shows, by its configuration."""
    named = [arguments[0] for keyword, arguments in found if keyword == "hostkey" and arguments]
    return [Path(name if name.endswith(".pub") else f"{name}.pub") for name in (named or DEFAULT_HOST_KEYS)]


def authorized_keys_problem(found: Sequence[Directive]) -> str | None:
    """A sentence where sshd does not look for keys in ~/.ssh/authorized_keys."""
    for keyword, arguments in found:
        if keyword == "match":
            return None
        if keyword == "authorizedkeysfile":
            if any(name in (".ssh/authorized_keys", "%h/.ssh/authorized_keys") for name in arguments):
                return None
            return (
                f"sshd on this node looks for keys in '{' '.join(arguments)}', not in ~/.ssh/authorized_keys, where "
                "the mesh puts them; add .ssh/authorized_keys to AuthorizedKeysFile in sshd's configuration."
            )
    return None


def openssh_version(banner: str) -> tuple[int, int]:
    """(9, 2) from what C(ssh -V) says; (0, 0) where it is not OpenSSH."""
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", banner)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def sshd_limits(nodes: int, networks: Sequence[str], version: tuple[int, int]) -> str:
    """The drop-in for sshd on each of N nodes.

    :param networks: the networks of the cluster in CIDR form, which sshd 9.8 and later must not penalise.
    :param version: the node's OpenSSH.
    """
    lines = [
        "# Every node may connect to this one in the same moment; the default drops connections beyond 10.",
        f"MaxStartups {max(64, 2 * nodes)}:30:{max(128, 4 * nodes)}",
    ]
    if version >= (9, 8) and networks:
        lines += [
            "# A node that fails or probes does not shut out the cluster's own addresses.",
            f"PerSourcePenaltyExemptList {','.join(networks)}",
        ]
    return HEADER + "\n".join(lines) + "\n"


def sshd_problem(runner: Callable[[Sequence[str]], tuple[int, str, str]], sshd: str, config: Path) -> str | None:
    """What C(sshd -t) has against a configuration, None where it would start with it."""
    code, out, err = runner([sshd, "-t", "-f", str(config)])
    return (err or out).strip() or f"sshd -t ended with {code}" if code else None
