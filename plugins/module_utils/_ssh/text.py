# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Edits of text files that others write too: our block, and the lines that give a node's name to a loopback address."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError

HOSTS = Path("/etc/hosts")
BEGIN = "# BEGIN fromzero.deepspeed ssh_mesh"
END = "# END fromzero.deepspeed ssh_mesh"
# In the block, so that it goes wherever the file goes: a block whose sum is right has not been edited since.
SUM = "# Changes to these lines are lost at the next run. Sum: "


def split_block(text: str, path: str) -> tuple[str, str, str]:
    """(text before our block, lines of the block, text after it); without a block all text is before it.

    :param path: the file's name, for the message.
    :raises SshError: the block has lost one of its ends.
    """
    lines = text.splitlines(keepends=True)
    begins = [at for at, line in enumerate(lines) if line.strip() == BEGIN]
    ends = [at for at, line in enumerate(lines) if line.strip() == END]
    if not begins and not ends:
        return text, "", ""
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise SshError(
            f"The block of ssh_mesh in {path} is damaged: it has {len(begins)} lines '{BEGIN}' and {len(ends)} lines "
            f"'{END}' instead of one pair. Delete the block with its markers by hand and run again."
        )
    return (
        "".join(lines[: begins[0]]),
        "".join(lines[begins[0] + 1 : ends[0]]),
        "".join(lines[ends[0] + 1 :]),
    )


def with_block(text: str, block: str, path: str, first: bool = False) -> str:
    """The text with our block in it, where it was, else at the end, or before all else; an empty block goes away.

    :param block: its lines, each ended. The block gets their sum as well.
    :param first: put the block before all other lines: for files in which the first match wins.
    """
    before, _old, after = split_block(text, path)
    whole = f"{BEGIN}\n{SUM}{_digest(block)}\n{block}{END}\n" if block else ""
    if first:
        return whole + before + after
    if before and not before.endswith("\n") and (whole or after):
        before += "\n"
    return before + whole + after


def foreign(text: str, path: str) -> str:
    """What of the text is not ours."""
    before, _block, after = split_block(text, path)
    return before + after


def _digest(block: str) -> str:
    return hashlib.sha256(block.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def is_untouched(text: str, path: str) -> bool:
    """Whether the text has a block of ours that is as we wrote it."""
    sum_line, _newline, block = split_block(text, path)[1].partition("\n")
    return sum_line == f"{SUM}{_digest(block)}"


def needs_copy(before: str, after: str, path: str) -> bool:
    """Whether a copy must be kept before the text changes: it holds something that we did not write, and that goes.

    That is so before the first change, where somebody has edited our block, and where other lines change.
    """
    if not before:
        return False
    return not is_untouched(before, path) or foreign(before, path) != foreign(after, path)


def _hosts_line(line: str) -> tuple[str, list[str]]:
    words = line.split("#", 1)[0].split()
    return (words[0], words[1:]) if words else ("", [])


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address, not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """An address that leads back to the node itself."""
    try:
        return ipaddress.ip_address(address.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def _calls(name: str, hostname: str) -> bool:
    return name.lower() == hostname.lower() or name.lower().startswith(f"{hostname.lower()}.")


def own_names(text: str, nodename: str) -> list[str]:
    """What a node calls itself: its name with the domain where the hosts file or the kernel has one, and without.

    A hosts file is asked before DNS, so a name server that does not answer costs nothing.
    """
    short = nodename.split(".", 1)[0]
    if short.lower() in ("", "localhost"):
        return []
    if nodename != short:
        return [nodename, short]
    for line in text.splitlines():
        for name in _hosts_line(line)[1]:
            if name.lower().startswith(f"{short.lower()}."):
                return [name, short]
    return [short]


def without_loopback_name(text: str, nodename: str) -> str:
    """A hosts file in which no loopback address has the node's own name.

    A line that is left without names goes; so does all of a 127.0.1.1 line with the name. C(localhost) stays.
    """
    hostname = nodename.split(".", 1)[0]
    if hostname.lower() in ("", "localhost"):
        return text
    kept = []
    for line in text.splitlines(keepends=True):
        address, names = _hosts_line(line)
        strange = [name for name in names if not _calls(name, hostname)]
        if not is_loopback(address) or len(strange) == len(names):
            kept.append(line)
        elif strange and address != "127.0.1.1":
            comment = f" #{line.split('#', 1)[1].rstrip()}" if "#" in line else ""
            kept.append(f"{address}\t{' '.join(strange)}{comment}\n")
    return "".join(kept)


def rival_lines(text: str, block: str) -> list[str]:
    """Names that a hosts file gives to another address of the network than our block does, as C(name address)."""
    ours: dict[str, set[str]] = {}
    for line in block.splitlines():
        address, names = _hosts_line(line)
        for name in names:
            ours.setdefault(name.lower(), set()).add(address)
    return [
        f"{name} {address}"
        for line in text.splitlines()
        for address, names in [_hosts_line(line)]
        for name in names
        if name.lower() in ours and address not in ours[name.lower()] and not is_loopback(address)
    ]


def with_own_name(block: str, address: str, names: Sequence[str]) -> str:
    """The lines of our block for one node: where none names the node itself, one more does."""
    known = {name.lower() for line in block.splitlines() for name in _hosts_line(line)[1]}
    missing = [name for name in names if name.lower() not in known]
    return f"{block}{address} {' '.join(missing)}\n" if block and address and missing else block
