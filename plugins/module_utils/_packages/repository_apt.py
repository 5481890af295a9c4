# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's repository for apt: one deb822 file of our own, and no other entry or key beside it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.openpgp import NoKey, binary, fingerprints
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository import (
    DEBIAN_PACKAGE,
    NVIDIA_KEYS,
    Fetch,
    Repository,
    RepositoryError,
    Wish,
    public_key,
    same_place,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError

# Where the package cuda-keyring puts it; other software of NVIDIA refers to it there too.
PACKAGED_KEYRING = Path("usr/share/keyrings/cuda-archive-keyring.gpg")
_ONE_LINE = re.compile(r"^\s*deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(?P<url>\S+)")
_OFF = re.compile(r"^Enabled:\s*(no|false|off|0)\s*$", re.MULTILINE | re.IGNORECASE)
_SENTENCES = (
    (
        re.compile(r"NO_PUBKEY (?P<what>[0-9A-F]+)|Missing key (?P<also>[0-9A-F]+)"),
        "{url} is signed by the key {what}, and {keyring} holds another one ({keys}); give the keyring that belongs to "
        "this repository.",
    ),
    (
        re.compile(
            r"(?P<what>SHA-?1\b[^\n]*not considered secure[^\n]*|[^\n]*weak digest algorithm[^\n]*"
            r"|Policy rejected[^\n]*)"
        ),
        "{url} is signed in a way that this system does not accept any more: {what} A newer keyring, or a mirror with "
        "a newer signature, is needed.",
    ),
    (
        re.compile(r"(?P<what>EXPKEYSIG|KEYEXPIRED|key expired|has expired)"),
        "The key that signs {url} has expired; give the present keyring.",
    ),
    (
        re.compile(r"(?P<what>BADSIG)"),
        "The signature of {url} does not match what it signs; the mirror is damaged or half copied.",
    ),
    (re.compile(r"(?P<what>Release file [^\n]*is expired[^\n]*)"), "{url} is out of date: {what}."),
    (
        re.compile(
            r"(?P<what>[Cc]ertificate verification failed[^\n]*|certificate is (?:NOT trusted|not valid)[^\n]*)"
        ),
        "The certificate of {url} is not accepted: {what}. Install the authority that has signed it "
        "(update-ca-certificates), or correct the clock of the node.",
    ),
    (
        re.compile(
            r"(?P<what>Could not connect to [^\n]*|Connection refused|Could not resolve [^\n]*|Connection timed out|"
            r"Temporary failure resolving [^\n]*|Unable to connect to [^\n]*|Cannot initiate the connection[^\n]*)"
        ),
        "{url} does not answer: {what} Check the address, and the proxy that apt is configured with.",
    ),
    (
        re.compile(r"(?P<what>404 +Not Found|does not have a Release file|File not found)"),
        "{url} holds no repository ({what}); check the distribution and the architecture in the address.",
    ),
    (
        re.compile(r"(?P<what>is not signed)"),
        "{url} is not signed, so nothing tells whether its packages are NVIDIA's; use a mirror that copies InRelease "
        "too.",
    ),
)


class AptRepository(Repository):
    """The repository in the files of a node that has apt.

    :param root: where these files lie, the root of the file system.
    """

    def __init__(self, apt: Apt, wish: Wish, journal: Journal, fetch: Fetch, root: Path = Path("/")) -> None:
        super().__init__(wish, journal, fetch)
        self._apt, self._root = apt, root
        self._packaged = wish.keyring.endswith(".deb")
        own = root / "etc" / "apt" / "keyrings" / f"{wish.name}.gpg"
        self.key = root / PACKAGED_KEYRING if self._packaged else own
        self.file = root / "etc" / "apt" / "sources.list.d" / f"{wish.name}.sources"
        self._pin = root / "etc" / "apt" / "preferences.d" / wish.name
        self._installed = ""

    def _text(self) -> str:
        return (
            f"# Written by fromzero.deepspeed.cuda_repository; the key is that of {self._wish.origin}.\n"
            f"Types: deb\nURIs: {self._wish.base}\nSuites: /\nSigned-By: /{self.key.relative_to(self._root)}\n"
        )

    def _bring_more(self) -> None:
        """Prefer the repository to others, or do so no more; a file of somebody else stays."""
        mark = "Explanation: Written by fromzero.deepspeed.cuda_repository.\n"
        if self._wish.priority is not None:
            text = f"{mark}Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: {self._wish.priority}\n"
            self._journal.write(self._pin, text.encode())
        elif (self._journal.read(self._pin) or b"").startswith(mark.encode()):
            self._journal.remove(self._pin)

    def _take(self, keyring: bytes) -> None:
        if keyring.startswith(DEBIAN_PACKAGE) != self._packaged:
            what = "no Debian package, as its name says" if self._packaged else "a Debian package, and not named .deb"
            raise RepositoryError(f"{self._wish.keyring} is {what}; correct the address.")
        if self._packaged:
            self._install(keyring)
        else:
            self._journal.write(self.key, public_key(self._wish, keyring))

    def _install(self, data: bytes) -> None:
        """Install the package that has the key, so that a newer one comes by an upgrade."""
        with tempfile.TemporaryDirectory(prefix="fromzero-") as folder:
            package = Path(folder, "cuda-keyring.deb")
            package.write_bytes(data)
            self._command(["dpkg-deb", "--extract", str(package), f"{folder}/content"])
            content = Path(folder, "content")
            if not (content / PACKAGED_KEYRING).is_file():
                raise RepositoryError(
                    f"{self._wish.keyring} has no /{PACKAGED_KEYRING}, so it is not the package cuda-keyring (1.1-1 or "
                    "newer); nothing was changed."
                )
            public_key(self._wish, (content / PACKAGED_KEYRING).read_bytes())
            for path in sorted(content.rglob("*")):
                if path.is_file():
                    self._journal.witness(self._root / path.relative_to(content))
            name = self._apt.ask(["dpkg-deb", "--field", str(package), "Package"]).stdout.strip()
            known = self._apt.ask(["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]).stdout
            self._installed = "" if known == "installed" else name
            self._command(["dpkg", "--force-confnew", "--install", str(package)])
            self._journal.look_again()

    def _disable_others(self) -> list[str]:
        """Take every other entry for the same packages, and NVIDIA's keys that every source trusts, out of use."""
        disabled = []
        for path in self._lists():
            present = self._journal.read(path)
            if present is None or path == self.file:
                continue
            text = present.decode("utf-8", "surrogateescape")
            quiet = (quiet_stanzas if path.suffix == ".sources" else quiet_lines)(text, self._wish.url)
            if quiet == text:
                continue
            disabled.append(str(path))
            keep = not self._journal.is_new(path)
            if speaks(quiet) or path.name == "sources.list":
                self._journal.write(path, quiet.encode("utf-8", "surrogateescape"), keep=keep)
            else:
                self._journal.remove(path, keep=keep)
        trusted = self._root / "etc" / "apt" / "trusted.gpg.d"
        for path in sorted(trusted.glob("*")):
            if path.suffix in (".gpg", ".asc") and is_only_nvidias(path.read_bytes()):
                disabled.append(str(path))
                self._journal.remove(path, keep=True)
        return disabled

    def _lists(self) -> Iterator[Path]:
        folder = self._root / "etc" / "apt"
        yield folder / "sources.list"
        yield from sorted(path for path in folder.glob("sources.list.d/*") if path.suffix in (".list", ".sources"))

    def _prove(self) -> None:
        """Fetch the lists of this repository alone; see then that apt is content with all of its sources together."""
        one = [f"Dir::Etc::sourcelist={self.file}", "Dir::Etc::sourceparts=-", "APT::Get::List-Cleanup=0"]
        options = [word for option in (*one, "Acquire::Retries=1") for word in ("-o", option)]
        try:
            finished = self._apt.change(["apt-get", *self._apt.settings(), *options, "update"])
            output = f"{finished.stdout}\n{finished.stderr}"
        except ToolError as error:
            output = error.output
            if not output:
                raise RepositoryError(str(error)) from error
        complaints = [line for line in output.splitlines() if line.startswith(("E: ", "W: ", "Err:"))]
        if complaints:
            why = self._explain(output, _SENTENCES) or f"{self._wish.base} cannot be used: {' '.join(complaints)}"
            raise RepositoryError(f"{why} Everything is as it was before.")
        together = self._apt.ask(["apt-get", "indextargets"])
        if together.rc != 0:
            raise RepositoryError(f"apt does not accept this source beside its others: {together.last_words}")

    def _command(self, argv: list[str]) -> None:
        try:
            self._apt.change(argv)
        except ToolError as error:
            raise RepositoryError(f"{self._wish.keyring}: {error}") from error

    def _undo(self) -> None:
        if self._installed:
            self._apt.ask(["dpkg", "--purge", self._installed])
        super()._undo()


def speaks(text: str) -> bool:
    """Whether a list, of lines or of stanzas, names any source that is in use."""
    stanzas = [part for part in re.split(r"\n\s*\n", text) if not _OFF.search(part)]
    lines = [line.strip() for part in stanzas for line in part.splitlines()]
    return any(line and not line.startswith("#") for line in lines)


def quiet_lines(text: str, url: str) -> str:
    """A list of one line for each source, with those for the same packages turned into comments."""
    lines = []
    for line in text.splitlines(keepends=True):
        found = _ONE_LINE.match(line)
        lines.append(f"# {line}" if found and same_place(url, found["url"]) else line)
    return "".join(lines)


def quiet_stanzas(text: str, url: str) -> str:
    """A list of stanzas, with those for the same packages turned off."""
    parts = re.split(r"(\n\s*\n)", text)
    return "".join(_quiet_stanza(part, url) for part in parts)


def _quiet_stanza(stanza: str, url: str) -> str:
    found = re.search(r"^URIs:(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE | re.IGNORECASE)
    if not found or _OFF.search(stanza) or not any(same_place(url, each) for each in found[1].split()):
        return stanza
    bare = re.sub(r"^Enabled:.*\n?", "", stanza, flags=re.MULTILINE | re.IGNORECASE)
    return f"Enabled: no\n{bare}"


def is_only_nvidias(data: bytes) -> bool:
    """Whether a keyring holds keys of NVIDIA's repository and no other."""
    try:
        found = fingerprints(binary(data))
    except NoKey:
        return False
    return bool(found) and set(found) <= NVIDIA_KEYS
