"""What role nvidia_driver promises on Ubuntu: signed modules under Secure Boot, names with the branch elsewhere."""

from __future__ import annotations

import pytest


@pytest.fixture
def secure(host):
    """Whether the node's firmware lets only signed modules in."""
    return "enabled" in host.run("mokutil --sb-state").stdout


@pytest.fixture
def version(host):
    """The version of the driver that answers, on each GPU the same."""
    told = set(host.check_output("nvidia-smi --query-gpu=driver_version --format=csv,noheader").split())
    assert len(told) == 1
    return told.pop()


@pytest.fixture
def packages(host):
    """Name -> version of the installed packages of the driver."""
    lines = host.check_output("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' '*nvidia*'").splitlines()
    return {name: version for state, name, *version in map(str.split, lines) if state == "installed"}


def test_the_driver_is_of_the_branch_that_has_support_for_long(version):
    assert version.startswith("580.")


def test_secure_boot_gets_the_modules_that_the_distribution_signed(host, packages, secure):
    kernel = host.check_output("uname -r")
    assert (f"linux-modules-nvidia-580-server-open-{kernel}" in packages) is secure
    assert any(name.startswith("nvidia-dkms") for name in packages) is not secure
    signer = host.run("/usr/sbin/modinfo -F signer nvidia").stdout
    assert ("DKMS" not in signer and signer.strip() != "") is secure


def test_nvidias_repository_is_there_only_where_the_driver_comes_from_it(host, secure):
    assert host.file("/etc/apt/sources.list.d/cuda.sources").exists is not secure


def test_the_names_of_nvidias_repository_carry_the_branch(packages, secure):
    assert ("nvidia-open-580" in packages) is not secure


def test_nothing_of_another_branch_or_of_the_other_archive_is_left(packages, secure):
    others = [name for name in packages if "-470" in name or "-550" in name or ("-server" in name) is not secure]
    shared = {"nvidia-persistenced", "nvidia-fabricmanager"}
    assert [name for name in others if name not in shared] == []


def test_nvswitches_have_a_fabric_manager_of_exactly_the_drivers_version(host, version, secure):
    service = host.service("nvidia-fabricmanager")
    assert service.is_running is not secure
    told = host.run("nv-fabricmanager --version").stdout.strip()
    assert told.endswith(f" {version}") is not secure
