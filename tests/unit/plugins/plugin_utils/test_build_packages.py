# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._build_packages import (
    BuildPackagesError,
    packages,
    requirements,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._data import rows

TABLE = rows("build_packages")
DEBIAN = {"os_family": "Debian", "distribution_major_version": "12"}

CASES = [
    (["compiler", "headers"], DEBIAN, "3.11.2", ["g++", "make", "python3.11-dev"]),
    (["headers"], {**DEBIAN, "distribution_major_version": "22"}, "3.12.1", ["python3.12-dev"]),
    (
        ["compiler", "compiler", "ninja", "git", "libaio"],
        DEBIAN,
        "",
        ["g++", "make", "ninja-build", "git", "libaio-dev"],
    ),
    (
        ["compiler", "headers", "ninja", "libaio"],
        {"os_family": "RedHat", "distribution_major_version": "9"},
        "3.9.18",
        ["gcc-c++", "make", "python3-devel", "libaio-devel"],
    ),
    (["headers"], {"os_family": "RedHat", "distribution_major_version": "9"}, "3.11.5", ["python3.11-devel"]),
    (["headers"], {"os_family": "RedHat", "distribution_major_version": "10"}, "3.12.5", ["python3-devel"]),
    (["compiler", "headers"], {"os_family": "Suse"}, "3.11.2", []),
    ([], DEBIAN, "", []),
]


@pytest.mark.parametrize(("needs", "facts", "python", "names"), CASES)
def test_needs_have_the_names_of_the_distribution(needs, facts, python, names):
    assert packages(needs, facts, python, TABLE) == names


def test_need_that_nobody_knows_is_a_sentence():
    with pytest.raises(BuildPackagesError, match="'compilr' is nothing that builds need; known are headers, compiler"):
        packages(["compilr"], DEBIAN, "", TABLE)


@pytest.mark.parametrize(
    ("torch", "setuptools"),
    [("2.13.0+cu130", "setuptools"), ("", "setuptools"), ("2.4.0", "setuptools"), ("2.3.1+cu121", "setuptools<70")],
)
def test_old_torch_needs_an_old_setuptools(torch, setuptools):
    assert requirements(torch) == ["pip>=23.1", setuptools, "wheel", "ninja", "packaging"]
