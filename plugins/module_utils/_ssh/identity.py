# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The key pair of an account and the host keys of a node.

A new key never replaces a usable one at once: it waits in C(<key>.next) until L(ensure_key_pair) is told to switch,
which is after every node has learned to accept it. So a run may break off at any point and nobody is locked out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import (
    beside,
    keep_copy,
    left_behind,
    write,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import (
    Account,
    acting_as,
    home_problems,
    own_ssh_folder,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import (
    SshError,
    comment_of,
    parse_private_key,
    parse_public_key,
    prefer_host_keys,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.listener import Door
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.sshd_config import (
    SSHD_CONFIG,
    all_directives,
    host_key_files,
    read_text,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.text import (
    HOSTS,
    is_address,
    is_loopback,
    own_names,
)

Runner = Callable[[Sequence[str]], tuple[int, str, str]]
# What known_hosts can carry without a second meaning.
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]*$|[0-9A-Fa-f:]+$")
OUR_COMMENT = "fromzero.deepspeed"
SHARED_COMMENT = f"{OUR_COMMENT}-shared"


@dataclass(frozen=True)
class Wish:
    """What is asked of the key pair.

    :param private_key: the text of the key to use instead of one of the node's own, or empty.
    :param rotate: have a new key wait beside the one in use.
    :param switch: put the waiting key into use.
    :param shared: other nodes have the same key.
    """

    key_type: str = "ed25519"
    private_key: str = ""
    rotate: bool = False
    switch: bool = False
    shared: bool = False


@dataclass
class KeyPair:
    """What is there now, or would be without check mode.

    :param public_keys: C(algorithm base64) of the key in use and of the one that waits, in this order; empty where
        check mode left the first key unmade.
    """

    path: Path
    public_keys: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def newest(self) -> Path:
        """The private key that is in use once the switch is done."""
        return waiting(self.path) if len(self.public_keys) > 1 else self.path


def waiting(path: Path) -> Path:
    """Where the next key waits."""
    return path.with_name(f"{path.name}.next")


def _public_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


class _Keys:
    """The files of one key, seen and changed with the rights of the account."""

    def __init__(self, path: Path, runner: Runner, check: bool) -> None:
        self.path = path
        self._run = runner
        self._check = check

    def public_half(self, path: Path) -> str | None:
        """The public half of the private key in a file, None where there is no file.

        :raises SshError: the file cannot serve as an identity.
        """
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        try:
            key = parse_private_key(text)
        except ValueError as error:
            raise SshError(f"{path} is not a usable private key: {error}; move it away and run again.") from error
        if key.encrypted:
            raise SshError(
                f"The key {path} has a passphrase, so no program can use it unattended. Take the passphrase away with "
                f"'ssh-keygen -p -f {path}', or set ssh_mesh_key_type to another type, which gets a key of its own."
            )
        public = key.public or self._ask(path)
        if public.startswith("sk-"):
            raise SshError(
                f"The key {path} lives on a security key and needs a touch each time; "
                "set ssh_mesh_key_type to another type, which gets a key of its own."
            )
        return public

    def _ask(self, path: Path) -> str:
        code, out, err = self._run(["ssh-keygen", "-y", "-P", "", "-f", str(path)])
        if code:
            raise SshError(f"{path} is not a usable private key: {err.strip()}; move it away and run again.")
        return parse_public_key(out)

    def close(self, path: Path) -> bool:
        """Takes away from others what they may do with a private key."""
        try:
            loose = stat.S_IMODE(path.stat().st_mode) != 0o600
        except FileNotFoundError:
            return False
        if loose and not self._check:
            path.chmod(0o600)
        return loose

    def generate(self, path: Path, key_type: str) -> bool:
        """A new key without a passphrase, unless another run was faster. A link is atomic, on network shares too."""
        if self._check:
            return True
        part = beside(path)
        comment = f"{OUR_COMMENT}@{os.uname().nodename}"
        try:
            code, out, err = self._run(
                ["ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", comment, "-f", str(part)]
                + (["-b", "4096"] if key_type == "rsa" else [])
            )
            if code:
                raise SshError(f"ssh-keygen could not make the key {path}: {(err or out).strip()}")
            os.link(str(part), str(path))
            _public_file(part).replace(_public_file(path))
        except FileExistsError:
            return False
        finally:
            for left in (part, _public_file(part)):
                if left.exists():
                    left.unlink()
        return True

    def sweep(self, path: Path) -> list[str]:
        """Removes what runs that were killed have left of a key and its public half; a sentence for each."""
        left = [*left_behind(path), *left_behind(_public_file(path))]
        for part in left if not self._check else ():
            part.unlink()
        return [f"{part} is gone, which a run that broke off had left" for part in left]

    def write(self, path: Path, text: str) -> None:
        """Puts a private key from elsewhere in place."""
        if not self._check:
            write(path, text if text.endswith("\n") else f"{text}\n", 0o600)

    def comment(self, path: Path) -> str:
        """What the .pub file says of a key beside the key itself; empty where there is none."""
        try:
            return comment_of(_public_file(path).read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return ""

    def publish(self, path: Path, public: str, shared: bool) -> bool:
        """Makes the .pub file say what the private key says; a strange one is kept as a copy.

        A key that this collection made, or brought, is marked where nodes share it.
        """
        target = _public_file(path)
        try:
            found: str | None = target.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            found = None
        ours = found is not None and comment_of(found).startswith(OUR_COMMENT)
        if found is not None:
            try:
                marked = not ours or not shared or comment_of(found).startswith(SHARED_COMMENT)
                if parse_public_key(found) == public and marked:
                    return False
            except ValueError:
                pass
        if not self._check:
            if found is not None and not ours:
                keep_copy(target)
            comment = SHARED_COMMENT if shared else OUR_COMMENT
            write(target, f"{public} {comment}@{os.uname().nodename}\n", 0o644)
        return True

    def switch(self) -> None:
        """The waiting key becomes the key; one that we did not make is kept as a copy."""
        if self._check:
            return
        public = _public_file(self.path)
        made_here = public.exists() and comment_of(public.read_text(encoding="utf-8")).startswith(OUR_COMMENT)
        if self.path.exists() and not made_here:
            keep_copy(self.path)
            if public.exists():
                keep_copy(public)
        # ssh offers what this file says, and with another key beside it no node would let the account in.
        if public.exists():
            public.unlink()
        try:
            waiting(self.path).replace(self.path)
        except FileNotFoundError:
            # A node that shares this home was faster.
            return
        with suppress(FileNotFoundError):
            _public_file(waiting(self.path)).replace(public)

    def forget_half(self, path: Path) -> bool:
        """Removes the public half of a key that is gone: a run that broke off in a switch leaves it."""
        half = _public_file(path)
        if path.exists() or not half.exists():
            return False
        if not self._check:
            half.unlink()
        return True


def ensure_key_pair(account: Account, wish: Wish, runner: Runner, check: bool) -> KeyPair:
    """Makes sure that the account has a key that programs can use, and starts or ends its rotation.

    :param runner: runs a command, gives (exit code, stdout, stderr).
    :param check: only say what would be done.
    :raises SshError: a key is there that cannot serve, or the files are out of reach.
    """
    pair = KeyPair(path=account.ssh / f"id_{wish.key_type}", warnings=home_problems(account))
    if own_ssh_folder(account, check):
        pair.changes.append(f"{account.ssh} belongs to {account.name} with mode 0700")
    keys = _Keys(pair.path, runner, check)
    with acting_as(account):
        _ensure(pair, keys, wish)
    return pair


def _ensure(pair: KeyPair, keys: _Keys, wish: Wish) -> None:
    path, after = pair.path, waiting(pair.path)
    for file in (path, after):
        pair.changes += keys.sweep(file)
        if keys.close(file):
            pair.changes.append(f"{file} has mode 0600")
    current, following = keys.public_half(path), keys.public_half(after)
    given = _public_of_text(wish.private_key) if wish.private_key else None
    if current is None and following is not None:
        # A switch that broke off half-way.
        keys.switch()
        pair.changes.append(f"{path} is the key that waited")
        current, following = following, None
    elif current is None:
        if given:
            keys.write(path, wish.private_key)
        else:
            keys.generate(path, wish.key_type)
        pair.changes.append(f"{path} is a new key")
        current = given or keys.public_half(path)
    if given and given not in (current, following):
        keys.write(after, wish.private_key)
        pair.changes.append(f"{after} is the shared key, in use after the switch")
        following = given
    elif (wish.rotate or _parts(keys, wish)) and not given and following is None:
        keys.generate(after, wish.key_type)
        pair.changes.append(f"{after} is a new key, in use after the switch")
        following = keys.public_half(after)
    if wish.switch and following is not None:
        keys.switch()
        pair.changes.append(f"{path} is the key that waited")
        current, following = following, None
    if following is None and keys.forget_half(after):
        pair.changes.append(f"{_public_file(after)} is gone, since it has no private key")
    newest = given or following or current
    for file, public in ((path, current), (after, following)):
        shared = wish.shared and public == newest
        if public is not None and file.exists() and keys.publish(file, public, shared):
            pair.changes.append(f"{_public_file(file)} says what {file} says")
    pair.public_keys = [key for key in (current, following) if key]


def _parts(keys: _Keys, wish: Wish) -> bool:
    """Whether the key in use was shared, and is to be the node's own again."""
    return not wish.shared and not wish.switch and keys.comment(keys.path).startswith(SHARED_COMMENT)


def _public_of_text(text: str) -> str:
    try:
        public = parse_private_key(text).public
    except ValueError as error:
        raise SshError(f"The shared private key cannot be used: {error}.") from error
    if public is None:
        raise SshError(
            "The shared private key is in PEM format, whose public half cannot be read without opening it; "
            "convert it on the head with 'ssh-keygen -p -N \"\" -f <key>'."
        )
    return public


def host_keys(types: Sequence[str], offered: Callable[[str], list[str]] = lambda _type: []) -> list[str]:
    """The public host keys that this node's sshd shows, of the first wanted type that it has.

    A file that is there may be of a type that sshd does not offer, as under a policy that allows certain ones only.

    :param offered: the keys of a type that sshd itself offers; where it offers none of any type, the files count alone.
    :raises SshError: none can be read.
    """
    files = host_key_files(list(all_directives(SSHD_CONFIG)))
    found = []
    for file in files:
        try:
            found.append(parse_public_key(read_text(file)))
        except ValueError:
            continue
    for key_type in types:
        keys = prefer_host_keys(found, [key_type])
        shown = offered(key_type) if keys else []
        if set(keys) & set(shown):
            return [key for key in keys if key in shown]
    chosen = prefer_host_keys(found, types)
    if not chosen:
        raise SshError(
            f"No public host key of type {', '.join(types)} can be read on this node "
            f"({', '.join(str(file) for file in files)}); 'ssh-keygen -A' as root makes the ones that are missing."
        )
    return chosen


def node_record(
    given: Mapping[str, Any], public_keys: Sequence[str], door: Door, link: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What other nodes need to know of this one.

    :param given: the parameters C(name, address, network, interface, also, port, connection_port, host_key_types).
    :param door: where sshd listens on this node.
    :param link: C(address, network) as seen on the node, where no address was given.
    :raises SshError: the host keys cannot be read.
    """
    also = [name for name in dict.fromkeys(given["also"]) if _HOST.match(name) and not is_loopback(name)]
    address, network = (link["address"], link["network"]) if link else (given["address"], given["network"])
    port = given["port"] or door.port
    if not (address or given["network"] or given["interface"]):
        # An address that Ansible can use is a guess, so never one against what was asked for.
        address, network = next((name for name in also if is_address(name)), ""), ""
        port = given["port"] or given["connection_port"]
    elif port != given["connection_port"] and not given["port"]:
        # A port of another machine leads here, as into a container, and the names that go with it lead there.
        also = []
    return {
        "name": given["name"],
        "address": address,
        "network": network,
        "names": own_names(read_text(HOSTS), os.uname().nodename),
        "also": [name for name in also if name not in (address, "localhost")],
        "port": port,
        "public_keys": list(public_keys),
        "host_keys": host_keys(given["host_key_types"], door.offered),
    }
