# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Package,
    Pin,
    Spec,
    TransactionError,
    Wish,
    bring,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction_apt import (
    AptManager,
    parse_blocks,
    parse_changes,
    parse_installed,
    parse_policy,
)

LISTING = """\
libc6:amd64\t2.36-9\tii \t
libc6:i386\t2.36-9\tii \t
libnvidia-compute-450:amd64\t450.80-1\thi \tlibcuda1, libcuda-11.0-1 (= 450), libnvidia-compute
nvidia-dkms-450\t450.80-1\tiF \t
half\t1\tiHR\t
old\t1\trc \t
never\t1\tun \t
"""
POLICY = """\
nvidia-open:
  Installed: (none)
  Candidate: 590.48.01-1
  Version table:
     595.91.07-1 500
        500 file:/srv/nvidia  Packages
     590.48.01-1 1001
        500 file:/srv/nvidia  Packages
     580.95.05-1 500
        500 file:/srv/nvidia  Packages
     580.65.06-1 500
        500 file:/srv/nvidia  Packages
virtual:
  Installed: (none)
  Candidate: (none)
  Version table:
dkms:
  Installed: 1:3.2.1-1
  Candidate: 1:3.2.1-1
  Version table:
 *** 1:3.2.1-1 500
        500 file:/srv/nvidia  Packages
        100 /var/lib/dpkg/status
"""
SIMULATION = """\
Reading package lists...
The following additional packages will be installed:
  libcuda1
WARNING: The following essential packages will be removed.
This should NOT be done unless you know exactly what you are doing!
  bash (due to libc6)
The following packages will be DOWNGRADED:
  dkms
The following held packages will be changed:
  libnvidia-compute-450
Remv libnvidia-compute-450 [450.80-1] [old:i386 ]
Purg nvidia-dkms-450 [450.80-1]
Inst dkms [1:3.2.1-1] (1:3.1.0-1 NVIDIA:localhost [all])
Inst libcuda1 (580.95.05-1 NVIDIA CUDA:localhost [amd64])
Conf libcuda1 (580.95.05-1 NVIDIA CUDA:localhost [amd64])
"""


def test_what_dpkg_lists_is_read_with_holds_and_damage() -> None:
    assert parse_installed(LISTING, "amd64") == {
        "libc6": Package("2.36-9"),
        "libc6:i386": Package("2.36-9"),
        "libnvidia-compute-450": Package(
            "450.80-1", held=True, provides=frozenset({"libcuda1", "libcuda-11.0-1", "libnvidia-compute"})
        ),
        "nvidia-dkms-450": Package("450.80-1", whole=False),
        "half": Package("1", whole=False),
    }


def test_the_candidate_comes_before_newer_versions() -> None:
    assert parse_policy(POLICY) == {
        "nvidia-open": ["590.48.01-1", "595.91.07-1", "580.95.05-1", "580.65.06-1"],
        "virtual": [],
        "dkms": ["1:3.2.1-1"],
    }


REMOVED = """\
pdsh:
  Installed: (none)
  Candidate: 2.34-3
  Version table:
     2.34-3 -1
        100 /var/lib/dpkg/status
own:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
"""


def test_a_version_that_only_dpkg_remembers_cannot_be_had_and_one_that_is_installed_can() -> None:
    assert parse_policy(REMOVED) == {"pdsh": [], "own": ["1.0"]}


def test_a_simulation_tells_what_changes() -> None:
    assert parse_changes(SIMULATION) == {
        "libnvidia-compute-450": ("450.80-1", ""),
        "nvidia-dkms-450": ("450.80-1", ""),
        "dkms": ("1:3.2.1-1", "1:3.1.0-1"),
        "libcuda1": ("", "580.95.05-1"),
    }


def test_a_simulation_tells_what_it_would_do_beyond() -> None:
    blocks = parse_blocks(SIMULATION)
    assert blocks["The following packages will be DOWNGRADED:"] == ["dkms"]
    assert blocks["The following held packages will be changed:"] == ["libnvidia-compute-450"]
    assert blocks["This should NOT be done unless you know exactly what you are doing!"] == ["bash"]


