# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's repository for dnf: one file of our own, and no other entry beside it."""

from __future__ import annotations

import configparser
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.openpgp import armored
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository import (
    DEBIAN_PACKAGE,
    Fetch,
    Repository,
    RepositoryError,
    Wish,
    public_key,
    same_place,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError

_SECTION = re.compile(r"^\[(?P<name>[^]]+)\][^\n]*\n(?P<body>(?:(?!\[).*\n?)*)", re.MULTILINE)
_SENTENCES = (
    (
        re.compile(r"(?P<what>repomd\.xml GPG signature verification error[^\n]*|Bad GPG signature[^\n]*)"),
        "The signature of {url} does not match the key of {keyring} ({keys}): {what}. Give the keyring that belongs to "
        "this repository, or turn check_metadata off where a mirror has no signature.",
    ),
    (
        re.compile(r"(?P<what>Curl error \(60\)[^\n]*|SSL certificate problem[^\n]*)"),
        "The certificate of {url} is not accepted: {what}. Install the authority that has signed it "
        "(update-ca-trust), or correct the clock of the node.",
    ),
    (
        re.compile(r"(?P<what>Status code: 404[^\n]*|Curl error \(37\)[^\n]*)"),
        "{url} holds no repository: {what}. Check the distribution and the architecture in the address.",
    ),
    (
        re.compile(r"(?P<what>Curl error \((?:5|6|7|28|35|56)\)[^\n]*)"),
        "{url} does not answer: {what}. Check the address, and the proxy in /etc/dnf/dnf.conf.",
    ),
)


class DnfRepository(Repository):
    """The repository in the files of a node that has dnf.

    :param root: where these files lie, the root of the file system.
    """

    def __init__(self, dnf: Dnf, wish: Wish, journal: Journal, fetch: Fetch, root: Path = Path("/")) -> None:
        super().__init__(wish, journal, fetch)
        self._dnf, self._root = dnf, root
        self.file = root / "etc" / "yum.repos.d" / f"{wish.name}.repo"
        self.key = root / "etc" / "pki" / "rpm-gpg" / f"RPM-GPG-KEY-{wish.name}"
        self._imported: list[str] = []

    def _text(self) -> str:
        wish = self._wish
        lines = {
            "name": "NVIDIA CUDA",
            "baseurl": wish.base,
            "enabled": "1",
            "gpgcheck": "1",
            "repo_gpgcheck": str(int(wish.check_metadata)),
            "gpgkey": f"file:///{self.key.relative_to(self._root)}",
        }
        if wish.priority is not None:
            lines["priority"] = str(wish.priority)
        head = f"# Written by fromzero.deepspeed.cuda_repository; the key is that of {wish.origin}.\n[{wish.name}]\n"
        return head + "".join(f"{name}={value}\n" for name, value in lines.items())

    def _take(self, keyring: bytes) -> None:
        if keyring.startswith(DEBIAN_PACKAGE):
            raise RepositoryError(f"{self._wish.keyring} is a package for Debian; give the key of the rpm repository.")
        self._journal.write(self.key, armored(public_key(self._wish, keyring)))

    def _import(self) -> None:
        """Let rpm trust the key; dnf would ask, and with yes for an answer it would take any."""
        before = self._trusted()
        try:
            self._dnf.change(["rpm", "--import", str(self.key)])
        except ToolError as error:
            raise RepositoryError(f"rpm does not accept the key of {self._wish.keyring}: {error}") from error
        self._imported = sorted(self._trusted() - before)

    def _trusted(self) -> set[str]:
        return set(self._dnf.ask(["rpm", "--query", "gpg-pubkey"]).stdout.split("\n")) - {""}

    def _disable_others(self) -> list[str]:
        """Turn every other entry for the same packages off."""
        disabled = []
        for path in self._repos():
            present = (self._journal.read(path) or b"").decode("utf-8", "surrogateescape")
            quiet = quiet_sections(present, self._wish.url, self._wish.name)
            if quiet != present:
                disabled.append(str(path))
                if quiet.strip():
                    self._journal.write(path, quiet.encode("utf-8", "surrogateescape"), keep=True)
                else:
                    self._journal.remove(path, keep=True)
        return disabled

    def _repos(self) -> Iterator[Path]:
        yield from (path for path in sorted(self.file.parent.glob("*.repo")) if path != self.file)

    def _prove(self) -> None:
        self._import()
        for kept in (self._root / "var" / "cache" / "dnf").glob(f"{self._wish.name}-*/pubring"):
            # dnf would go on trusting the keys with which it has checked these lists before.
            shutil.rmtree(kept)
        only = ["--disablerepo=*", f"--enablerepo={self._wish.name}", "--refresh", "--setopt=skip_if_unavailable=0"]
        try:
            self._dnf.change(["dnf", *self._dnf.settings(), *only, "makecache"])
        except ToolError as error:
            why = self._explain(error.output, _SENTENCES) or f"{self._wish.base} cannot be used: {error}"
            raise RepositoryError(f"{why} Everything is as it was before.") from error

    def _undo(self) -> None:
        for name in self._imported:
            self._dnf.ask(["rpm", "--erase", "--allmatches", name])
        super()._undo()


def quiet_sections(text: str, url: str, name: str) -> str:
    """The text of a .repo file, with the repositories for the same packages turned off.

    :param name: that of the repository which takes their place; dnf wants no two of one name.
    """
    return _SECTION.sub(lambda found: _quiet_section(found, url, name), text)


def _quiet_section(found: re.Match[str], url: str, name: str) -> str:
    section = found.group()
    if found["name"] == name:
        return ""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(section)
    except configparser.Error:
        return section  # dnf itself complains of it
    values = dict(parser.items(found["name"]))
    places = f"{values.get('baseurl', '')} {values.get('mirrorlist', '')}".split()
    off = values.get("enabled", "1").strip().lower() in ("0", "false", "no", "off")
    if off or not any(same_place(url, place) for place in places):
        return section
    bare = re.sub(r"^enabled\s*=.*\n?", "", section, flags=re.MULTILINE)
    head, _newline, body = bare.partition("\n")
    return f"{head}\nenabled=0\n{body}"
