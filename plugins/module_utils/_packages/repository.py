# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's package repository on a node: what apt and dnf have in common."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import digits_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.openpgp import NoKey, binary, fingerprints

#: The content behind a URL or a path of the node. Raises RepositoryError.
Fetch = Callable[[str], bytes]

#: Part of every address of NVIDIA's own repositories, and of most mirrors.
NVIDIA_PATH = "/compute/cuda/repos/"
#: NVIDIA's keys: that of before April 2022, 7fa2af80, and the present one, 3bf863cc.
NVIDIA_KEYS = frozenset(
    {"AE09FE4BBD223A84B2CCFCE3F60F4B3D7FA2AF80", "EB693B3035CD5710E231E123A4B469633BF863CC"},
)
DEBIAN_PACKAGE = b"!<arch>\n"
_MARKUP = re.compile(rb"^\s*(<!doctype|<html|<\?xml)", re.IGNORECASE)


class RepositoryError(Exception):
    """The repository is not to be used; the text is a sentence for the user."""


@dataclass(frozen=True)
class Wish:
    """What a task asks for; the names are those of the module's options."""

    url: str
    keyring: str
    checksum: str = ""
    fingerprint: str = ""
    name: str = "cuda"
    priority: int | None = None
    check_metadata: bool = False

    @property
    def base(self) -> str:
        """The address with the slash at its end that package managers expect of a folder."""
        return f"{self.url.rstrip('/')}/"

    @property
    def digest(self) -> str:
        """The expected SHA-256 sum of the keyring, as hexadecimal digits; empty where none is given."""
        return digits_of(self.checksum)

    @property
    def origin(self) -> str:
        """Where the key comes from and what is known of it; a file that says something else holds another key."""
        return " ".join(filter(None, (self.keyring, self.digest and f"sha256:{self.digest}", self.expected)))

    @property
    def expected(self) -> str:
        """The expected fingerprint of the key, as upper-case digits; empty where none is given."""
        return "".join(self.fingerprint.split()).upper().removeprefix("0X")


@dataclass
class Outcome:
    """What was done. `disabled` are the files whose entries are not used any more."""

    changed: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(wish: Wish) -> None:
    """Refuse what cannot be meant.

    :raises RepositoryError: an option is not what it should be.
    """
    if not urlsplit(wish.url).scheme:
        raise RepositoryError(f"The address of the repository, {wish.url!r}, begins with no scheme such as https://.")
    if wish.checksum.strip() and not wish.digest:
        raise RepositoryError(f"The checksum {wish.checksum!r} is no SHA-256 sum; give its 64 hexadecimal digits.")
    if wish.expected and not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", wish.expected):
        raise RepositoryError(f"The fingerprint {wish.fingerprint!r} is none; give all of its 40 hexadecimal digits.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", wish.name):
        raise RepositoryError(f"The name {wish.name!r} cannot be part of the name of a file; use letters and digits.")


def load(wish: Wish, fetch: Fetch) -> bytes:
    """The keyring that a task names, once it is known to be the one that is meant.

    :raises RepositoryError: it cannot be had, or is another one.
    """
    data = fetch(wish.keyring)
    found = hashlib.sha256(data).hexdigest()
    if wish.digest and found != wish.digest:
        raise RepositoryError(
            f"{wish.keyring} has the SHA-256 sum {found}, but {wish.digest} was expected; nothing was changed. "
            f"{_markup(data)}Compare the sum with the one that NVIDIA or your mirror publishes."
        )
    if _MARKUP.match(data):
        raise RepositoryError(f"{wish.keyring} is no keyring. {_markup(data)}Correct the address.")
    return data


def _markup(data: bytes) -> str:
    return "It is a web page, as a proxy or a wrong address gives it. " if _MARKUP.match(data) else ""


