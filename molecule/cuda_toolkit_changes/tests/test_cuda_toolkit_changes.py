"""What role cuda_toolkit promises about what is there already, about later runs, and about bad input."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
VARIABLES = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["nodes"]["vars"]
GIVEN = VARIABLES["cuda_toolkit_runfiles"]["13.0"]
RUNFILE = Path(GIVEN["source"].removeprefix("file://"))
PAGE = b"<!DOCTYPE html>\n<html><title>Log in</title></html>\n"
ELSEWHERE = {"cuda_toolkit_prefix": "/srv/cuda", "cuda_toolkit_search": [], "cuda_toolkit_link": False}


def play(*arguments, **variables):
    """Run the playbook again; its output without line breaks."""
    command = ["ansible-playbook", "-i", str(INVENTORY), str(SCENARIO / "converge.yml"), *arguments]
    command += ["-e", json.dumps(variables)]
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "COLUMNS": "1000"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, text=True, capture_output=True, check=False)
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def sudo(command, node="node1"):
    host = testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.check_output(command)


def snapshot(node="node1"):
    return sudo("find /srv /opt /usr/local /etc -xdev -path /opt/cuda-13.0 -prune -o -print | sort", node)


def refused(**variables):
    """The output of a run that fails and leaves the node as it was."""
    node = variables.get("target", "node1")
    before = snapshot(node)
    code, said = play(**variables)
    assert code == 2, said
    assert snapshot(node) == before
    return said


def runfile(**given):
    return {"cuda_toolkit_runfiles": {"13.0": {**GIVEN, **given}}, **ELSEWHERE}


@pytest.fixture
def file(tmp_path):
    """Makes a file on the control node whose sum is right."""

    def make(content):
        sudo("mkdir -p /srv/cuda")
        path = tmp_path / "cuda_13.0.3_580.126.20_linux.run"
        path.write_bytes(content)
        return runfile(source=str(path), checksum=hashlib.sha256(content).hexdigest())

    return make


def test_a_toolkit_that_somebody_installed_is_adopted_by_its_usual_name():
    assert sudo("readlink /usr/local/cuda-13.0") == "/opt/cuda-13.0"
    assert sudo("readlink -f /usr/local/cuda") == "/opt/cuda-13.0"
    assert sudo("bash -lc 'echo $CUDA_HOME'") == "/usr/local/cuda-13.0"
    assert json.loads(sudo("cat /opt/fromzero/etc/cuda_toolkit.json"))["architectures"] == {"13.0": ["8.0"]}


def test_a_name_that_is_gone_is_given_again():
    sudo("rm /usr/local/cuda-13.0")
    assert play()[0] == 0
    assert sudo("readlink /usr/local/cuda-13.0") == "/opt/cuda-13.0"


def test_architectures_that_are_new_are_proved():
    code, said = play(cuda_toolkit_architectures=["8.0", "12.0"])
    assert (code, "Compile for the architectures of the cluster" in said) == (0, True)
    assert json.loads(sudo("cat /opt/fromzero/etc/cuda_toolkit.json"))["architectures"] == {"13.0": ["8.0", "12.0"]}
    assert "Compile for the architectures" not in play(cuda_toolkit_architectures=["8.0", "12.0"])[1]


def test_a_folder_with_something_else_is_left():
    sudo("mkdir -p /srv/cuda/cuda-13.0 && touch /srv/cuda/cuda-13.0/thesis.tex")
    said = refused(**runfile())
    assert "/srv/cuda/cuda-13.0 exists, but it holds no CUDA toolkit. It was neither used nor changed." in said
    sudo("rm -r /srv/cuda")


def test_a_driver_that_is_too_old_is_named_with_what_it_allows():
    said = refused(target="node2")
    assert "node2: CUDA 13.0 needs driver 580.65.06 or newer, and the driver here is 470.182.03" in said
    assert "which allows CUDA 11.8 at most" in said


def test_a_toolkit_that_nobody_knows_is_refused_with_what_is_near():
    assert "CUDA 13.01 is not known; near it are 13.0" in refused(cuda_toolkit_versions=["13.01"])


def test_a_runfile_without_a_sum_is_not_run():
    assert "has no checksum; set its checksum in cuda_toolkit_runfiles" in refused(**runfile(checksum=""))


def test_a_runfile_with_a_wrong_sum_is_not_run():
    said = refused(**runfile(checksum="a" * 64))
    assert f"is wrong: expected {'a' * 64}, found {GIVEN['checksum']}. It was not run." in said


def test_a_web_page_in_place_of_a_runfile_is_recognised(file):
    said = refused(**file(PAGE))
    assert "is no runfile: it begins with" in said
    assert "That is a web page, perhaps one that asks to log in." in said


def test_a_runfile_that_is_cut_short_is_recognised(file):
    with RUNFILE.open("rb") as whole:
        content = whole.read(3 << 20)
    said = refused(**file(content))
    assert f"is cut short: it has {3 << 20} of {RUNFILE.stat().st_size} bytes" in said


def test_a_runfile_for_another_processor_is_recognised_by_its_name():
    assert "for another architecture than" in refused(**runfile(source="/srv/cuda_13.0.3_linux_sbsa.run", on_node=True))


def test_a_mirror_that_does_not_answer_is_named():
    said = refused(**runfile(source="http://127.0.0.1:9/cuda.run"))
    assert "http://127.0.0.1:9/cuda.run cannot be read" in said
    assert "name a mirror (cuda_toolkit_runfile_mirror)" in said


def test_a_disk_without_room_is_named_with_what_is_needed():
    sudo("mkdir -p /srv/small && mount -t tmpfs -o size=64m tmpfs /srv/small")
    said = refused(**{**runfile(), "cuda_toolkit_prefix": "/srv/small"})
    sudo("umount /srv/small && rmdir /srv/small")
    assert "MiB in /srv/small, which has 6" in said


def test_a_folder_that_cannot_be_written_is_named():
    sudo("mkdir -p /srv/fixed && mount -t tmpfs -o ro,size=64m tmpfs /srv/fixed")
    said = refused(**{**runfile(), "cuda_toolkit_prefix": "/srv/fixed"})
    sudo("umount /srv/fixed && rmdir /srv/fixed")
    assert "may not write to /srv/fixed, where /srv/fixed/cuda-13.0 has to go" in said


def test_a_repository_that_does_not_answer_is_named():
    url = "http://127.0.0.1:9/debian12/x86_64"
    said = refused(cuda_toolkit_source="packages", cuda_toolkit_repository_url=url, **ELSEWHERE)
    assert "127.0.0.1:9" in said


def test_check_mode_changes_nothing():
    before = snapshot()
    assert play("--check", **runfile())[0] == 0
    assert snapshot() == before
