# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read public keys without gpg, which a node need not have: apt brings gpgv or sqv only, and those cannot list keys.

Format: RFC 9580 (packets 4.2, fingerprints 5.5.4, armor 6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[^\n]*\n(?:[^\n]+: [^\n]*\n)*\s*\n(?P<body>.*?)\n(?:=[^\n]*\n)?"
    rb"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_PUBLIC_KEY = 6


class NoKey(ValueError):
    """The bytes are no public key."""


def binary(data: bytes) -> bytes:
    """A key without its armor, as apt reads it from a keyring.

    :raises NoKey: there is no key in it.
    """
    blocks = list(_ARMOR.finditer(data.replace(b"\r\n", b"\n")))
    try:
        plain = b"".join(base64.b64decode(b"".join(block["body"].split())) for block in blocks) if blocks else data
    except binascii.Error as error:
        raise NoKey("its armor is damaged") from error
    if not fingerprints(plain):
        raise NoKey("there is no public key in it")
    return plain


def armored(data: bytes) -> bytes:
    """A binary key as text, as rpm reads it, with the checksum that it insists on."""
    text = base64.b64encode(data)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    check = b"=" + base64.b64encode(_checksum(data).to_bytes(3, "big"))
    head, tail = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([head, *lines, check, tail, b""])


def _checksum(data: bytes) -> int:
    """CRC-24 of OpenPGP's armor."""
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _bit in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value


def fingerprints(data: bytes) -> list[str]:
    """The fingerprints of the primary keys in a binary keyring, as upper-case hexadecimal digits."""
    found = []
    for tag, body in _packets(data):
        if tag != _PUBLIC_KEY or not body:
            continue
        if body[0] == 4:
            found.append(hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper())
        elif body[0] == 6:
            found.append(hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper())
    return found


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The packets of a key; they end where the bytes are no packet any more."""
    position = 0
    while position < len(data) and data[position] & 0x80:
        head, position = data[position], position + 1
        if head & 0x40:
            tag, (length, position) = head & 0x3F, _new_length(data, position)
        else:
            size = (1, 2, 4, 0)[head & 3]
            tag = (head >> 2) & 0x0F
            length = int.from_bytes(data[position : position + size], "big") if size else len(data) - position
            position += size
        if length < 0 or position + length > len(data):
            return
        yield tag, data[position : position + length]
        position += length


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    """The length of a packet in the new format and where its body begins; -1 for one that comes in parts."""
    first = data[position] if position < len(data) else 255
    if first < 192:
        return first, position + 1
    if first < 224:
        return ((first - 192) << 8) + int.from_bytes(data[position + 1 : position + 2], "big") + 192, position + 2
    if first == 255:
        return int.from_bytes(data[position + 1 : position + 5], "big"), position + 5
    return -1, position
