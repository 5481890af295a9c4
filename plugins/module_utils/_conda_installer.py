# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An installer of conda: where it comes from, and that it is the file it claims to be."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda import CondaError, one_line

# Opens an address for reading; tests hand in their own.
Fetch = Callable[[str], IO[bytes]]

ATTEMPTS = 3
_SHA256 = re.compile(r"^(?:sha256:)?([0-9a-fA-F]{64})$")
_SUM_REMEDY = "set conda_installer_checksum to the sha256 sum of the installer, or to an address that lists it"
_REMEDY = "correct the address, or name a mirror (conda_installer_url) or a file (conda_installer_path)"


def require_sum(checksum: str, installer: str) -> None:
    """:raises CondaError: the text is neither a sum nor an address."""
    if not checksum.strip():
        raise CondaError(f"{installer} has no checksum; set conda_installer_checksum to its sha256 sum.")
    if not _SHA256.match(checksum.strip()) and "://" not in checksum:
        raise CondaError(
            f"'{checksum}' is no sha256 sum (64 hexadecimal digits) and no address; correct conda_installer_checksum."
        )


def expected_sum(checksum: str, installer: str, fetch: Fetch) -> str:
    """The sha256 sum in hexadecimal digits, given as such or as the address of a file that lists it.

    :raises CondaError: there is none, or it cannot be had.
    """
    require_sum(checksum, installer)
    given = checksum.strip()
    found = _SHA256.match(given)
    if found:
        return found.group(1).lower()
    with reading(given, fetch, _SUM_REMEDY) as source:
        listing = source.read(1 << 20).decode("utf-8", "replace")
    return _listed(listing, given, Path(unquote(urlsplit(installer).path)).name)


def _listed(listing: str, address: str, name: str) -> str:
    """One sum: the one beside the installer's name, or the only one that there is."""
    sums = {}
    for line in listing.splitlines():
        words = line.split()
        if words and _SHA256.match(words[0]):
            sums[Path(words[-1].lstrip("*")).name if len(words) > 1 else name] = words[0].lower()
    if name in sums:
        return sums[name]
    if len(sums) == 1:
        return next(iter(sums.values()))
    raise CondaError(f"{address} lists no sha256 sum for {name}; set conda_installer_checksum to the sum itself.")


@contextlib.contextmanager
def verified(installer: str, checksum: str, fetch: Fetch) -> Iterator[Path]:
    """The installer as a file on this node whose sum is right, for as long as the context lasts.

    A file on the node is used where it lies. A download goes to a folder of its own in the account's cache (nodes may
    share a home) and is removed afterwards.

    :raises CondaError: it cannot be had, or its sum is another one.
    """
    wanted = expected_sum(checksum, installer, fetch)
    local = _local(installer)
    if local:
        if not local.is_file():
            raise CondaError(f"The installer {local} is not there; {_REMEDY}.")
        _compare(installer, wanted, _sum_of(local))
        yield local
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fromzero"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="conda-", dir=cache))
    except OSError as error:
        raise CondaError(f"{cache} cannot be written, where the installer has to go: {error.strerror}.") from error
    try:
        # The installer looks at its own name and wants it to end so.
        target = folder / "installer.sh"
        _compare(installer, wanted, _download(installer, target, fetch))
        yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def reading(address: str, fetch: Fetch, remedy: str) -> Iterator[IO[bytes]]:
    """:raises CondaError: the address does not answer."""
    try:
        with fetch(address) as source:
            yield source
    except HTTPError as error:
        raise CondaError(f"{address} answers {error.code} {error.reason}; {remedy}.") from error
    except (URLError, OSError) as error:
        reason = one_line(str(getattr(error, "reason", "") or error))
        raise CondaError(f"{address} cannot be read ({reason}); {remedy}.") from error


def _local(installer: str) -> Path | None:
    parts = urlsplit(installer)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _download(address: str, target: Path, fetch: Fetch) -> str:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with reading(address, fetch, _REMEDY) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        except CondaError as error:
            refused = isinstance(error.__cause__, HTTPError) and error.__cause__.code < 500
            if refused or attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            break
    return _sum_of(target)


def _sum_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _compare(installer: str, wanted: str, found: str) -> None:
    if wanted != found:
        raise CondaError(
            f"The checksum of {installer} is wrong: expected {wanted}, found {found}. It was not run. Get the file "
            f"again, or correct conda_installer_checksum."
        )
