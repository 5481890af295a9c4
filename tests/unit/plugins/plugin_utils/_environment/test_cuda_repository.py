# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's repository for a system, and what is set in its place."""

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_repository import repository

NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos"
UNSET = {"repository_url": "", "keyring_url": "", "keyring_checksum": "", "keyring_fingerprint": "auto"}
DEB, RPM = "EB693B3035CD5710E231E123A4B469633BF863CC", "610C7B14E068A878070DA4E99CD0A493D42D0685"


def facts(distribution: str, family: str, version: str, machine: str = "x86_64") -> dict[str, str]:
    return {
        "distribution": distribution,
        "os_family": family,
        "distribution_version": version,
        "architecture": machine,
    }


DEBIAN = facts("Debian", "Debian", "12.11")
# The system, the folder, the key and its fingerprint.
OWN = [
    (DEBIAN, "debian12/x86_64", "cuda-keyring_1.1-1_all.deb", DEB),
    (facts("Ubuntu", "Debian", "22.04", "aarch64"), "ubuntu2204/sbsa", "cuda-keyring_1.1-1_all.deb", DEB),
    (facts("Rocky", "RedHat", "9.4"), "rhel9/x86_64", "D42D0685.pub", RPM),
    (facts("RedHat", "RedHat", "10.0"), "rhel10/x86_64", "D42D0685.pub", RPM),
]


@pytest.mark.parametrize(("system", "folder", "key", "fingerprint"), OWN)
def test_a_system_has_nvidias_own(system: dict[str, str], folder: str, key: str, fingerprint: str) -> None:
    url = f"{NVIDIA}/{folder}"
    wanted = {"url": url, "keyring": f"{url}/{key}", "checksum": "", "fingerprint": fingerprint}
    assert repository(system, UNSET) == wanted


@pytest.mark.parametrize("name", ["Linux Mint", "Alpine"])
def test_a_system_without_one_has_none(name: str) -> None:
    family = "Debian" if name == "Linux Mint" else name
    assert repository(facts(name, family, "21.3"), UNSET)["url"] == ""


def test_a_mirror_has_the_key_beside_its_packages() -> None:
    found = repository(DEBIAN, {**UNSET, "repository_url": "http://m"})
    assert (found["keyring"], found["fingerprint"]) == ("http://m/cuda-keyring_1.1-1_all.deb", DEB)


@pytest.mark.parametrize(
    ("given", "fingerprint"),
    [
        ({"keyring_checksum": "sha256:1"}, ""),
        ({"keyring_fingerprint": ""}, ""),
        ({"keyring_fingerprint": "ABCD", "keyring_checksum": "sha256:1"}, "ABCD"),
    ],
)
def test_the_fingerprint_is_nvidias_where_nothing_else_says_which_key(given: dict[str, str], fingerprint: str) -> None:
    assert repository(DEBIAN, {**UNSET, **given})["fingerprint"] == fingerprint