class Node:
    """apt and dpkg of a node: what they answer by the first words that they are called with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.listing, self.offered, self.fetched = "libc6\t2\tii \t\n", POLICY, POLICY
        self.simulation = Finished(0, "Inst nvidia-open (580.95.05-1 x [amd64])\n")
        self.calls: list[list[str]] = []
        self.endings: list[Finished] = []

    def __call__(self, argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        words = [*argv]
        if words[0] == "dpkg-query":
            return Finished(0, self.listing)
        if words[:2] == ["dpkg", "--print-architecture"]:
            return Finished(0, "amd64\n")
        self.calls.append(words)
        if words[0] == "apt-cache":
            return Finished(0, self.offered)
        if "--simulate" in words:
            return self.simulation
        if "indextargets" in words:
            return Finished(0, "http://mirror.example/debian bookworm\nhttp://mirror.example/debian bookworm\n")
        ending = self.endings.pop(0) if self.endings else Finished(0)
        if "update" in words:
            self.offered = self.fetched
        elif "install" in words and ending.rc == 0:
            self.listing += "nvidia-open\t580.95.05-1\tii \t\n"
        return ending

    def bring(self, *, dry: bool = False, **wish: object) -> list[str]:
        """Carry a wish out, and return what was called that changes something."""
        wanted = Wish(**{"install": [Spec("nvidia-open", "580*")], "lock_timeout": 5, **wish})  # type: ignore[arg-type]
        self.outcome = bring(AptManager(Apt(self, {}, 5, 60), wanted, self.root), wanted, dry=dry)
        settings = Apt(self, {}, 5, 60).settings()
        return [
            " ".join(word for word in call if word not in settings)
            for call in self.calls
            if "--simulate" not in call and call[0] != "apt-cache"
        ]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_the_newest_version_that_fits_is_installed_by_one_command(node: Node) -> None:
    assert node.bring() == ["apt-get --yes --no-install-recommends install nvidia-open=580.95.05-1"]


def test_removals_stand_beside_installations(node: Node) -> None:
    node.listing += "nvidia-dkms-450\t450.80-1\tii \t\n"
    node.simulation = Finished(0, "Remv nvidia-dkms-450 [450.80-1]\nInst nvidia-open (580.95.05-1 x [amd64])\n")
    with pytest.raises(TransactionError, match="nvidia-dkms-450 is still installed"):
        node.bring(remove=["nvidia-*-450"])
    assert node.calls[-1][-2:] == ["nvidia-open=580.95.05-1", "nvidia-dkms-450-"]


def test_an_essential_package_is_told_from_others(node: Node) -> None:
    node.listing += "bash\t5.2\tii \t\n"
    node.simulation = Finished(0, SIMULATION)
    with pytest.raises(TransactionError, match="remove bash, without which the system does not work"):
        node.bring(allow_removing=["*"])


SWITCHES = [
    ({}, ["--no-install-recommends"]),
    ({"recommends": True}, []),
    ({"purge": True, "recommends": True}, ["--purge"]),
    ({"allow_downgrade": True, "recommends": True}, ["--allow-downgrades"]),
    ({"allow_held": True, "recommends": True}, ["--allow-change-held-packages"]),
]


@pytest.mark.parametrize(("wish", "switches"), SWITCHES)
def test_switches_are_given_only_as_asked(node: Node, wish: dict[str, bool], switches: list[str]) -> None:
    assert node.bring(**wish) == [" ".join(["apt-get", "--yes", *switches, "install", "nvidia-open=580.95.05-1"])]


def test_lists_are_fetched_where_they_do_not_know_a_package(node: Node) -> None:
    node.offered = ""
    assert [call.split()[-1] for call in node.bring()] == ["update", "nvidia-open=580.95.05-1"]
    assert node.outcome.lists_fetched


def test_lists_are_not_fetched_where_nobody_wants_it(node: Node) -> None:
    node.offered = ""
    node.simulation = Finished(100, "", "E: Unable to locate package nvidia-open\n")
    with pytest.raises(
        TransactionError, match=r"No package nvidia-open is in the sources of this node \(http://mirror\.example"
    ):
        node.bring(update="never")


def test_check_mode_takes_an_unknown_package_for_granted(node: Node) -> None:
    node.offered = ""
    assert node.bring(dry=True, hold=["nvidia*"]) == []
    assert node.outcome.changes == {"nvidia-open": ("", "580*")}
    assert node.outcome.marked(True) == ["nvidia-open"]
    assert "The lists of this node do not name nvidia-open=580*" in node.outcome.warnings[0]


def test_lists_that_name_a_package_which_is_gone_are_fetched_anew(node: Node) -> None:
    node.endings = [Finished(100, "", "E: Failed to fetch http://host/x.deb  404  Not Found\n")]
    assert [call.split()[-1] for call in node.bring()] == [
        "nvidia-open=580.95.05-1",
        "update",
        "nvidia-open=580.95.05-1",
    ]


def test_a_source_that_fails_is_a_warning_where_the_package_is_found_all_the_same(node: Node) -> None:
    node.offered, node.endings = "", [Finished(100, "", "E: The repository 'http://other Release' is not signed.\n")]
    node.bring()
    assert node.outcome.warnings == ["The repository 'http://other Release' is not signed."]


def test_pins_reach_the_question_the_plan_and_the_run(node: Node) -> None:
    (node.root / "etc/apt").mkdir(parents=True)
    (node.root / "etc/apt/preferences").write_text("Package: own\nPin: version 1\nPin-Priority: 7\n")
    read: list[str] = []

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        for word in argv:
            name, _equals, path = word.partition("=")
            if name == "Dir::Etc::Preferences":
                read.append(Path(path).read_text())
        return node(argv, stdin, environment, timeout)

    wish = Wish(install=[Spec("nvidia-open", "580*")], pins=[Pin("src:*nvidia*:any", "580*")])
    bring(AptManager(Apt(run, {}), wish, node.root), wish)
    assert len(read) == 3
    assert read[0].startswith("Package: src:*nvidia*:any\nPin: version 580*\nPin-Priority: 1001\n\nPackage: own\n")


def test_a_simulation_takes_what_is_released_as_not_held(node: Node) -> None:
    status = node.root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    stanza = "Package: nvidia-open\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 570-1\n"
    status.write_text(f"{stanza}\nPackage: other\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n")
    node.listing = "nvidia-open\t570-1\thi \t\nother\t1\thi \t\n"
    seen: list[str] = []

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        for word in argv:
            if word.startswith("Dir::State::status="):
                seen.append(Path(word.partition("=")[2]).read_text())
        return node(argv, stdin, environment, timeout)

    wish = Wish(install=[Spec("nvidia-open", "580*")], unhold=["nvidia*"])
    bring(AptManager(Apt(run, {}), wish, node.root), wish, dry=True)
    assert "Package: nvidia-open\nStatus: install ok installed" in seen[0]
    assert "Package: other\nStatus: hold ok installed" in seen[0]


def test_broken_dependencies_are_mended_by_naming_all_that_comes(node: Node) -> None:
    status = node.root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("Package: broken-440\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n")
    node.listing += "broken-440\t1\tii \t\n"
    commands: list[str] = []

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        if "--simulate" in argv:
            commands.append(" ".join(argv[argv.index("install") + 1 :]))
            if any(word.startswith("Dir::State::status=") for word in argv):
                return Finished(0, "Inst libcuda1 (580.95.05-1 x [amd64])\nInst nvidia-open (580.95.05-1 x [amd64])\n")
            if "libcuda1=580.95.05-1" not in argv:
                return Finished(100, "", "E: Unmet dependencies. Try 'apt --fix-broken install' with no packages.\n")
            return Finished(0, "Remv broken-440 [1]\nInst libcuda1 (580 x [a])\nInst nvidia-open (580 x [a])\n")
        return node(argv, stdin, environment, timeout)

    wish = Wish(install=[Spec("nvidia-open", "580*")], remove=["*-440"])
    outcome = bring(AptManager(Apt(run, {}), wish, node.root), wish, dry=True)
    assert commands == [
        "nvidia-open=580.95.05-1 broken-440-",
        "nvidia-open=580.95.05-1",
        "libcuda1=580.95.05-1 nvidia-open=580.95.05-1 broken-440-",
    ]
    assert outcome.changes["broken-440"] == ("1", "")


def test_a_journal_of_dpkg_tells_that_it_was_interrupted(node: Node) -> None:
    (node.root / "var/lib/dpkg/updates").mkdir(parents=True)
    (node.root / "var/lib/dpkg/updates/0001").touch()
    with pytest.raises(TransactionError, match="dpkg was interrupted on this node"):
        node.bring(repair=False)
    assert not node.calls
    assert "dpkg" not in [call.split()[0] for call in node.bring(dry=True)]
    assert node.outcome.repaired == ["dpkg was interrupted on this node"]


CONFIGURE = "dpkg --configure -a --force-confdef --force-confold"
# What dpkg 1.21 writes where a package was unpacked before what it needs, and where it was cut off.
NO_DEPENDENCY = """\
dpkg: dependency problems prevent configuration of pdsh:
 pdsh depends on libgenders0; however:
  Package libgenders0 is not installed.

