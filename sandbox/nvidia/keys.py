"""Throwaway keys that sign repositories; they live in build/ and nobody trusts them but nodes of the sandbox."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import engine
from sandbox.shell import run, works


@dataclass(frozen=True)
class Key:
    """A key pair in a keyring that is open for a while; `fingerprint` has forty hexadecimal digits."""

    home: Path
    fingerprint: str

    def binary(self, target: Path) -> None:
        """Write the public key as apt reads it from a keyring."""
        _gpg(self.home, "--output", str(target), "--export")

    def armored(self, target: Path) -> None:
        """Write the public key as text."""
        _gpg(self.home, "--armor", "--output", str(target), "--export")

    def sign(self, release: Path) -> None:
        """Write InRelease and Release.gpg beside a Release."""
        _gpg(self.home, "--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        self.detached(release, release.with_name("Release.gpg"))

    def detached(self, file: Path, target: Path) -> None:
        """Write the armored signature of a file."""
        _gpg(self.home, "--armor", "--detach-sign", "--output", str(target), str(file))


@contextmanager
def opened(secret: Path, owner: str) -> Iterator[Key]:
    """Open the key that a file holds, which is made where there is none.

    The keyring lies in a folder with a short name, since gpg's agent listens on a socket beside it.
    """
    if shutil.which("gpg") is None:
        engine.install(["gnupg"])
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        home = Path(folder)
        try:
            if secret.is_file():
                _gpg(home, "--import", str(secret))
            else:
                _gpg(home, "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", "never")
                secret.parent.mkdir(parents=True, exist_ok=True)
                secret.touch(mode=0o600)
                _gpg(home, "--armor", "--output", str(secret), "--export-secret-keys")
            listed = _gpg(home, "--with-colons", "--list-secret-keys").splitlines()
            yield Key(home, next(line.split(":")[9] for line in listed if line.startswith("fpr:")))
        finally:
            works(["gpgconf", "--homedir", folder, "--kill", "gpg-agent"])


def _gpg(home: Path, *arguments: str) -> str:
    return run(["gpg", "--homedir", str(home), "--batch", "--quiet", "--yes", *arguments])
