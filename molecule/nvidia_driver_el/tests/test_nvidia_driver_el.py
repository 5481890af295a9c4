"""What role nvidia_driver promises on the RHEL family, where branches are module streams and holds are locks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import testinfra

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"


def version_of(host, package):
    """What rpm has of a package; without root Debian's rpm looks into a database of the account's own."""
    with host.sudo():
        return host.run(f"rpm --query --queryformat '%{{VERSION}}' {package}").stdout


@pytest.fixture
def version(host):
    """The version of the driver that answers, on each GPU the same."""
    told = set(host.check_output("nvidia-smi --query-gpu=driver_version --format=csv,noheader").split())
    assert len(told) == 1
    return told.pop()


def test_the_driver_is_of_the_branch_that_has_support_for_long(version):
    assert version.startswith("580.")


def test_module_and_packages_are_of_one_version(host, version):
    assert version_of(host, "nvidia-open") == version
    assert version_of(host, "kmod-nvidia-open-dkms") == version
    assert f" {version} " in host.check_output("cat /proc/driver/nvidia/version")


def test_the_stream_of_the_branch_is_enabled(host):
    with host.sudo():
        streams = host.check_output("dnf --quiet module list --enabled nvidia-driver")
    assert "580-open" in streams


def test_the_packages_are_locked_at_their_version(host, version):
    locks = host.check_output("cat /etc/dnf/plugins/versionlock.list")
    assert f"nvidia-open-3:{version}-" in locks and f"kmod-nvidia-open-dkms-3:{version}-" in locks


def test_nvswitches_have_a_fabric_manager_of_exactly_the_drivers_version(host, version):
    switches = "h100" in host.ansible.get_variables()["sandbox_world"]
    assert host.service("nvidia-fabricmanager").is_running is switches
    assert (version_of(host, "nvidia-fabricmanager") == version) is switches


def test_nouveau_is_off_in_the_initramfs_too(host):
    with host.sudo():
        image = host.check_output("lsinitrd /boot/initramfs-$(uname -r).img")
    assert "nouveau.ko" not in image or "etc/modprobe.d/fromzero-nvidia-driver.conf" in image
    assert not host.file("/sys/module/nouveau").exists


def test_another_branch_moves_the_stream_and_the_locks():
    host = testinfra.get_host(f"ansible://node1?ansible_inventory={INVENTORY}")
    command = ["ansible-playbook", "-i", str(INVENTORY), str(SCENARIO / "converge.yml"), "--limit", "node1"]
    command += ["-e", "nvidia_driver_branch=590"]
    done = subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    version = version_of(host, "nvidia-open")
    assert version.startswith("590.")
    assert f"nvidia-open-3:{version}-" in host.check_output("cat /etc/dnf/plugins/versionlock.list")
    assert host.service("nvidia-fabricmanager").is_running
