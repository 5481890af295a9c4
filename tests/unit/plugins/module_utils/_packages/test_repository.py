# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.openpgp import armored, fingerprints
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository import (
    Outcome,
    RepositoryError,
    Wish,
    same_place,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository_apt import (
    AptRepository,
    quiet_lines,
    quiet_stanzas,
    speaks,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository_dnf import (
    DnfRepository,
    quiet_sections,
)

URL = "http://mirror.example.com/nvidia/debian12/x86_64"
NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/"
KEY = base64.b64decode(
    "mDMEawGP3BYJKwYBBAHaRw8BAQdAkW+bvZ8nCII0MbPkXrxmKRNQorEGnGeHee8VGiKffnm0GFRlc3QgPHRAZXhhbXBsZS5pbnZhbGlkPoiQBBMW"
    "CAA4FiEEyzjTCRZzUtqbKKuNYqckFzw9RwgFAmsBj9wCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQYqckFzw9RwiS3wD9Ey1zHOl0pjyO"
    "Q6rQOYn3zJIDilYXHNhqp/w0K0MnG1wBAMK7RxB1TMqTL7k89WobdIiudbJaVKyoGpjaAHfv+FoA"
)
PRINT = fingerprints(KEY)[0]

PLACES = [
    (f"{URL}/", True),
    ("http://user:secret@MIRROR.example.com/nvidia/debian12/x86_64/", True),
    ("https://mirror.example.com//nvidia/debian12/x86_64", True),
    (NVIDIA, True),
    ("http://mirror.example.com/debian", False),
    ("http://other.example.com/nvidia/debian12/x86_64", False),
    ("https://developer.download.nvidia.com/compute/machine-learning/repos/x", False),
]

LINES = f"""\
# A comment
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] {NVIDIA} /
deb-src {URL} /
deb http://mirror.example/debian bookworm main
"""
STANZAS = f"""\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm

Types: deb
Enabled: yes
URIs:
 {URL}
Suites: /

# Off already
Types: deb
Enabled: no
URIs: {NVIDIA}
"""
SECTIONS = f"""\
[cuda-rhel9-x86_64]
name=cuda
baseurl={NVIDIA.replace("ubuntu2204", "rhel9")}
enabled=1
gpgcheck=1

[epel]
name=EPEL
baseurl=http://mirror.example.com/epel

[cuda]
name=somebody else's
baseurl=http://other.example.com/
"""

# What apt prints -> part of the sentence that it becomes.
APT_FAILURES = {
    "W: GPG error: http://x  InRelease: The following signatures couldn't be verified because the public key is not "
    "available: NO_PUBKEY A4B469633BF863CC": f"signed by the key A4B469633BF863CC, and /key.pub holds "
    f"another one ({PRINT})",
    "W: OpenPGP signature verification failed: http://x  InRelease: Sub-process /usr/bin/sqv returned an error code "
    "(1), error message is: Missing key A4B469633BF863CC, which is needed to verify signature.": "by the key A4B4",
    "Err:1 http://x InRelease\n  Signing key is not bound: because: SHA1 is not considered secure": "does not accept",
    "E: The repository 'http://x  Release' is not signed.": "is not signed, so nothing tells",
    "E: The repository 'http://x  Release' does not have a Release file.": "holds no repository",
    "E: Failed to fetch http://x/Packages  404  Not Found [IP: 10.0.0.1 80]": "holds no repository (404  Not Found)",
    "W: Failed to fetch http://x/InRelease  Could not connect to x:80, connection timed out": "does not answer",
    "W: Failed to fetch http://x/InRelease  Could not resolve 'x'": "does not answer: Could not resolve 'x'",
    "W: Failed to fetch https://x  Certificate verification failed: The certificate is NOT trusted.": "certificate of",
    "W: GPG error: http://x InRelease: The following signatures were invalid: EXPKEYSIG A4B4": "has expired",
    "E: Something new": "cannot be used: E: Something new",
}


@pytest.mark.parametrize(("other", "same"), PLACES)
def test_entries_for_the_same_packages_are_told_from_others(other: str, same: bool) -> None:
    assert same_place(URL, other) is same


def test_lines_for_the_same_packages_become_comments() -> None:
    quiet = quiet_lines(LINES, URL).splitlines()
    assert [line[:9] for line in quiet] == ["# A comme", "# deb [ar", "# deb-src", "deb http:"]
    assert quiet_lines("\n".join(quiet), URL).splitlines() == quiet


def test_stanzas_for_the_same_packages_are_turned_off() -> None:
    quiet = quiet_stanzas(STANZAS, URL)
    assert [("Enabled: no" in part, "Enabled: yes" in part) for part in quiet.split("\n\n")] == [
        (False, False),
        (True, False),
        (True, False),
    ]
    assert quiet_stanzas(quiet, URL) == quiet


def test_sections_for_the_same_packages_are_turned_off() -> None:
    quiet = quiet_sections(SECTIONS, URL, "cuda")
    assert quiet.startswith("[cuda-rhel9-x86_64]\nenabled=0\nname=cuda\n")
    assert quiet.count("enabled") == 1
    assert "[epel]\nname=EPEL" in quiet
    assert "[cuda]" not in quiet
    assert quiet_sections(quiet, URL, "cuda") == quiet


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", False),
        ("# deb http://x /\n\n", False),
        (LINES, True),
        (STANZAS, True),
        ("Enabled: no\nURIs: http://x\n", False),
    ],
)
def test_a_list_without_a_source_says_nothing(text: str, says: bool) -> None:
    assert speaks(text) is says


