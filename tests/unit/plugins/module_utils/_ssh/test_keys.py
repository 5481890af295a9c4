from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import keys


def make(path: Path, *options: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-C", "somebody", *options, "-f", str(path)], check=True)
    return path


KINDS = {
    "ed25519": (["-t", "ed25519", "-N", ""], True, False),
    "ecdsa": (["-t", "ecdsa", "-N", ""], True, False),
    "with a passphrase": (["-t", "ed25519", "-N", "secret"], True, True),
    "PEM": (["-t", "ecdsa", "-m", "PEM", "-N", ""], False, False),
    "PEM with a passphrase": (["-t", "ecdsa", "-m", "PEM", "-N", "secret"], False, True),
    "PKCS8 with a passphrase": (["-t", "ecdsa", "-m", "PKCS8", "-N", "secret"], False, True),
}


@pytest.mark.parametrize(("options", "tells", "encrypted"), KINDS.values(), ids=KINDS.keys())
def test_a_private_key_tells_its_public_half_and_whether_it_is_locked(
    tmp_path: Path, options: list[str], tells: bool, encrypted: bool
) -> None:
    path = make(tmp_path / "key", *options)
    found = keys.parse_private_key(path.read_text(encoding="utf-8"))
    public = keys.parse_public_key((tmp_path / "key.pub").read_text(encoding="utf-8"))
    assert found == keys.PrivateKey(public=public if tells else None, encrypted=encrypted)


NO_KEYS = {
    "empty": "",
    "text": "hello\nworld\n!\n",
    "a public key": "ssh-ed25519 AAAA me\n",
    "damaged": "-----BEGIN OPENSSH PRIVATE KEY-----\n%%%%\n-----END OPENSSH PRIVATE KEY-----\n",
    "another content": "-----BEGIN OPENSSH PRIVATE KEY-----\naGVsbG8=\n-----END OPENSSH PRIVATE KEY-----\n",
    "cut short": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n",
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        keys.parse_private_key(text)


ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1FIL96k5GJqOHD38CJP2n6mKMeFAVRmbTE3Tqujq41"
PUBLIC = {
    "with a comment": (f"{ED} me@laptop\n", ED, "me@laptop"),
    "without": (f"{ED}\n", ED, ""),
    "a comment of words": (f"{ED} made by hand\n", ED, "made by hand"),
}


@pytest.mark.parametrize(("text", "key", "comment"), PUBLIC.values(), ids=PUBLIC.keys())
def test_a_public_key_is_read_without_its_comment(text: str, key: str, comment: str) -> None:
    assert keys.parse_public_key(text) == key
    assert keys.comment_of(text) == comment


@pytest.mark.parametrize("text", ["", "# nothing\n", "ssh-ed25519\n", ED.replace("ed25519", "rsa", 1), "ssh-rsa %%%\n"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        keys.parse_public_key(text)


HOST = ["ssh-rsa R", "ecdsa-sha2-nistp256 C", "ssh-ed25519 E"]
PREFERRED = {
    "the first type that is there": (HOST, ["ed25519", "rsa"], ["ssh-ed25519 E"]),
    "another order": (HOST, ["rsa", "ed25519"], ["ssh-rsa R"]),
    "the next type": (HOST[:2], ["ed25519", "ecdsa"], ["ecdsa-sha2-nistp256 C"]),
    "none": (HOST, [], []),
}


@pytest.mark.parametrize(("found", "types", "chosen"), PREFERRED.values(), ids=PREFERRED.keys())
def test_one_type_of_host_key_is_made_known(found: list[str], types: list[str], chosen: list[str]) -> None:
    assert keys.prefer_host_keys(found, types) == chosen
