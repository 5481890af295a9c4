"""What the simulated hosts promise: gpu_info finds on each what its world says, and a reboot is a reboot."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from sandbox.gpus.world import NVIDIA, read

ROOT = Path(__file__).parents[3]
PLAIN = os.environ | {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}


@pytest.fixture
def world(host):
    """What the node's file says."""
    return read(yaml.safe_load(Path(host.ansible.get_variables()["sandbox_world"]).read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def play(pytestconfig, tmp_path_factory):
    """Runs tasks on all nodes at once, as root."""

    def run(tasks, **variables):
        path = tmp_path_factory.mktemp("play") / "playbook.yml"
        play = {"hosts": "nodes", "become": True, "gather_facts": False, "vars": variables}
        path.write_text(yaml.safe_dump([{**play, "tasks": yaml.safe_load(tasks)}]), encoding="utf-8")
        command = ["ansible-playbook", "-i", pytestconfig.getoption("ansible_inventory"), path]
        done = subprocess.run(command, cwd=ROOT, env=PLAIN, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def looked(play, tmp_path_factory):
    """The folder with what gpu_info found on each node."""
    folder = tmp_path_factory.mktemp("facts")
    play(LOOK, folder=str(folder))
    return folder


@pytest.fixture
def found(host, looked):
    return json.loads((looked / host.backend.host).read_text(encoding="utf-8"))


def test_gpus_are_those_of_the_world(world, found):
    assert [gpu["pci_id"] for gpu in found["gpus"]] == [gpu.pci_id for gpu in world.gpus]
    assert [gpu["pci_address"] for gpu in found["gpus"]] == [gpu.address for gpu in world.gpus]
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == [gpu.compute_capability for gpu in world.gpus]
    assert [gpu["gfx"] for gpu in found["gpus"]] == [gpu.gfx for gpu in world.gpus]
    if found["source"] == "nvidia-smi":
        assert [gpu["memory_mib"] for gpu in found["gpus"]] == [gpu.memory_mib for gpu in world.gpus]
        assert [gpu["name"] for gpu in found["gpus"]] == [gpu.name for gpu in world.gpus]
    assert found["nvswitch"] == world.nvswitch


def test_nvidia_smi_tells_where_it_can(world, found):
    works = world.driver.loaded is not None and world.driver.loaded == world.driver.library
    assert (found["source"] == "nvidia-smi") is works


def test_driver_is_that_of_the_world(world, found):
    driver = found["driver"]
    assert (driver["loaded"], driver["library"]) == (world.driver.loaded, world.driver.library)
    if world.driver.loaded:
        assert driver["flavour"] == world.driver.flavour
        assert driver["agrees"] is (world.driver.loaded == world.driver.library)
        assert [user["command"] for user in driver["users"]] == list(world.users)
    assert driver["built"]["version"] == world.driver.built
    assert driver["runfile"] == world.runfile


def test_packages_are_installed_as_the_world_says(world, found):
    packages = {package["name"]: package for package in found["driver"]["packages"]}
    for package in world.packages:
        if not package.name.startswith(("nvidia-fabricmanager", "nvlsm")):
            known = packages[package.name]
            assert (known["version"], known["held"], known["broken"]) == (package.version, package.held, package.broken)


def test_kernel_and_firmware_are_those_of_the_world(world, found):
    assert found["secure_boot"] is bool(world.secure_boot)
    assert found["blockers"]["loaded"] == list(world.blockers.loaded)
    assert found["kernel"]["headers"] is world.headers
    assert (found["kernel"]["newest"] != found["kernel"]["release"]) is (world.newest is not None)


def test_programs_of_the_node_see_the_world(host, world):
    """The real lspci and systemctl, asked together since a connection costs more than the answer."""
    names = {package.name for package in world.packages}
    services = {
        "nvidia-fabricmanager": any("fabricmanager" in name for name in names),
        "nvidia-persistenced": world.driver.persistence,
    }
    shown = host.run(f"lspci -D -n -d {NVIDIA}: | cut -d' ' -f1,3; systemctl is-active {' '.join(services)}")
    *devices, manager, daemon = shown.stdout.splitlines()
    assert {f"{gpu.address} {gpu.pci_id}" for gpu in world.nvidia} <= set(devices)
    assert [state == "active" for state in (manager, daemon)] == list(services.values())


def test_reboot_of_all_at_once_loads_what_is_installed(play):
    """Host keys are checked, and every node has its own: a node that came back with another's address would fail."""
    play(REBOOT)


LOOK = """
- name: Look
  fromzero.deepspeed.gpu_info:
- name: Write down what was found
  ansible.builtin.copy:
    content: "{{ ansible_facts['fromzero_gpus'] | to_json }}"
    dest: "{{ folder }}/{{ inventory_hostname }}"
    mode: "0644"
  delegate_to: localhost
  become: false
"""
REBOOT = """
- name: Look before
  fromzero.deepspeed.gpu_info:
- name: Remember
  ansible.builtin.set_fact:
    before: "{{ ansible_facts['fromzero_gpus'] }}"
- name: Reboot over ssh
  ansible.builtin.reboot:
    reboot_timeout: 120
- name: Look after
  fromzero.deepspeed.gpu_info:
- name: Expect the module that was on the disk, and nobody who trained before
  ansible.builtin.assert:
    that:
      - after.gpus | map(attribute='pci_address') == before.gpus | map(attribute='pci_address')
      - after.driver.loaded == expected
      - after.driver.users == []
  vars:
    after: "{{ ansible_facts['fromzero_gpus'] }}"
    # A module that Secure Boot rejects stays on the disk.
    expected: "{{ none if before.secure_boot else before.driver.built.version }}"
"""
