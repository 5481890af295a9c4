# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.build_packages import (
    BuildPackagesError,
    advice,
    packages,
    requirements,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

TABLE = rows("build_packages")
DEBIAN = {"os_family": "Debian", "distribution_major_version": "12"}

REDHAT_9 = {"os_family": "RedHat", "distribution_major_version": "9"}

# What is needed, the node's facts, the environment's Python, and the packages.
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
        REDHAT_9,
        "3.9.18",
        ["gcc-c++", "make", "python3-devel", "libaio-devel"],
    ),
    (["headers"], REDHAT_9, "3.11.5", ["python3.11-devel"]),
    (["headers"], {**REDHAT_9, "distribution_major_version": "10"}, "3.12.5", ["python3-devel"]),
    (["headers"], {**REDHAT_9, "distribution_major_version": "10"}, "3.9.18", ["python3.9-devel"]),
    (["headers"], {**REDHAT_9, "distribution_major_version": "8"}, "3.9.25", ["python39-devel"]),
    (["headers"], {**REDHAT_9, "distribution_major_version": "8"}, "3.11.13", ["python3.11-devel"]),
    (["compiler", "headers"], {"os_family": "Suse"}, "3.11.2", []),
    (["headers"], DEBIAN, "", []),
    ([], DEBIAN, "", []),
]


@pytest.mark.parametrize(("needs", "facts", "python", "names"), CASES)
def test_needs_have_the_names_of_the_distribution(needs, facts, python, names):
    assert packages(needs, facts, {"python": python, "headers": False}, TABLE) == names


@pytest.mark.parametrize("facts", [DEBIAN, REDHAT_9])
def test_headers_that_the_environment_has_come_from_no_package(facts):
    environment = {"prefix": "/opt/env", "python": "3.11.2", "headers": True}
    assert packages(["headers"], facts, environment, TABLE) == []
    assert advice(facts, environment, TABLE) == {}


def test_advice_names_the_environment_and_a_remedy():
    found = advice(REDHAT_9, {"prefix": "/opt/env", "python": "3.12.5", "headers": False}, TABLE)
    assert list(found) == ["python3.12-devel"]
    assert found["python3.12-devel"].startswith("Python 3.12.5 in /opt/env has no headers (Python.h)")
    assert "create that environment with the role conda" in found["python3.12-devel"]


def test_need_that_nobody_knows_is_a_sentence():
    with pytest.raises(BuildPackagesError, match="'compilr' is nothing that builds need; known are headers, compiler"):
        packages(["compilr"], DEBIAN, {}, TABLE)


@pytest.mark.parametrize(
    ("torch", "setuptools"),
    [("2.13.0+cu130", "setuptools"), ("", "setuptools"), ("2.4.0", "setuptools"), ("2.3.1+cu121", "setuptools<70")],
)
def test_old_torch_needs_an_old_setuptools(torch, setuptools):
    assert requirements(torch) == ["pip>=23.1", setuptools, "wheel", "ninja", "packaging"]
