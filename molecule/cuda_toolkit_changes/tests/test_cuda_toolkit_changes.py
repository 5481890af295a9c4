"""What role cuda_toolkit promises about what is there already, about later runs, and about bad input."""

from __future__ import annotations

import hashlib
import json
import os
import re
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
ELSEWHERE = {"cuda_toolkit_prefix": "/srv/cuda", "cuda_toolkit_search": [], "cuda_toolkit_link": False}
PAGE = "<!DOCTYPE html>\n<html><title>Log in</title></html>\n"
CUT = 3 << 20


def runfile(prefix="/srv/cuda", **given):
    return {**ELSEWHERE, "cuda_toolkit_prefix": prefix, "cuda_toolkit_runfiles": {"13.0": {**GIVEN, **given}}}


# What is wished for on a node that has it not, what the sentence must hold. PAGE and CUT stand for a file and a sum.
REFUSED = {
    "no-sum": (runfile(checksum=""), ["has no checksum; set its checksum in cuda_toolkit_runfiles"]),
    "wrong-sum": (runfile(checksum="a" * 64), [f"expected {'a' * 64}, found {GIVEN['checksum']}. It was not used."]),
    "web-page": (
        runfile(source="PAGE", checksum=hashlib.sha256(PAGE.encode()).hexdigest()),
        ["is no runfile: it begins with", "That is a web page, perhaps one that asks to log in."],
    ),
    "cut-short": (
        runfile(source="/srv/cut.run", on_node=True, checksum="CUT"),
        [f"is cut short: it has {CUT} of {RUNFILE.stat().st_size} bytes"],
    ),
    "other-processor": (
        runfile(source="/srv/cuda_13.0.3_linux_sbsa.run", on_node=True),
        ["/srv/cuda_13.0.3_linux_sbsa.run is by its name for another architecture than"],
    ),
    "no-mirror": (
        runfile(source="http://127.0.0.1:9/cuda.run"),
        ["http://127.0.0.1:9/cuda.run cannot be read", "name a mirror (cuda_toolkit_runfile_mirror)"],
    ),
    "no-room": (runfile("/srv/small"), ["MiB in /srv/small, which has 6"]),
    "read-only": (runfile("/srv/fixed"), ["may not write to /srv/fixed, where /srv/fixed/cuda-13.0 has to go"]),
    "occupied": (
        runfile("/srv/thesis"),
        ["/srv/thesis/cuda-13.0 exists, but it holds no CUDA toolkit. It was neither used nor changed."],
    ),
    "unknown": ({"cuda_toolkit_versions": ["13.01"]}, ["CUDA 13.01 is not known; near it are 13.0"]),
    "no-repository": (
        {
            **ELSEWHERE,
            "source": "packages",
            "cuda_toolkit_repository_url": "http://127.0.0.1:9/debian12/x86_64",
        },
        ["127.0.0.1:9"],
    ),
    "old-driver": (
        {},
        ["needs driver 580.65.06 or newer, and the driver here is 470.182.03, which allows CUDA 11.8 at most"],
    ),
}


def play(*arguments, inventory=INVENTORY, **variables):
    """Run the playbook again; its output without line breaks."""
    command = ["ansible-playbook", "-i", str(inventory), str(SCENARIO / "converge.yml"), *arguments]
    command += ["-e", json.dumps(variables)]
    settings = {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "COLUMNS": "1000"}
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **settings}, text=True, capture_output=True, check=False
    )
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def sudo(command, node="node1"):
    host = testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.check_output(command)


def snapshot(node="node1"):
    found = sudo("find /srv /opt /usr/local /etc -xdev -path /opt/cuda-13.0 -prune -o -print", node)
    return set(found.splitlines())


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """What each wish is refused with, all in one run: the node by many names, which nothing changes."""
    sudo("mkdir -p /srv/cuda /srv/small /srv/fixed /srv/thesis/cuda-13.0 && touch /srv/thesis/cuda-13.0/thesis.tex")
    sudo(f"head -c {CUT} {RUNFILE} > /srv/cut.run")
    sudo("mount -t tmpfs -o size=64m tmpfs /srv/small && mount -t tmpfs -o ro,size=64m tmpfs /srv/fixed")
    folder = tmp_path_factory.mktemp("refused")
    (folder / "page.run").write_text(PAGE)
    sum_of_cut = sudo("sha256sum /srv/cut.run").split()[0]
    nodes = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["nodes"]
    hosts = {}
    for name, (variables, _) in REFUSED.items():
        text = json.dumps(variables).replace('"PAGE"', json.dumps(str(folder / "page.run")))
        wished = json.loads(text.replace('"CUT"', json.dumps(sum_of_cut)))
        hosts[name] = {**nodes["hosts"]["node2" if name == "old-driver" else "node1"], **wished}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"nodes": {"hosts": hosts, "vars": nodes["vars"]}}))
    before = snapshot(), snapshot("node2")
    code, said = play("--forks", "4", inventory=inventory, target="nodes")
    after = snapshot(), snapshot("node2")
    sudo("umount /srv/small /srv/fixed && rm -r /srv/*")
    assert code == 2, said
    assert [old ^ new for old, new in zip(before, after, strict=True)] == [set(), set()]
    return dict(re.findall(r"fatal: \[([^]]+)\]: FAILED! => (.*?)(?= fatal: | TASK | PLAY | \[ERROR\]|$)", said))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_a_sentence_and_changes_nothing(sentences, name):
    for words in REFUSED[name][1]:
        assert words in sentences[name]


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


def test_check_mode_changes_nothing():
    before = snapshot()
    assert play("--check", **runfile())[0] == 0
    assert snapshot() == before
