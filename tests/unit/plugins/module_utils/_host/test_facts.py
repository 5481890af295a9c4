# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.facts import (
    account,
    disk,
    glibc,
    home_identity,
    identity,
    nearest_existing,
)


@pytest.mark.parametrize("below", ["", "a", "a/b/c"])
def test_room_is_measured_where_the_folder_will_be(tmp_path: Path, below: str) -> None:
    found = disk(tmp_path / below)
    assert found["path"] == str(tmp_path)
    assert found["free_bytes"] == pytest.approx(os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize, rel=0.1)
    assert found["writable"] is True


def test_a_folder_that_holds_something_tells_its_owner(tmp_path: Path) -> None:
    assert disk(tmp_path)["held_by"] is None
    assert disk(tmp_path / "later")["held_by"] is None
    (tmp_path / "theirs").write_text("", encoding="utf-8")
    assert disk(tmp_path)["held_by"] == getpass.getuser()
    assert disk(tmp_path / "later")["held_by"] is None


def test_a_file_in_the_way_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "opt").write_text("", encoding="utf-8")
    assert nearest_existing(tmp_path / "opt" / "x") == tmp_path


def test_an_account_is_asked_of_the_system() -> None:
    assert account(getpass.getuser())["exists"] is True
    assert account("nobody-has-this-name") == {"name": "nobody-has-this-name", "exists": False, "home": None}


def machine(root: Path, boot: str, processes: str) -> Path:
    (root / "proc/sys/kernel/random").mkdir(parents=True)
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/sys/kernel/random/boot_id").write_text(f"{boot}\n", encoding="ascii")
    (root / "proc/self/ns/pid").symlink_to(processes)
    return root


def test_machines_and_containers_are_told_apart_and_one_is_recognised(tmp_path: Path) -> None:
    one = identity(machine(tmp_path / "one", "b1", "pid:[1]"))
    assert one == identity(machine(tmp_path / "again", "b1", "pid:[1]"))
    assert one != identity(machine(tmp_path / "container", "b1", "pid:[2]"))
    assert one != identity(machine(tmp_path / "other", "b2", "pid:[1]"))


def test_an_identity_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert identity(tmp_path) is None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("glibc 2.36", "2.36"),
        ("glibc 2.17", "2.17"),
        ("glibc 2.3.4", "2.3"),
        ("", None),
        (None, None),
        ("NPTL 2.36", None),
    ],
)
def test_the_c_library_is_that_of_the_system(said: str | None, wanted: str | None) -> None:
    assert glibc(lambda name: said) == wanted


def test_a_system_without_glibc_has_none() -> None:
    def musl(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    assert glibc(musl) is None


def mounted(root: Path, path: Path, system: str) -> Path:
    """A machine on which a folder lies on a file system."""
    (root / "proc/self").mkdir(parents=True)
    number = path.stat().st_dev
    line = f"36 35 {os.major(number)}:{os.minor(number)} / /home rw,noatime shared:1 - {system} rw\n"
    (root / "proc/self/mountinfo").write_text(f"1 0 0:1 / /proc rw - proc proc rw\n{line}", encoding="utf-8")
    return root


def test_a_home_that_two_machines_share_is_recognised(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home, other):
        (folder / ".ssh").mkdir(parents=True)
    local = [mounted(tmp_path / name, home, "ext4 /dev/sda1") for name in ("a", "b")]
    network = [mounted(tmp_path / name, home, "nfs4 10.0.0.5:/home") for name in ("c", "d")]
    for one, two in (local, network):
        assert home_identity(one, home) == home_identity(two, home)
        assert home_identity(one, home) != home_identity(two, other)
    before = home_identity(local[0], home)
    (home / ".ssh").chmod(0o700)
    # As on another machine from the same image, where accounts are set up at another moment.
    assert home_identity(local[0], home) != before


def test_nothing_is_known_of_a_home_that_is_not_there(tmp_path: Path) -> None:
    assert home_identity(mounted(tmp_path / "a", tmp_path, "ext4 /dev/sda1"), tmp_path / "none") is None