class Node:
    """The files of a node, and what its package manager answers to an update."""

    def __init__(self, root: Path) -> None:
        self.root, self.answer, self.together = root, Finished(0), Finished(0)
        self.served = {"/key.pub": armored(KEY), "/key.gpg": KEY}
        self.fetched: list[str] = []
        self.calls: list[str] = []
        (root / "etc/apt/sources.list.d").mkdir(parents=True)
        (root / "etc/apt/sources.list.d/old.list").write_text(LINES)
        (root / "etc/apt/sources.list.d/cuda-ubuntu2204-x86_64.list").write_text(f"deb {NVIDIA} /\n")
        (root / "etc/yum.repos.d").mkdir(parents=True)
        (root / "etc/yum.repos.d/nvidia.repo").write_text(SECTIONS)

    def __call__(self, argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        words = [word for word in argv if not word.startswith("-")]
        self.calls.append(" ".join([words[0], words[-1]]))
        if "indextargets" in words:
            return self.together
        if "gpg-pubkey" in words:
            return Finished(0, "gpg-pubkey-3c3d4708\n" if "rpm key" in self.calls else "")
        if words[0] == "rpm":
            self.calls[-1] = "rpm key"
            return Finished(0)
        return self.answer

    def fetch(self, place: str) -> bytes:
        self.fetched.append(place)
        return self.served[place]

    def apt(self, *, dry: bool = False, **wish: object) -> Outcome:
        wanted = Wish(**{"url": URL, "keyring": "/key.pub", **wish})  # type: ignore[arg-type]
        return AptRepository(Apt(self, {}, 1, 1), wanted, Journal(dry), self.fetch, self.root).bring()

    def dnf(self, *, dry: bool = False, **wish: object) -> Outcome:
        wanted = Wish(**{"url": URL, "keyring": "/key.pub", **wish})  # type: ignore[arg-type]
        return DnfRepository(Dnf(self, {}, 1, 1), wanted, Journal(dry), self.fetch, self.root).bring()

    def files(self) -> dict[str, bytes]:
        paths = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_apt_gets_one_source_with_its_own_key(node: Node) -> None:
    outcome = node.apt(fingerprint=PRINT.lower(), priority=600)
    files = node.files()
    assert files["etc/apt/sources.list.d/cuda.sources"].decode().splitlines()[1:] == [
        "Types: deb",
        f"URIs: {URL}/",
        "Suites: /",
        "Signed-By: /etc/apt/keyrings/cuda.gpg",
    ]
    assert files["etc/apt/keyrings/cuda.gpg"] == KEY
    assert b"Pin-Priority: 600\n" in files["etc/apt/preferences.d/cuda"]
    assert outcome.fingerprints == [PRINT]
    assert [Path(path).name for path in outcome.disabled] == ["cuda-ubuntu2204-x86_64.list", "old.list"]
    assert "etc/apt/sources.list.d/cuda-ubuntu2204-x86_64.list" not in files
    assert len(outcome.backups) == 2


def test_a_second_run_fetches_nothing(node: Node) -> None:
    node.apt(checksum=f"sha256:{hashlib.sha256(armored(KEY)).hexdigest()}")
    node.fetched.clear()
    node.calls.clear()
    assert not node.apt(checksum=f"sha256:{hashlib.sha256(armored(KEY)).hexdigest()}").changed
    assert (node.fetched, node.calls) == ([], [])


def test_another_keyring_is_fetched_and_the_pin_goes_where_none_is_wanted(node: Node) -> None:
    node.apt(priority=600)
    assert node.apt(keyring="/key.gpg").changed
    assert node.fetched == ["/key.pub", "/key.gpg"]
    assert "etc/apt/preferences.d/cuda" not in node.files()


def test_check_mode_shows_the_files_and_fetches_nothing(node: Node) -> None:
    before = node.files()
    outcome = node.apt(dry=True)
    assert outcome.changed
    assert [Path(each["after_header"]).name for each in outcome.diff] == [
        "cuda.gpg",
        "cuda.sources",
        "cuda-ubuntu2204-x86_64.list",
        "old.list",
    ]
    assert (node.files(), node.fetched, node.calls) == (before, [], [])


@pytest.mark.parametrize(("output", "part"), APT_FAILURES.items())
def test_a_source_that_fails_is_a_sentence_and_leaves_no_trace(node: Node, output: str, part: str) -> None:
    before = node.files()
    # apt ends with success though a source gave no answer.
    node.answer = Finished(0 if output.startswith("W") else 100, "", output)
    with pytest.raises(RepositoryError) as failure:
        node.apt()
    assert part in str(failure.value)
    assert str(failure.value).endswith("Everything is as it was before.")
    assert node.files() == before


def test_sources_that_conflict_are_found_and_everything_comes_back(node: Node) -> None:
    before = node.files()
    node.together = Finished(
        100, "", "E: Conflicting values set for option Signed-By regarding source http://x /: a != b"
    )
    with pytest.raises(RepositoryError, match="Conflicting values set for option Signed-By"):
        node.apt()
    assert node.files() == before


def test_keys_that_every_source_would_trust_go_only_where_they_are_nvidias(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = node.root / "etc/apt/trusted.gpg.d"
    trusted.mkdir()
    (trusted / "nvidia.gpg").write_bytes(KEY)
    node.apt()
    assert (trusted / "nvidia.gpg").exists()
    module = "ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository_apt"
    monkeypatch.setattr(f"{module}.NVIDIA_KEYS", frozenset({PRINT}))
    assert str(trusted / "nvidia.gpg") in node.apt().disabled
    assert not (trusted / "nvidia.gpg").exists()


WRONG = [
    ({"url": "/srv/nvidia"}, "begins with no scheme"),
    ({"checksum": "md5:1"}, "is no SHA-256 sum"),
    ({"checksum": "0" * 64}, "has the SHA-256 sum"),
    ({"fingerprint": "3BF863CC"}, "give all of its 40 hexadecimal digits"),
    ({"fingerprint": "0" * 40}, f"holds the key {PRINT}, but {'0' * 40} was expected; nothing was changed"),
    ({"name": "../cuda"}, "cannot be part of the name of a file"),
    ({"keyring": "/page"}, "is no keyring. It is a web page, as a proxy or a wrong address gives it"),
    ({"keyring": "/page", "checksum": "0" * 64}, "but 0000"),
    ({"keyring": "/empty"}, "is no key that can be used"),
]


@pytest.mark.parametrize(("wish", "part"), WRONG)
@pytest.mark.parametrize("manager", ["apt", "dnf"])
def test_what_cannot_be_meant_changes_nothing(node: Node, manager: str, wish: dict[str, str], part: str) -> None:
    node.served |= {"/page": b"<html>Please log in</html>", "/empty": b""}
    before = node.files()
    with pytest.raises(RepositoryError) as failure:
        getattr(node, manager)(**wish)
    assert part in str(failure.value)
    assert (node.files(), node.calls) == (before, [])


def test_a_keyring_that_calls_itself_a_package_must_be_one(node: Node) -> None:
    node.served["/cuda-keyring_1.1-1_all.deb"] = KEY
    with pytest.raises(RepositoryError, match="is no Debian package"):
        node.apt(keyring="/cuda-keyring_1.1-1_all.deb")


def test_dnf_gets_one_repository_with_its_own_key(node: Node) -> None:
    outcome = node.dnf(keyring="/key.gpg", check_metadata=True, priority=10)
    files = node.files()
    assert files["etc/yum.repos.d/cuda.repo"].decode().splitlines()[1:] == [
        "[cuda]",
        "name=NVIDIA CUDA",
        f"baseurl={URL}/",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-cuda",
        "priority=10",
    ]
    assert files["etc/pki/rpm-gpg/RPM-GPG-KEY-cuda"] == armored(KEY)
    assert (outcome.fingerprints, [Path(path).name for path in outcome.disabled]) == ([PRINT], ["nvidia.repo"])
    node.calls.clear()
    assert not node.dnf(keyring="/key.gpg", check_metadata=True, priority=10).changed
    assert node.calls == []


DNF_FAILURES = {
    "Errors during downloading metadata:\n  - Status code: 404 for http://x": "holds no repository",
    "  - Curl error (7): Couldn't connect to server for http://x": "does not answer: Curl error (7)",
    "  - Curl error (60): SSL peer certificate was not OK": "The certificate of",
    "Error: repomd.xml GPG signature verification error: Bad GPG signature": f"the key of /key.pub ({PRINT})",
}


@pytest.mark.parametrize(("output", "part"), DNF_FAILURES.items())
def test_a_repository_that_fails_is_a_sentence_and_leaves_no_trace(node: Node, output: str, part: str) -> None:
    before = node.files()
    node.answer = Finished(1, "", output)
    with pytest.raises(RepositoryError) as failure:
        node.dnf()
    assert part in str(failure.value)
    assert node.files() == before
    assert node.calls[-1] == "rpm key", "the key that was imported is taken out again"


def test_the_keyring_of_debian_is_none_for_dnf(node: Node) -> None:
    node.served["/x.deb"] = b"!<arch>\n"
    with pytest.raises(RepositoryError, match="is a package for Debian"):
        node.dnf(keyring="/x.deb")
