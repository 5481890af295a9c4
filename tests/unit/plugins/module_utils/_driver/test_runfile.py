"""NVIDIA's own installer of the driver, held against files that are none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._driver.runfile import (
    RunfileError,
    Wish,
    arguments,
    install,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

HEADER = '#!/bin/sh\n# This script was generated using Makeself\nlabel="NVIDIA Accelerated Graphics Driver for {}"\n'
GOOD = HEADER.format("Linux-x86_64 580.95.05").encode() + b"payload"

TOLD = [
    ("580.95.05", "open", True, ["--dkms", "--kernel-module-type=open"]),
    ("580.95.05", "proprietary", False, ["--kernel-module-type=proprietary"]),
    ("535.54.03", "open", False, ["--kernel-module-build-directory=kernel-open"]),
    ("535.54.03", "proprietary", True, ["--dkms"]),
]


@pytest.fixture
def wish(tmp_path):
    """Makes the wish for a runfile of some bytes."""

    def make(data: bytes = GOOD, checksum: str = "", version: str = "580.95.05") -> Wish:
        path = tmp_path / "driver.run"
        path.write_bytes(data)
        return Wish(str(path), checksum or hashlib.sha256(data).hexdigest(), version, "open", tmp_path / "log")

    return make


class Installer:
    """What is run, and what the installer answers."""

    def __init__(self, answer: Finished, dkms: bool = True) -> None:
        self.answer, self.dkms, self.calls = answer, dkms, []

    def __call__(self, command: Sequence[str]) -> Finished | None:
        if command[0] == "dkms":
            return Finished(0) if self.dkms else None
        self.calls.append(list(command))
        return self.answer


def nothing(address: str) -> None:
    raise AssertionError(f"nobody should ask for {address}")


@pytest.mark.parametrize(("version", "flavour", "dkms", "told"), TOLD)
def test_the_installer_is_told_which_modules_to_compile(version, flavour, dkms, told):
    found = arguments(version, flavour, dkms)
    assert found[0] == "--silent" and found[-len(told) :] == told


@pytest.mark.parametrize("dkms", [True, False])
def test_a_verified_runfile_is_run_once(wish, dkms):
    installer = Installer(Finished(0), dkms)
    install(wish(), installer, nothing)
    assert len(installer.calls) == 1
    assert ("--dkms" in installer.calls[0]) is dkms


REFUSED = [
    ("another file", {"checksum": "0" * 64}, "checksum"),
    ("a web page", {"data": b"<!DOCTYPE html><title>404</title>"}, "no runfile of NVIDIA's driver"),
    ("a toolkit", {"data": b'#!/bin/sh\nlabel="CUDA Installer 13.0.3"\n'}, "no runfile of NVIDIA's driver"),
    ("another version", {"version": "580.65.06"}, "holds the driver 580.95.05, not 580.65.06"),
]


@pytest.mark.parametrize(("case", "given", "said"), REFUSED)
def test_what_is_not_the_file_that_was_meant_is_not_run(wish, case, given, said):
    installer = Installer(Finished(0))
    with pytest.raises(RunfileError, match=said):
        install(wish(**given), installer, nothing)
    assert installer.calls == []


def test_a_file_that_is_not_there_is_named(wish, tmp_path):
    missing = wish()
    (tmp_path / "driver.run").unlink()
    with pytest.raises(RunfileError, match="is not there"):
        install(missing, Installer(Finished(0)), nothing)


def test_a_failure_is_told_in_the_words_of_the_installers_log(wish, tmp_path):
    (tmp_path / "log").write_text(
        "-> Building\nERROR: Unable to find the kernel source tree.\nERROR: Installation failed\n"
    )
    with pytest.raises(RunfileError, match=r"failed: Unable to find the kernel source tree\. All of it is in"):
        install(wish(), Installer(Finished(1)), nothing)


def test_a_failure_without_a_log_is_told_in_its_last_words(wish):
    with pytest.raises(RunfileError, match="no space left"):
        install(wish(), Installer(Finished(1, "", "no space left")), nothing)
