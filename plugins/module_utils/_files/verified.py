# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file to be run: where it comes from, and that its sha256 sum is right."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import Fetch
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import one_line

ATTEMPTS = 3
# What must stay free on a disk beside a download, in bytes.
SPARE = 64 << 20
_SHA256 = re.compile(r"^(?:sha256:)?([0-9a-fA-F]{64})$")


@dataclass(frozen=True)
class Words:
    """What sentences call things.

    :param what: the kind of file, such as installer.
    :param checksum: the variable by which its sum is given.
    :param elsewhere: how another source is named, as an order to the user.
    :param fail: makes the error for a sentence.
    :param name: how the file must be called while it is used.
    """

    what: str
    checksum: str
    elsewhere: str
    fail: Callable[[str], Exception]
    name: str


def digits_of(checksum: str) -> str:
    """The 64 hexadecimal digits of a sha256 sum, with or without C(sha256:) before them; empty where it is none."""
    found = _SHA256.match(checksum.strip())
    return found.group(1).lower() if found else ""


def require_sum(checksum: str, source: str, words: Words) -> None:
    """Raise the error of C(words) where the text is neither a sum nor an address."""
    if not checksum.strip():
        raise words.fail(f"{source} has no checksum; set {words.checksum} to its sha256 sum.")
    if not digits_of(checksum) and "://" not in checksum:
        raise words.fail(
            f"'{checksum}' is no sha256 sum (64 hexadecimal digits) and no address; correct {words.checksum}."
        )


def expected_sum(checksum: str, source: str, fetch: Fetch, words: Words) -> str:
    """The sha256 sum in hexadecimal digits, given as such or as the address of a file that lists it."""
    require_sum(checksum, source, words)
    given = checksum.strip()
    if digits_of(given):
        return digits_of(given)
    remedy = f"set {words.checksum} to the sha256 sum of the {words.what}, or to an address that lists it"
    with reading(given, fetch, remedy, words) as listed:
        listing = listed.read(1 << 20).decode("utf-8", "replace")
    return _listed(listing, given, Path(unquote(urlsplit(source).path)).name, words)


def _listed(listing: str, address: str, name: str, words: Words) -> str:
    """One sum: the one beside the file's name, or the only one that there is."""
    sums = {}
    for line in listing.splitlines():
        parts = line.split()
        if parts and digits_of(parts[0]):
            sums[Path(parts[-1].lstrip("*")).name if len(parts) > 1 else name] = digits_of(parts[0])
    if name in sums:
        return sums[name]
    if len(sums) == 1:
        return next(iter(sums.values()))
    raise words.fail(f"{address} lists no sha256 sum for {name}; set {words.checksum} to the sum itself.")


@contextlib.contextmanager
def verified(
    source: str,
    checksum: str,
    fetch: Fetch,
    words: Words,
    *,
    folder: Path | None = None,
    suspicion: Callable[[Path], str] = lambda path: "",
) -> Iterator[Path]:
    """The file on this node, its sum found right, for as long as the context lasts.

    A file on the node is used where it lies. A download goes to a folder of its own (nodes may share a home) and is
    removed afterwards.

    :param folder: where that folder is made; by default in the account's cache.
    :param suspicion: what else a file with a wrong sum may be, as a sentence; empty where it cannot tell.
    """
    wanted = expected_sum(checksum, source, fetch, words)
    local = local_path(source)
    if local:
        if not local.is_file():
            raise words.fail(f"The {words.what} {local} is not there; {words.elsewhere}.")
        _compare(source, local, wanted, words, suspicion)
        yield local
        return
    cache = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fromzero"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix=f"{words.what}-", dir=cache))
    except OSError as error:
        raise words.fail(f"{cache} cannot be written, where the {words.what} has to go: {error.strerror}.") from error
    try:
        target = own / words.name
        _download(source, target, fetch, words)
        _compare(source, target, wanted, words, suspicion)
        yield target
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextlib.contextmanager
def reading(address: str, fetch: Fetch, remedy: str, words: Words) -> Iterator[IO[bytes]]:
    """The address opened; one that does not answer becomes a sentence."""
    try:
        with fetch(address) as source:
            yield source
    except HTTPError as error:
        raise words.fail(f"{address} answers {error.code} {error.reason}; {remedy}.") from error
    except (URLError, OSError) as error:
        reason = one_line(str(getattr(error, "reason", "") or error))
        raise words.fail(f"{address} cannot be read ({reason}); {remedy}.") from error


def local_path(source: str) -> Path | None:
    """The path on this node that a source names, where it names one."""
    parts = urlsplit(source)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _download(address: str, target: Path, fetch: Fetch, words: Words) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with reading(address, fetch, words.elsewhere, words) as source:
                length = getattr(source, "length", None) or 0
                free = shutil.disk_usage(target.parent).free
                if length + SPARE > free:
                    raise words.fail(
                        f"{address} has {length >> 20} MiB, and {target.parent} has {free >> 20} MiB left; make room."
                    )
                with target.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
        except Exception as error:
            again = isinstance(error.__cause__, OSError) and not _refused(error.__cause__)
            if not again or attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            return


def _refused(error: BaseException) -> bool:
    return isinstance(error, HTTPError) and error.code < 500


def sum_of(path: Path) -> str:
    """The sha256 sum of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _compare(source: str, path: Path, wanted: str, words: Words, suspicion: Callable[[Path], str]) -> None:
    found = sum_of(path)
    if wanted != found:
        doubt = suspicion(path)
        raise words.fail(
            f"The checksum of {source} is wrong: expected {wanted}, found {found}. It was not used. "
            f"{f'{doubt} ' if doubt else ''}Get the file again, or correct {words.checksum}."
        )
