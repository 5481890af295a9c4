# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError, uses_dnf

APT_LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)\nE: Unable to lock\n"
APT_GAVE_UP = (
    "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (python3)...\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
)
DPKG_LOCKED = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711\n"
DNF_LOCKED = "Existing lock /var/cache/dnf/metadata_lock.pid: another copy is running as pid 4711.\n"

# What apt prints -> part of the sentence that it becomes.
APT_SENTENCES = {
    "E: You don't have enough free space in /var/cache/apt/archives/.": "no space left for the packages",
    "The following packages have unmet dependencies:\n nvidia-open : Depends: nvidia-driver (= 5) but it is not going "
    "to be installed\nE: Unable to correct problems, you have held broken packages.\n": "cannot be met together: "
    "nvidia-open : Depends: nvidia-driver (= 5) but it is not going to be installed.",
    "dpkg: error processing package nvidia-dkms-450 (--configure):\n installed nvidia-dkms-450 package "
    "post-installation script subprocess returned error exit status 10\n": "dpkg could not finish: nvidia-dkms-450: "
    "installed nvidia-dkms-450",
    "E: Failed to fetch http://host/x.deb  404  Not Found [IP: 10.0.0.1]\n": "http://host/x.deb could not be fetched",
    "E: Something else\nW: and more\n": "'apt-get' failed: Something else and more",
}
DNF_SENTENCES = {
    "Error: Unable to find a match: nosuch\n": "No package nosuch is in the repositories",
    "Error: \n Problem: package a-1 requires b, but none\n  - nothing provides b needed by a-1\n": "cannot be met "
    "together: Problem: package a-1 requires b, but none - nothing provides b needed by a-1.",
    "All matches were filtered out by modular filtering for argument: nvidia-open\nError: Unable to find a match: "
    "nvidia-open\n": "nvidia-open is in the repositories of this node, but hidden by modular filtering",
    "Error: Transaction test error:\n  At least 5MB more space needed on the / filesystem.\n": "no space left",
}


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def apt(endings: Sequence[Finished], clock: Clock | None = None, lock_timeout: float = 10) -> Apt:
    answers = iter(endings)
    clock = clock or Clock()

    def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], timeout: float) -> Finished:
        assert environment["DEBIAN_FRONTEND"] == "noninteractive"
        return next(answers)

    return Apt(run, {"HOME": "/root"}, lock_timeout, 3600, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("words", [APT_LOCKED, APT_GAVE_UP, DPKG_LOCKED])
def test_a_lock_is_waited_for(words: str) -> None:
    clock = Clock()
    locked = Finished(100, "", words)
    assert apt([locked, locked, Finished(0, "done")], clock).change(["apt-get", "update"]).stdout == "done"
    assert clock.now > 0


HOLDERS = {
    APT_LOCKED: "process 4711 (apt-get)",
    APT_GAVE_UP: "process 4711 (python3)",
    DPKG_LOCKED: "process 4711",
    "E: Could not get lock /var/lib/dpkg/lock. ": "another process",
}


@pytest.mark.parametrize(("words", "holder"), HOLDERS.items())
def test_waiting_has_a_bound_and_its_end_names_the_process(words: str, holder: str) -> None:
    locked = Finished(100, "", words)
    with pytest.raises(ToolError) as failure:
        apt([locked] * 9, lock_timeout=6).change(["apt-get", "update"])
    assert f"is held by {holder}, and was not given back within 6 s" in str(failure.value)


def test_a_program_that_does_not_end_is_named_with_its_last_words() -> None:
    with pytest.raises(ToolError, match=r"did not end within 3600 s and was stopped\. It said last: Building nvidia"):
        apt([Finished(None, "Building nvidia", "")]).change(["apt-get", "install", "x"])


def test_a_lock_that_apt_itself_has_waited_for_is_no_failure() -> None:
    waited = Finished(0, "", "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held")
    assert apt([waited]).change(["apt-get", "install", "x"]) == waited


def test_a_failure_behind_a_lock_that_was_waited_for_is_told_as_what_it_is() -> None:
    words = APT_GAVE_UP.splitlines()[0] + "\nE: You don't have enough free space in /var/cache/apt/archives/.\n"
    with pytest.raises(ToolError, match="There is no space left"):
        apt([Finished(100, "", words)]).change(["apt-get", "install", "x"])


def test_a_dnf_that_ends_well_behind_a_lock_did_nothing() -> None:
    clock, answers = Clock(), iter([Finished(0, DNF_LOCKED), Finished(0, "done")])
    dnf = Dnf(lambda *_: next(answers), {}, 10, 10, clock=clock, sleep=clock.sleep)
    assert dnf.change(["dnf", "shell"]).stdout == "done"


@pytest.mark.parametrize(("output", "part"), APT_SENTENCES.items())
def test_complaints_of_apt_become_sentences(output: str, part: str) -> None:
    with pytest.raises(ToolError) as failure:
        apt([Finished(100, "", output)]).change(["apt-get", "install", "x"])
    assert part in str(failure.value)


@pytest.mark.parametrize(("output", "part"), DNF_SENTENCES.items())
def test_complaints_of_dnf_become_sentences(output: str, part: str) -> None:
    dnf = Dnf(lambda *_: Finished(0), {})
    assert dnf.failed(output)
    assert part in dnf.sentence(["dnf", "shell"], output)


def test_an_aborted_simulation_of_dnf_is_no_failure() -> None:
    assert not Dnf(lambda *_: Finished(0), {}).failed("Dependencies resolved.\nError: Operation aborted.\n")


FAMILIES = [([], True), (["usr/bin/apt-get"], False), (["usr/bin/apt-get", "etc/redhat-release"], True)]


@pytest.mark.parametrize(("files", "dnf"), FAMILIES)
def test_the_family_decides_where_a_node_has_both_managers(tmp_path: Path, files: Sequence[str], dnf: bool) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert uses_dnf("auto", tmp_path) is dnf
    assert not uses_dnf("apt", tmp_path)
    assert uses_dnf("dnf", tmp_path)
