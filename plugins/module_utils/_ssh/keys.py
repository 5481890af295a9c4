# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What key files say: pure functions from text to plain values. No key is ever opened by trying a passphrase."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass

HOST_KEY_ALGORITHMS = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("ssh-rsa",),
}
_MAGIC = b"openssh-key-v1\0"


class SshError(Exception):
    """Something about ssh on this node stands in the way; the text is a sentence for the user."""


@dataclass(frozen=True)
class PrivateKey:
    """What a private key file says without being opened.

    :param public: C(algorithm base64) of its public half, or None where the format does not tell.
    :param encrypted: it has a passphrase.
    """

    public: str | None
    encrypted: bool


def _strings(blob: bytes, offset: int, count: int) -> tuple[list[bytes], int]:
    found = []
    for _index in range(count):
        (length,) = struct.unpack_from(">I", blob, offset)
        offset += 4
        if offset + length > len(blob):
            raise ValueError("the file ends early")
        found.append(blob[offset : offset + length])
        offset += length
    return found, offset


def parse_private_key(text: str) -> PrivateKey:
    """Reads a private key in OpenSSH's own format (PROTOCOL.key) or PEM.

    :raises ValueError: the text is not a private key.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN ") or not lines[0].endswith("PRIVATE KEY-----"):
        raise ValueError("it does not begin like a private key")
    if lines[0] != "-----BEGIN OPENSSH PRIVATE KEY-----":
        locked = "ENCRYPTED" in lines[0] or any(line.startswith("Proc-Type:") and "ENCRYPTED" in line for line in lines)
        return PrivateKey(public=None, encrypted=locked)
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
        if not blob.startswith(_MAGIC):
            raise ValueError("its content is not a key")
        (cipher, _kdf, _options), offset = _strings(blob, len(_MAGIC), 3)
        (public,), _offset = _strings(blob, offset + 4, 1)
        (algorithm,), _offset = _strings(public, 0, 1)
    except (binascii.Error, struct.error) as error:
        raise ValueError(f"it is damaged ({error})") from error
    return PrivateKey(
        public=f"{algorithm.decode('ascii')} {base64.b64encode(public).decode('ascii')}", encrypted=cipher != b"none"
    )


def parse_public_key(text: str) -> str:
    """C(algorithm base64) of the first key in the text of a .pub file, without its comment.

    :raises ValueError: there is no whole key in it.
    """
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        try:
            (algorithm,), _offset = _strings(base64.b64decode(words[1], validate=True), 0, 1)
        except (binascii.Error, struct.error) as error:
            raise ValueError(f"it is damaged ({error})") from error
        if algorithm.decode("ascii", "replace") != words[0]:
            raise ValueError(f"it says {words[0]} and holds another kind of key")
        return f"{words[0]} {words[1]}"
    raise ValueError("it holds no public key")


def comment_of(text: str) -> str:
    """The comment of the first key in the text of a .pub file, empty where it has none."""
    words = text.split(None, 2)
    return words[2].splitlines()[0].strip() if len(words) == 3 else ""


def prefer_host_keys(keys: Sequence[str], types: Sequence[str]) -> list[str]:
    """The host keys to announce: those of the first wanted type that the node has.

    One type is enough, as ssh asks a server for the types that known_hosts has; more would only make the files of
    large clusters large.
    """
    for name in types:
        chosen = [key for key in keys if key.split()[0] in HOST_KEY_ALGORITHMS[name]]
        if chosen:
            return chosen
    return []