def public_key(wish: Wish, data: bytes) -> bytes:
    """The key in binary form, once its fingerprint is known to be the expected one.

    :raises RepositoryError: it is no key, or another one.
    """
    try:
        key = binary(data)
    except NoKey as error:
        raise RepositoryError(
            f"{wish.keyring} is no key that can be used: {error}; give an OpenPGP public key, armored or not, or the "
            "package cuda-keyring."
        ) from error
    found = fingerprints(key)
    if wish.expected and wish.expected not in found:
        raise RepositoryError(
            f"{wish.keyring} holds the key {', '.join(found)}, but {wish.expected} was expected; nothing was changed."
        )
    return key


def same_place(url: str, other: str) -> bool:
    """Whether two addresses name the same repository, or both one of NVIDIA's.

    A second entry for the same packages would bring "Conflicting values set for Signed-By", or ask a host that the
    node does not reach.
    """
    return _place(url) == _place(other) or NVIDIA_PATH in f"{other.rstrip('/')}/"


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url if "://" in url else url.replace(":/", ":///", 1))
    return parts.netloc.rpartition("@")[2].lower(), re.sub("/+", "/", f"{parts.path}/")


class Repository:
    """The repository in the files of one node; what differs between package managers is in classes of their own.

    :ivar file: what names the repository to the package manager.
    :ivar key: where its key lies.
    """

    file: Path
    key: Path

    def __init__(self, wish: Wish, journal: Journal, fetch: Fetch) -> None:
        self._wish, self._journal, self._fetch = wish, journal, fetch

    def bring(self) -> Outcome:
        """Make the package manager use the repository, and trust its own key alone for it.

        :raises RepositoryError: it is not to be used; everything is as it was.
        """
        check(self._wish)
        outcome = Outcome()
        try:
            self._bring_key()
            self._journal.write(self.file, self._text().encode())
            self._bring_more()
            outcome.disabled = self._disable_others()
            if self._journal.changed and not self._journal.dry:
                self._prove()
        except BaseException:
            self._undo()
            raise
        outcome.fingerprints = fingerprints(binary(self.key.read_bytes())) if self.key.is_file() else []
        outcome.changed, outcome.diff = self._journal.changed, self._journal.diff
        outcome.backups = self._journal.backups
        return outcome

    def _bring_key(self) -> None:
        """Fetch the key and put it in its place, unless this very key is there by our own hand."""
        present = self._journal.read(self.key)
        ours = self._journal.read(self.file) == self._text().encode()
        if ours and present and (not self._wish.expected or self._wish.expected in fingerprints(binary(present))):
            return
        if not self._journal.dry:
            self._take(load(self._wish, self._fetch))
        elif present is None:
            # What it will be is known only once it was fetched, and the task before may be to put it there.
            self._journal.write(self.key, f"the key of {self._wish.keyring}\n".encode())

    def _text(self) -> str:
        """What the file says."""
        raise NotImplementedError

    def _take(self, keyring: bytes) -> None:
        """Put the key in its place."""
        raise NotImplementedError

    def _bring_more(self) -> None:
        """Bring other files that the repository needs."""

    def _disable_others(self) -> list[str]:
        """Take other entries for the same packages out of use, and return their files."""
        raise NotImplementedError

    def _prove(self) -> None:
        """Fetch the lists of this repository alone.

        :raises RepositoryError: it gives none.
        """
        raise NotImplementedError

    def _undo(self) -> None:
        """Bring everything back to what it was."""
        self._journal.undo()

    def _explain(self, output: str, sentences: Sequence[tuple[re.Pattern[str], str]]) -> str:
        """The sentence for the first pattern that is found; empty where none is. Its first group says what failed."""
        keys = ", ".join(fingerprints(binary(self._journal.read(self.key) or b"")))
        for pattern, sentence in sentences:
            found = pattern.search(output)
            if found:
                what = next(text for text in found.groups() if text).strip().rstrip(".")
                return sentence.format(what=what, url=self._wish.base, keyring=self._wish.keyring, keys=keys)
        return ""
