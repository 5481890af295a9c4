"""The names of NVIDIA's driver, by table."""

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver import packages as table
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.packages import Driver, Packages, System
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

ROWS = rows("driver_packages")
DEBIAN_12 = System("Debian", "Debian", "12.9", "6.1.0-28-amd64")
DEBIAN_13 = System("Debian", "Debian", "13.1", "6.12.41+deb13-amd64")
JAMMY = System("Ubuntu", "Debian", "22.04", "5.15.0-105-generic")
JAMMY_NEWER = System("Ubuntu", "Debian", "22.04", "6.8.0-45-generic")
NOBLE_AWS = System("Ubuntu", "Debian", "24.04", "6.8.0-1021-aws")
JAMMY_OWN = System("Ubuntu", "Debian", "22.04", "6.1.0-mine")
ROCKY_8 = System("Rocky", "RedHat", "8.10", "4.18.0-553.el8_10.x86_64")
ROCKY_9 = System("Rocky", "RedHat", "9.4", "5.14.0-427.13.1.el9_4.x86_64")
RHEL_10 = System("RedHat", "RedHat", "10.0", "6.12.0-55.9.1.el10_0.x86_64")
FEDORA = System("Fedora", "RedHat", "42", "6.14.0-63.fc42.x86_64")
MINT = System("Linux Mint", "Debian", "22", "6.8.0-45-generic")

CHOSEN = [
    (JAMMY, ("cuda_repository", "550", "open"), (["nvidia-driver-550-open"], "name", "")),
    (JAMMY, ("cuda_repository", "580", "open"), (["nvidia-open-580"], "name", "")),
    (JAMMY, ("cuda_repository", "580", "proprietary"), (["cuda-drivers-580"], "name", "")),
    (NOBLE_AWS, ("cuda_repository", "590", "open"), (["nvidia-open"], "pin", "")),
    (NOBLE_AWS, ("cuda_repository", "590", "proprietary"), (["cuda-drivers"], "pin", "")),
    (DEBIAN_12, ("cuda_repository", "550", "open"), (["cuda-drivers", "nvidia-kernel-open-dkms"], "pin", "")),
    (DEBIAN_12, ("cuda_repository", "580", "open"), (["nvidia-open"], "pin", "")),
    (DEBIAN_13, ("cuda_repository", "580", "proprietary"), (["cuda-drivers"], "pin", "")),
    (ROCKY_8, ("cuda_repository", "580", "open"), (["nvidia-open"], "stream", "nvidia-driver:580-open")),
    (ROCKY_9, ("cuda_repository", "580", "proprietary"), (["cuda-drivers"], "stream", "nvidia-driver:580-dkms")),
    (RHEL_10, ("cuda_repository", "580", "open"), (["nvidia-open"], "lock", "")),
    (RHEL_10, ("cuda_repository", "580", "proprietary"), (["cuda-drivers"], "lock", "")),
    (JAMMY, ("distribution", "580", "open"), (["nvidia-driver-580-server-open"], "name", "")),
    (JAMMY, ("distribution", "535", "proprietary"), (["nvidia-driver-535-server"], "name", "")),
]
NOWHERE = [
    (FEDORA, "cuda_repository", "580", "open"),
    (MINT, "cuda_repository", "580", "open"),
    (ROCKY_9, "distribution", "580", "open"),
    (DEBIAN_12, "distribution", "580", "proprietary"),
    # The proprietary modules end with branch 615.
    (DEBIAN_12, "cuda_repository", "620", "proprietary"),
    (ROCKY_9, "cuda_repository", "620", "proprietary"),
]


@pytest.mark.parametrize(("system", "driver", "packages"), CHOSEN)
def test_a_driver_has_the_names_of_its_repository(system, driver, packages):
    assert table.packages(ROWS, system, Driver(*driver)) == Packages(*packages)