dpkg: error processing package pdsh (--configure):
 dependency problems - leaving unconfigured
Errors were encountered while processing:
 pdsh
"""
CUT_OFF = """\
dpkg: error processing package libgenders0:amd64 (--configure):
 package is in a very bad inconsistent state; you should
 reinstall it before attempting configuration
"""
OWN_FAULT = """\
dpkg: error processing package nvidia-dkms-450 (--configure):
 installed nvidia-dkms-450 package post-installation script subprocess returned error exit status 10
"""
LOCK = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711\n"


def test_what_was_cut_off_is_configured_before_the_transaction(node: Node) -> None:
    node.listing += "other\t1\tiU \t\n"
    assert node.bring()[0] == CONFIGURE
    assert node.outcome.repaired == ["other"]


@pytest.mark.parametrize("said", [NO_DEPENDENCY, CUT_OFF])
def test_what_the_transaction_completes_is_no_failure(node: Node, said: str) -> None:
    node.listing += "other\t1\tiU \t\n"
    node.endings = [Finished(1, "", said)]
    assert [call.split()[0] for call in node.bring()] == ["dpkg", "apt-get"]
    assert node.outcome.warnings == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (OWN_FAULT, r"^nvidia-dkms-450 could not be brought to a whole state by 'dpkg --configure -a'"),
        (LOCK, r"is held by process 4711, and was not given back within 0 s"),
    ],
)
def test_what_dpkg_cannot_mend_is_named_before_anything_else(node: Node, said: str, sentence: str) -> None:
    node.listing += "other\t1\tiU \t\n"

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        return Finished(1, "", said) if "--configure" in argv else node(argv, stdin, environment, timeout)

    wish = Wish(install=[Spec("nvidia-open", "580*")])
    with pytest.raises(TransactionError, match=sentence):
        bring(AptManager(Apt(run, {}, 0, 60), wish, node.root), wish)
    assert not node.calls
