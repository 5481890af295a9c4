# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.openpgp import (
    NoKey,
    armored,
    binary,
    fingerprints,
)

# Made by gpg 2.2, which also says the fingerprint.
KEY = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawGP3BYJKwYBBAHaRw8BAQdAkW+bvZ8nCII0MbPkXrxmKRNQorEGnGeHee8V
GiKffnm0GFRlc3QgPHRAZXhhbXBsZS5pbnZhbGlkPoiQBBMWCAA4FiEEyzjTCRZz
UtqbKKuNYqckFzw9RwgFAmsBj9wCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AA
CgkQYqckFzw9RwiS3wD9Ey1zHOl0pjyOQ6rQOYn3zJIDilYXHNhqp/w0K0MnG1wB
AMK7RxB1TMqTL7k89WobdIiudbJaVKyoGpjaAHfv+FoA
=W+eG
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "CB38D309167352DA9B28AB8D62A724173C3D4708"
ARMORS = {
    "as gpg writes it": KEY,
    "with a header": KEY.replace(b"-----\n\n", b"-----\nVersion: GnuPG v2\nComment: hi\n\n", 1),
    "with the line ends of Windows": KEY.replace(b"\n", b"\r\n"),
    "behind some words": b"This is the key of the repository.\n" + KEY,
    "without its armor": binary(KEY),
    "without its checksum": KEY.replace(b"=W+eG\n", b""),
}
# A key of two bytes of material, with its length in each form of RFC 9580, 4.2.
BODY = b"\x04" + b"\0" * 5 + b"\x16\x00"
LENGTHS = {
    "old, one byte": b"\x98" + bytes([len(BODY)]) + BODY,
    "old, two bytes": b"\x99" + len(BODY).to_bytes(2, "big") + BODY,
    "old, four bytes": b"\x9a" + len(BODY).to_bytes(4, "big") + BODY,
    "old, to the end": b"\x9b" + BODY,
    "new, one byte": b"\xc6" + bytes([len(BODY)]) + BODY,
    "new, five bytes": b"\xc6\xff" + len(BODY).to_bytes(4, "big") + BODY,
}
NO_KEYS = {
    "nothing": b"",
    "a web page": b"<!DOCTYPE html><html></html>",
    "cut short": binary(KEY)[:20],
    "damaged armor": KEY.replace(b"mDME", b"m"),
    "a length in parts": b"\xc6\xe1" + BODY,
}


@pytest.mark.parametrize("data", ARMORS.values(), ids=ARMORS)
def test_a_key_is_read_however_it_is_wrapped(data: bytes) -> None:
    assert fingerprints(binary(data)) == [FINGERPRINT]


@pytest.mark.parametrize("data", LENGTHS.values(), ids=LENGTHS)
def test_lengths_are_read_in_each_form(data: bytes) -> None:
    assert fingerprints(data) == fingerprints(LENGTHS["old, one byte"])
    assert len(fingerprints(data)[0]) == 40


def test_a_keyring_may_hold_several_keys() -> None:
    assert fingerprints(binary(KEY + KEY)) == [FINGERPRINT, FINGERPRINT]


@pytest.mark.parametrize("data", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(NoKey):
        binary(data)


def test_a_key_is_written_as_gpg_writes_it() -> None:
    assert armored(binary(KEY)) == KEY
