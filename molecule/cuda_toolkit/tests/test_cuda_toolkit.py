"""What role cuda_toolkit promises with root: node1 has packages, node2 a runfile."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
KERNEL = "__global__ void nothing() {}\nint main() { nothing<<<1, 1>>>(); return 0; }\n"
ENVIRONMENT = "/opt/fromzero/envs/train"

sys.path.insert(0, str(PROJECT / "collections"))
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.fatbin import machine_code


@pytest.fixture(scope="module")
def name(host):
    return host.ansible.get_variables()["inventory_hostname"]


@pytest.fixture(scope="module")
def versions(host):
    return host.ansible.get_variables().get("cuda_toolkit_versions", ["13.0"])


@pytest.fixture(scope="module")
def packages(host, name):
    if name != "node1":
        pytest.skip("from a runfile")
    return host


@pytest.fixture(scope="module")
def runfile(host, name):
    if name != "node2":
        pytest.skip("from packages")
    return host


def login(host, command):
    """As somebody who has just logged in."""
    return host.check_output(f"env -i HOME=/home/nobody bash -lc {shlex.quote(command)}")


def compiled(host, nvcc, switches):
    """The program that nvcc makes in a login shell."""
    host.check_output(f"printf '{KERNEL.replace(chr(10), chr(92) + 'n')}' > /tmp/nothing.cu")
    login(host, f"{nvcc} -o /tmp/nothing /tmp/nothing.cu {switches}")
    return base64.b64decode(host.check_output("base64 -w0 /tmp/nothing"))


def test_shells_find_the_default_toolkit(host, versions):
    home = f"/usr/local/cuda-{versions[0]}"
    assert login(host, "echo $CUDA_HOME") == home
    assert login(host, "command -v nvcc") == f"{home}/bin/nvcc"
    assert f"release {versions[0]}," in login(host, "nvcc --version")


def test_shells_are_given_no_library_path(host):
    assert login(host, "echo ${LD_LIBRARY_PATH-none}") == "none"


def test_each_toolkit_compiles_for_the_architectures_that_it_is_asked_for(host, versions):
    for version in versions:
        program = compiled(
            host,
            f"/usr/local/cuda-{version}/bin/nvcc",
            "-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90",
        )
        assert machine_code(program) == {"8.0", "9.0"}


def test_what_was_proved_is_noted_for_the_launch(host, versions):
    record = json.loads(host.file("/opt/fromzero/etc/cuda_toolkit.json").content_string)
    assert record["home"] == f"/usr/local/cuda-{versions[0]}"
    assert record["architectures"] == {version: ["8.0", "9.0"] for version in versions}
    assert [each["release"] for each in record["toolkits"]] == [f"{v}.{'1' if v == '12.8' else '3'}" for v in versions]


def test_the_systems_own_name_leads_to_the_default(host, versions):
    assert host.check_output("readlink -f /usr/local/cuda") == f"/usr/local/cuda-{versions[0]}"


def test_the_default_among_packages_is_chosen_for_good(packages):
    assert "Status: manual" in packages.check_output("update-alternatives --query cuda")


def test_no_package_brings_a_driver(packages):
    installed = packages.check_output("dpkg-query -W -f '${Package}\\n'").split()
    assert {"cuda-toolkit-12-8", "cuda-toolkit-13-0"} < set(installed)
    assert not [package for package in installed if package in ("cuda", "cuda-12-8", "cuda-13-0", "cuda-drivers")]


def test_both_toolkits_come_in_one_transaction(packages):
    with packages.sudo():
        log = packages.check_output("cat /var/log/apt/history.log")
    commands = [entry for entry in log.split("\n\n") if "cuda-toolkit-" in entry]
    assert len(commands) == 1


def test_an_environment_has_the_toolkit_of_its_own_and_torch_its_libraries(packages):
    activate = f". {ENVIRONMENT}/etc/conda/activate.d/fromzero-cuda.sh"
    stale = "export CUDA_HOME=/usr/local/cuda-11.4 LD_LIBRARY_PATH=/usr/local/cuda-11.4/lib64"
    assert login(packages, f"{stale}; {activate}; echo $CUDA_HOME; command -v nvcc; echo $LD_LIBRARY_PATH").split() == [
        "/usr/local/cuda-13.0",
        "/usr/local/cuda-13.0/bin/nvcc",
        f"{ENVIRONMENT}/lib/python3.11/site-packages/nvidia/cu13/lib:/usr/local/cuda-13.0/lib64",
    ]


def test_leaving_the_environment_restores_what_was_there(packages):
    hooks = "; ".join(f". {ENVIRONMENT}/etc/conda/{name}.d/fromzero-cuda.sh" for name in ("activate", "deactivate"))
    show = "echo $CUDA_HOME $PATH ${LD_LIBRARY_PATH-none}"
    assert login(packages, f"{hooks}; {show}") == login(packages, show)


def test_lines_for_another_toolkit_are_named_and_left(packages):
    file = f"/home/{packages.ansible.get_variables()['ansible_user']}/.bashrc"
    lines = [line for line in packages.file(file).content_string.splitlines() if "cuda-11.4" in line]
    assert len(lines) == 2
    command = ["ansible-playbook", "-i", str(INVENTORY), "-l", "node1", "--check", str(SCENARIO / "converge.yml")]
    colourless = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "COLUMNS": "1000"}
    done = subprocess.run(command, cwd=PROJECT, env=colourless, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    said = " ".join(f"{done.stdout} {done.stderr}".split())
    assert said.count(f"[WARNING]: {file}, line ") == 2
    assert "sets another CUDA (/usr/local/cuda-11.4) than /usr/local/cuda-12.8" in said


def test_what_was_cut_off_is_finished(runfile):
    assert not runfile.file("/usr/local/cuda-13.0.installing").exists
    assert "release 13.0" in runfile.check_output("/usr/local/cuda-13.0/bin/nvcc --version")


def test_a_runfile_leaves_a_plain_link_and_nothing_else(runfile):
    assert runfile.check_output("readlink /usr/local/cuda") == "/usr/local/cuda-13.0"
    left = runfile.check_output("find /usr/local /tmp -maxdepth 1 -name '*cuda*'").split()
    assert sorted(left) == ["/tmp/cuda-installer.log", "/usr/local/cuda", "/usr/local/cuda-13.0"]


def test_a_compiler_that_the_toolkit_accepts_is_brought_and_used(runfile):
    assert login(runfile, "echo $CC $CXX $NVCC_CCBIN $CUDAHOSTCXX").split() == [
        "/usr/bin/gcc-11",
        *["/usr/bin/g++-11"] * 3,
    ]
    assert b"GCC: (Debian 11." in compiled(runfile, "nvcc", "")
