"""What role nvidia_driver promises about every node, whatever was there before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

PACKAGES = (
    "dpkg-query --show --showformat '${db:Status-Abbrev}\t${Package}\t${Version}\n' "
    "'*nvidia*' 'cuda-drivers*' 'libcuda1'"
)


@pytest.fixture
def world(host):
    """What the node was before, as the file of its world says."""
    return yaml.safe_load(Path(host.ansible.get_variables()["sandbox_world"]).read_text(encoding="utf-8")) or {}


@pytest.fixture
def gpus(world):
    """How many GPUs the bus has."""
    rows = world.get("gpus") or []
    return sum(row.get("count", 1) for row in (rows if isinstance(rows, list) else [rows]))


@pytest.fixture
def query(host):
    """Asks nvidia-smi for one property of each GPU."""
    return lambda name: host.check_output(f"nvidia-smi --query-gpu={name} --format=csv,noheader").splitlines()


@pytest.fixture
def packages(host):
    """Name -> status and version of all packages of the driver."""
    lines = host.run(PACKAGES).stdout.splitlines()
    found = {name: (status.strip(), version) for status, name, version in (line.split("\t") for line in lines)}
    return {name: value for name, value in found.items() if value[0] not in ("un", "rc")}


@pytest.fixture
def installed(packages, gpus, host):
    """Whether the role has installed a driver here; where it only exchanged the module, packages stay as they were."""
    return gpus > 0 and host.file("/etc/apt/sources.list.d/cuda.sources").exists


def transactions(host):
    """What apt has done to packages of the driver since the node was made."""
    with host.sudo():
        log = host.file("/var/log/apt/history.log").content_string
    return [entry for entry in log.split("Start-Date:") if "nvidia" in entry and "Commandline:" in entry]


def test_the_driver_answers_for_every_gpu_on_the_bus(host, query, gpus):
    assert len(query("name")) == gpus if gpus else not host.exists("nvidia-smi")


def test_kernel_module_and_libraries_are_of_one_version(host, query, gpus):
    banner = host.run("cat /proc/driver/nvidia/version").stdout
    libraries = host.run("ls /usr/lib/x86_64-linux-gnu").stdout
    found = set(re.findall(r"libnvidia-ml\.so\.(\d[\d.]+\d)", libraries))
    assert len(found) == (1 if gpus else 0)
    assert all(f" {version} " in banner and version in query("driver_version") for version in found)


def test_the_module_is_on_disk_for_the_next_start(host, query, gpus):
    told = host.run("/usr/sbin/modinfo -F version nvidia").stdout.split()
    assert told == (query("driver_version")[:1] if gpus else [])


def test_older_gpus_get_the_proprietary_modules_and_newer_ones_the_open_ones(host, world, gpus, installed):
    capability = world["gpus"]["compute_capability"] if gpus else ""
    licence = host.run("/usr/sbin/modinfo -F license nvidia").stdout.strip()
    wanted = ("NVIDIA" if capability < "7.5" else "Dual MIT/GPL") if installed else licence
    assert licence == wanted


def test_one_transaction_of_apt_has_exchanged_the_driver(host, world, installed):
    done = transactions(host)
    assert len(done) == (1 if installed else 0)
    assert all(("Remove:" in entry) == bool(world.get("packages")) for entry in done)


def test_no_package_of_another_branch_is_left(packages, query, gpus):
    branch = query("driver_version")[0].split(".")[0] if gpus else ""
    drivers = {name: version for name, (_, version) in packages.items() if re.match(r"\d{3}\.\d", version)}
    assert {version.split(".")[0] for version in drivers.values()} == ({branch} if gpus else set())


def test_what_was_installed_is_whole_and_held(packages, installed):
    assert {status for status, _ in packages.values()} <= ({"hi"} if installed else {"ii", "hi"})
    assert not installed or len(packages) > 10


def test_unattended_upgrades_pass_the_driver_over(host, packages, installed):
    told = host.run("apt-config dump Unattended-Upgrade::Package-Blacklist").stdout
    patterns = re.findall(r'Blacklist:: "(.*)";', told)
    passed = [name for name in packages if any(re.match(pattern, name) for pattern in patterns)]
    firmware = {"firmware-nvidia-gsp"}
    assert set(packages) - set(passed) <= firmware if installed else not patterns
    assert not any(re.match(pattern, "nvidia-container-toolkit") for pattern in patterns)


def test_persistenced_runs_and_starts_at_every_boot(host, gpus):
    service = host.service("nvidia-persistenced")
    assert (service.is_running, service.is_enabled) == (gpus > 0, gpus > 0)


def test_nvswitches_have_a_fabric_manager_of_exactly_the_drivers_version(host, world, query):
    service = host.service("nvidia-fabricmanager")
    switches = bool(world.get("nvswitch"))
    assert (service.is_running, service.is_enabled) == (switches, switches)
    told = host.run("nv-fabricmanager --version").stdout.strip()
    assert told.endswith(f" {query('driver_version')[0]}") if switches else not told


def test_other_drivers_are_off_in_the_initramfs_too(host, gpus):
    modules = host.run("/usr/sbin/lsmod").stdout
    assert not re.search(r"^(nouveau|nova_core|nova_drm) ", modules, re.MULTILINE)
    image = host.run("lsinitramfs /boot/initrd.img-$(uname -r)").stdout
    assert "nouveau.ko" not in image or "etc/modprobe.d/fromzero-nvidia-driver.conf" in image or not gpus
    denied = host.file("/etc/modprobe.d/fromzero-nvidia-driver.conf")
    assert denied.exists is (gpus > 0)


def test_apt_has_nothing_left_to_complain_of(host):
    with host.sudo():
        assert host.run("apt-get check").rc == 0
