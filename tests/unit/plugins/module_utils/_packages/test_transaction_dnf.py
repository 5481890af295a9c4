# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Package,
    Spec,
    TransactionError,
    Wish,
    bring,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction_dnf import (
    DnfManager,
    lock_name,
    parse_installed,
    parse_table,
    script,
)

LISTING = """\
nvidia-open\t3:570.124.06-1.el9\tx86_64\tnvidia-open nvidia-open(x86-64)
glibc\t2.34-100.el9\tx86_64\tglibc libc.so.6()(64bit)
glibc\t2.34-100.el9\ti686\tglibc libc.so.6
kernel-devel\t5.14.0-427.el9\tx86_64\tkernel-devel kernel-devel-uname-r
kernel-devel\t5.14.0-503.el9\tx86_64\tkernel-devel
"""
TABLE = """\
Dependencies resolved.
================================================================================
 Package                     Arch       Version                  Repo      Size
================================================================================
Installing:
 nvidia-open                 x86_64     3:580.95.05-1.el9        cuda     5.6 k
     replacing  nvidia-old.x86_64 1.0-1.el9
Upgrading:
 a-package-with-a-name-that-is-longer-than-its-column
                             noarch     2.0-1.el9                cuda     6.5 k
Downgrading:
 dkms                        noarch     3.1.0-1.el9              epel     6.0 k
Removing:
 cuda-drivers                x86_64     3:570.124.06-1.el9       @cuda    0
Removing dependent packages:
 kmod-nvidia-latest-dkms     x86_64     3:570.124.06-1.el9       @cuda    0

Transaction Summary
================================================================================
Install  1 Package
"""
LOCKS = {
    "nvidia-open-3:580.95.05-1.el9.*": "nvidia-open",
    "kernel-0:5.14.0-427.el9.*": "kernel",
    "# Added lock on Sat": "",
    "!nvidia-open-3:580.95.05-1.el9.*": "",
    "*nvidia*": "",
    "kernel-5*": "",
    "": "",
}


def test_what_rpm_lists_is_read_with_its_locks() -> None:
    packages = parse_installed(LISTING, ["nvidia-open-3:570.124.06-1.el9.*", "glibc"])
    assert sorted(packages) == ["glibc", "glibc.i686", "kernel-devel", "kernel-devel-5.14.0-503.el9", "nvidia-open"]
    assert {name for name, package in packages.items() if package.held} == {"glibc", "glibc.i686", "nvidia-open"}
    assert "kernel-devel-5.14.0-503.el9.x86_64" in packages["kernel-devel-5.14.0-503.el9"].provides


def test_the_table_of_dnf_tells_what_changes() -> None:
    installed = {"dkms": Package("3.2.1-1.el9"), "a-package-with-a-name-that-is-longer-than-its-column": Package("1")}
    changes, downgraded = parse_table(TABLE, installed)
    assert changes == {
        "nvidia-open": ("", "3:580.95.05-1.el9"),
        "nvidia-old": ("1.0-1.el9", ""),
        "a-package-with-a-name-that-is-longer-than-its-column": ("1", "2.0-1.el9"),
        "dkms": ("3.2.1-1.el9", "3.1.0-1.el9"),
        "cuda-drivers": ("3:570.124.06-1.el9", ""),
        "kmod-nvidia-latest-dkms": ("3:570.124.06-1.el9", ""),
    }
    assert downgraded == {"dkms"}


@pytest.mark.parametrize(("line", "name"), LOCKS.items())
def test_only_a_lock_on_one_version_is_ours_to_remove(line: str, name: str) -> None:
    assert lock_name(line) == name


def test_the_script_removes_before_it_installs() -> None:
    lines = script([Spec("nvidia-open", "3:580.95.05-1.el9"), Spec("dkms")], ["cuda-drivers"])
    assert lines == ["remove cuda-drivers", "install nvidia-open-3:580.95.05-1.el9 dkms", "run", "exit"]