@pytest.mark.parametrize(("system", "source", "branch", "flavour"), NOWHERE)
def test_what_a_source_does_not_have_has_no_names(system, source, branch, flavour):
    assert table.packages(ROWS, system, Driver(source, branch, flavour)) is None


def test_debians_archive_has_its_one_branch():
    found = table.packages(ROWS, DEBIAN_12, Driver("distribution", "535", "open"))
    assert found is not None and "nvidia-open-kernel-dkms" in found.install
    assert table.only_branches(ROWS, DEBIAN_12, "distribution") == ["535"]
    assert table.only_branches(ROWS, DEBIAN_13, "distribution") == ["550"]
    assert table.only_branches(ROWS, JAMMY, "distribution") == []


SIGNED = [
    (JAMMY, "580", "open", "distribution", "linux-modules-nvidia-580-server-open-5.15.0-105-generic"),
    (JAMMY, "580", "proprietary", "distribution", "linux-modules-nvidia-580-server-generic"),
    (JAMMY_NEWER, "580", "open", "distribution", "linux-modules-nvidia-580-server-open-generic-hwe-22.04"),
    (NOBLE_AWS, "580", "open", "distribution", "linux-modules-nvidia-580-server-open-aws"),
    (JAMMY_OWN, "580", "open", "distribution", "linux-modules-nvidia-580-server-open-generic"),
    (ROCKY_9, "580", "proprietary", "cuda_repository", "cuda-drivers"),
]


@pytest.mark.parametrize(("system", "branch", "flavour", "source", "package"), SIGNED)
def test_signed_modules_are_found_where_somebody_signs_them(system, branch, flavour, source, package):
    assert table.signed(ROWS, system, branch, flavour) == source
    found = table.packages(ROWS, system, Driver(source, branch, flavour, True))
    assert found is not None and package in found.install


@pytest.mark.parametrize(("system", "flavour"), [(DEBIAN_12, "open"), (DEBIAN_13, "proprietary"), (ROCKY_9, "open")])
def test_nobody_signs_for_the_others(system, flavour):
    assert table.signed(ROWS, system, "580", flavour) == ""


FABRIC = [
    (JAMMY, "cuda_repository", "550", ["Ampere"], ["nvidia-fabricmanager-550"]),
    (DEBIAN_12, "cuda_repository", "580", ["Ampere"], ["nvidia-fabricmanager"]),
    (DEBIAN_12, "cuda_repository", "580", ["Blackwell"], ["nvidia-fabricmanager", "nvlsm"]),
    (JAMMY, "distribution", "580", ["Hopper"], ["nvidia-fabricmanager-580"]),
    (ROCKY_9, "cuda_repository", "535", ["Ampere"], ["nvidia-fabric-manager"]),
    (DEBIAN_12, "distribution", "535", ["Ampere"], []),
]


@pytest.mark.parametrize(("system", "source", "branch", "architectures", "names"), FABRIC)
def test_nvswitches_have_their_manager(system, source, branch, architectures, names):
    assert table.fabric_manager(ROWS, system, Driver(source, branch), architectures) == names


def test_headers_are_those_of_the_running_kernel():
    assert table.headers(ROWS, DEBIAN_12) == ["linux-headers-6.1.0-28-amd64"]
    assert table.headers(ROWS, ROCKY_9)[0] == "kernel-devel-5.14.0-427.13.1.el9_4.x86_64"
    assert table.headers(ROWS, RHEL_10) == ["kernel-devel-matched-6.12.0-55.9.1.el10_0.x86_64"]


