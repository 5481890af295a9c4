"""What role cuda_toolkit promises in the RHEL family, where packages come by dnf."""

from __future__ import annotations

import json


def test_the_toolkits_come_as_packages_without_a_driver(host):
    with host.sudo():
        installed = host.check_output("rpm -qa --queryformat '%{NAME}\\n'").split()
    assert {"cuda-toolkit-13-0", "cuda-toolkit-12-8"} < set(installed)
    assert not [package for package in installed if package in ("cuda", "cuda-13-0", "cuda-12-8", "cuda-drivers")]


def test_shells_find_the_default_toolkit(host):
    said = host.check_output("env -i HOME=/home/nobody bash -lc 'echo $CUDA_HOME; nvcc --version'")
    assert said.startswith("/usr/local/cuda-13.0\n")
    assert "release 13.0," in said


def test_the_default_among_packages_is_chosen(host):
    assert host.check_output("readlink -f /usr/local/cuda") == "/usr/local/cuda-13.0"
    assert host.check_output("readlink /usr/local/cuda").startswith("/etc/alternatives/")


def test_each_toolkit_was_proved(host):
    record = json.loads(host.file("/opt/fromzero/etc/cuda_toolkit.json").content_string)
    assert record["architectures"] == {"13.0": ["9.0"], "12.8": ["9.0"]}
    assert [toolkit["release"] for toolkit in record["toolkits"]] == ["13.0.3", "12.8.1"]