class Node:
    """dnf and rpm of a node with nvidia-open 570 and the stream of that branch."""

    def __init__(self, root: Path) -> None:
        self.root, self.listing, self.table = root, LISTING, TABLE.split("Removing:", maxsplit=1)[0]
        self.calls: list[str] = []
        self.modules = root / "etc/dnf/modules.d/nvidia-driver.module"
        self.locks = root / "etc/dnf/plugins/versionlock.list"
        for path in (self.modules, self.locks):
            path.parent.mkdir(parents=True)
        self.enabled("570-open")
        self.locks.with_suffix(".conf").touch()
        self.locks.write_text("# Added lock on Sat\nnvidia-open-3:570.124.06-1.el9.*\nkernel-5*\n")

    def enabled(self, stream: str) -> None:
        self.modules.write_text(f"[nvidia-driver]\nname=nvidia-driver\nstream={stream}\nstate=enabled\n")

    def __call__(self, argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        words = [word for word in argv if not word.startswith("--")]
        if words[0] == "rpm":
            return Finished(0, self.listing)
        if "--version" in argv:
            return Finished(0, "4.14.0\n")
        if "repoquery" in words:
            return Finished(0, "nvidia-open 3:580.95.05-1.el9\n")
        if "shell" in words:
            self.calls.append(" | ".join(Path(words[-1]).read_text().splitlines()))
            if "--assumeno" in argv:
                return Finished(0, self.table)
            self.listing = self.listing.replace("3:570.124.06", "3:580.95.05")
        else:
            self.calls.append(" ".join(words))
        return Finished(0)

    def bring(self, *, dry: bool = False, **wish: object) -> None:
        wanted = Wish(install=[Spec("nvidia-open", "580*")], unhold=["nvidia*"], **wish)  # type: ignore[arg-type]
        self.outcome = bring(DnfManager(Dnf(self, {}), wanted, self.root), wanted, dry=dry)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_streams_locks_and_packages_follow_each_other(node: Node) -> None:
    node.bring(
        streams=["nvidia-driver:580-open"], hold=["nvidia*"], allow_downgrade=True, allow_removing=["nvidia-old"]
    )
    install = "install nvidia-open-3:580.95.05-1.el9 | run | exit"
    assert node.calls == [
        "dnf module reset nvidia-driver",
        "dnf module enable nvidia-driver:580-open",
        install,
        install,
    ]
    assert node.locks.read_text() == "kernel-5*\nnvidia-open-3:580.95.05-1.el9.*\n"
    assert node.outcome.streams == ["nvidia-driver:580-open"]


def test_the_stream_of_before_comes_back_where_the_plan_is_refused(node: Node) -> None:
    with pytest.raises(TransactionError, match="would also remove nvidia-old"):
        node.bring(streams=["nvidia-driver:580-open"])
    assert node.calls[-2:] == ["dnf module reset nvidia-driver", "dnf module enable nvidia-driver:570-open"]
    assert "nvidia-open-3:570.124.06-1.el9.*" in node.locks.read_text()


def test_check_mode_does_not_enable_a_stream_and_takes_its_packages_for_granted(node: Node) -> None:
    node.bring(dry=True, streams=["nvidia-driver:580-open"])
    assert node.calls == []
    assert node.outcome.changes == {"nvidia-open": ("3:570.124.06-1.el9", "580*")}


def test_a_stream_that_is_enabled_is_left_alone(node: Node) -> None:
    wish = Wish(install=[Spec("nvidia-open")], streams=["nvidia-driver:570-open"])
    outcome = bring(DnfManager(Dnf(node, {}), wish, node.root), wish)
    assert (node.calls, outcome.streams, outcome.changes) == ([], [], {})


def test_a_module_without_its_stream_is_refused(node: Node) -> None:
    with pytest.raises(TransactionError, match="'nvidia-driver' is no module stream; write module:stream"):
        node.bring(streams=["nvidia-driver"])


def test_nothing_can_be_held_without_the_plugin(node: Node) -> None:
    node.locks.with_suffix(".conf").unlink()
    wish = Wish(hold=["glibc"])
    with pytest.raises(TransactionError, match="plugin versionlock, which this node does not have"):
        bring(DnfManager(Dnf(node, {}), wish, node.root), wish)


def test_dnf_5_is_refused_before_anything(node: Node) -> None:
    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        return Finished(0, "dnf5 version 5.2.6\n") if "--version" in argv else node(argv, stdin, environment, timeout)

    wish = Wish(install=[Spec("vim")])
    with pytest.raises(TransactionError, match="This node has dnf 5"):
        bring(DnfManager(Dnf(run, {}), wish, node.root), wish)
    assert node.calls == []


# What rpm 4.14 says where a process was killed that wrote the Berkeley DB, and rpm 4.16 of its SQLite database.
DAMAGED = [
    "error: db5 error(-30973) from dbenv->failchk: BDB0087 DB_RUNRECOVERY: Fatal error, run database recovery",
    "error: sqlite failure: SELECT hnum: database disk image is malformed",
]


@pytest.mark.parametrize("said", DAMAGED)
def test_a_database_that_was_cut_off_is_written_anew_before_the_transaction(node: Node, said: str) -> None:
    rebuilt: list[bool] = []

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        if "--rebuilddb" in argv:
            rebuilt.append(True)
        elif argv[0] == "rpm" and not rebuilt:
            return Finished(1, "", said)
        return node(argv, stdin, environment, timeout)

    removing = {"allow_removing": ["nvidia-old"], "allow_downgrade": True}
    wish = Wish(install=[Spec("nvidia-open", "580*")], unhold=["nvidia*"], **removing)  # type: ignore[arg-type]
    outcome = bring(DnfManager(Dnf(run, {}), wish, node.root), wish)
    assert rebuilt == [True]
    assert outcome.repaired == ["The database of rpm is damaged on this node"]