@pytest.mark.parametrize(
    ("name", "version", "branch"),
    [
        ("nvidia-driver-450", "450.80.02-0ubuntu1", "450"),
        # A transitional package: its name says 440, its version 450.
        ("libnvidia-compute-440", "450.119.03-0ubuntu0.20.04.1", "450"),
        ("cuda-drivers", "3:580.95.05-1.el9", "580"),
        ("nvidia-driver-570-server-open", "", "570"),
        ("nvidia-persistenced", "", ""),
        ("nvlsm", "2025.06.11-1", ""),
        ("linux-modules-nvidia-535-server-5.15.0-105-generic", "5.15.0-105.115+1", "535"),
        ("linux-signatures-nvidia-5.15.0-105-generic", "5.15.0-105.115+1", ""),
        ("nvidia-firmware-535-535.183.01", "", "535"),
    ],
)
def test_a_package_belongs_to_a_branch(name, version, branch):
    assert table.branch_of(name, version) == branch


@pytest.mark.parametrize(
    ("name", "flavour"),
    [
        ("nvidia-open-580", "open"),
        ("nvidia-dkms-580-open", "open"),
        ("nvidia-kernel-open-dkms", "open"),
        ("linux-modules-nvidia-580-server-open-generic", "open"),
        ("nvidia-open-kernel-dkms", "open"),
        ("cuda-drivers-580", "proprietary"),
        ("nvidia-dkms-580", "proprietary"),
        ("nvidia-kernel-dkms", "proprietary"),
        ("nvidia-driver-580-server", "proprietary"),
        ("nvidia-driver", ""),
        ("libnvidia-compute-580", ""),
        ("nvidia-utils-580", ""),
        ("nvidia-kernel-common-580", ""),
    ],
)
def test_a_package_decides_on_the_modules_or_does_not(name, flavour):
    assert table.flavour_of(name) == flavour


OLD = ["libnvidia-compute-440", "libnvidia-compute-450", "nvidia-driver-450", "nvidia-persistenced", "nvidia-settings"]
OBSOLETE = [
    ("an older branch", OLD, (["nvidia-open-580"], "name"), "open", OLD[:3]),
    ("names without a branch", OLD, (["nvidia-open"], "pin"), "open", OLD[:3]),
    (
        "the other modules",
        ["nvidia-dkms-580", "nvidia-utils-580"],
        (["nvidia-open-580"], "name"),
        "open",
        ["nvidia-dkms-580"],
    ),
    (
        "the archive's own",
        ["nvidia-driver-580-server-open", "nvidia-fabricmanager-580", "nvidia-utils-580-server"],
        (["nvidia-open-580"], "name"),
        "open",
        ["nvidia-driver-580-server-open", "nvidia-utils-580-server"],
    ),
    (
        "Debian's other modules",
        ["nvidia-kernel-dkms", "nvidia-driver"],
        (["nvidia-open"], "pin"),
        "open",
        ["nvidia-kernel-dkms"],
    ),
    (
        "Debian's modules of the same kind",
        ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support", "nvidia-driver", "nvidia-tesla-kernel-dkms"],
        (["nvidia-open"], "pin"),
        "open",
        ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support", "nvidia-tesla-kernel-dkms"],
    ),
    (
        "signatures for a kernel with three digits",
        ["linux-signatures-nvidia-5.15.0-105-generic", "linux-objects-nvidia-535-server-5.15.0-105-generic"],
        (["linux-modules-nvidia-580-server-open-5.15.0-105-generic"], "name"),
        "open",
        ["linux-objects-nvidia-535-server-5.15.0-105-generic"],
    ),
    ("nothing", [], (["nvidia-open"], "pin"), "open", []),
]


@pytest.mark.parametrize(("case", "installed", "chosen", "flavour", "gone"), OBSOLETE)
def test_what_cannot_stay_beside_the_new_driver_is_named(case, installed, chosen, flavour, gone):
    assert table.obsolete(installed, Packages(*chosen), Driver("cuda_repository", "580", flavour)) == gone


def test_every_row_says_where_it_was_read():
    for kind, listed in ROWS.items():
        for row in listed:
            assert row["install"] and row["read"], f"{kind}: {row}"
            assert row["verified"] in ("code", "doc", "run", "secondary", "memory"), f"{kind}: {row}"
