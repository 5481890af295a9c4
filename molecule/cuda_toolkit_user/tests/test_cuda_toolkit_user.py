"""What role cuda_toolkit promises to somebody without root: all of it inside their own folder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"


@pytest.fixture(scope="module")
def home(host):
    return f"/home/{host.ansible.get_variables()['ansible_user']}"


def test_the_toolkit_is_in_the_users_own_folder(host, home):
    assert "release 13.0," in host.check_output(f"{home}/fromzero/cuda-13.0/bin/nvcc --version")
    assert host.file(f"{home}/fromzero/cuda-13.0").user == home.rpartition("/")[2]


def test_nothing_is_written_elsewhere(host, home):
    everywhere = "find / -xdev -newer /etc/sudoers.d -user trainer -not -path '/proc/*' -not -path '/sys/*'"
    written = host.run(f"{everywhere} -not -path '{home}/*' 2>/dev/null").stdout.split()
    assert [path for path in written if not path.startswith(("/run/", "/tmp/", home))] == []
    assert not host.file("/usr/local/cuda").exists
    assert not host.file("/etc/profile.d/fromzero-cuda.sh").exists


def test_what_was_unpacked_is_gone(host, home):
    left = host.check_output(f"find {home}/fromzero -maxdepth 1 -mindepth 1").split()
    assert sorted(left) == [f"{home}/fromzero/cuda-13.0", f"{home}/fromzero/etc"]


def test_commands_over_ssh_find_it(host, home):
    said = host.check_output(f"env -i HOME={home} SSH_CLIENT=x bash -c '. ~/.bashrc; echo $CUDA_HOME; command -v nvcc'")
    assert said.split() == [f"{home}/fromzero/cuda-13.0", f"{home}/fromzero/cuda-13.0/bin/nvcc"]


def test_what_was_proved_is_noted_for_the_launch(host, home):
    record = json.loads(host.file(f"{home}/fromzero/etc/cuda_toolkit.json").content_string)
    assert (record["home"], record["architectures"]) == (f"{home}/fromzero/cuda-13.0", {"13.0": ["9.0"]})


def test_a_compiler_that_nobody_can_install_is_asked_for_in_a_sentence():
    command = ["ansible-playbook", "-i", str(INVENTORY), str(SCENARIO / "converge.yml")]
    command += ["-e", json.dumps({"cuda_toolkit_gcc": {"13.0": "9"}})]
    colourless = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, cwd=PROJECT, env=colourless, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert (
        "CUDA 13.0 accepts gcc up to 9, and node1 has gcc 12.2.0. Without root none can be installed: ask for one "
        "there, install one in the training environment (conda_packages: [gxx_linux-64=9]), or request another toolkit "
        "(cuda_toolkit_versions)."
    ) in f"{done.stdout}{done.stderr}"
