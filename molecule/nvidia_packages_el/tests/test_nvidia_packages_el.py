"""What the modules cuda_repository and package_transaction promise on a node with a real dnf."""

from __future__ import annotations

import pytest

VERSION = "3:580.65.06-1.el9"


@pytest.fixture
def root(host):
    # Debian's rpm has a database for each account.
    with host.sudo():
        yield host


def test_install_and_removal_are_one_transaction(root):
    last = root.check_output("dnf history info last")
    altered = [line.split()[:2] for line in last.partition("Packages Altered:")[2].splitlines() if line.split()]
    assert ["Install", f"nvidia-open-{VERSION}.x86_64"] in altered
    assert ["Install", f"kmod-nvidia-open-dkms-{VERSION}.x86_64"] in altered
    gone = [words[1] for words in altered if words[0] in ("Removed", "Obsoleted", "Erase")]
    assert {name.rsplit("-", 2)[0] for name in gone} == {"cuda-drivers", "kmod-nvidia-latest-dkms"}


def test_all_of_the_driver_has_one_version(root):
    lines = root.check_output(r"rpm -qa --qf '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE}\n'").splitlines()
    versions = {version for name, version in map(str.split, lines) if "nvidia" in name}
    assert versions == {VERSION}


def test_the_stream_of_the_branch_is_enabled_and_no_other(root):
    assert root.file("/etc/dnf/modules.d/nvidia-driver.module").contains("stream=580-open")


def test_an_upgrade_of_the_system_moves_nothing_that_is_locked(root):
    locked = root.run("dnf --assumeno upgrade").stdout
    freed = root.run("dnf --assumeno --disableplugin=versionlock upgrade").stdout
    assert "580.95.05" in freed
    assert "580.95.05" not in locked


def test_no_lock_is_left_on_what_is_gone(root):
    locks = root.file("/etc/dnf/plugins/versionlock.list").content_string
    assert f"nvidia-open-{VERSION}.*" in locks
    assert "570." not in locks
    assert "cuda-drivers" not in locks


def test_one_repository_is_in_use_and_its_lists_are_checked(root):
    repositories = root.check_output("dnf --quiet repolist --enabled").splitlines()
    assert [line.split()[0] for line in repositories[1:]] == ["base", "cuda"]
    assert root.file("/etc/yum.repos.d/cuda.repo").contains("repo_gpgcheck=1")
    assert root.file("/etc/yum.repos.d/cuda-rhel9.repo").contains("enabled=0")
