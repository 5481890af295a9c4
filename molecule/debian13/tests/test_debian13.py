"""What a user has on Debian 13, where the environment's Python is not the system's and has headers of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from sandbox import typed

ROOT = Path(__file__).parents[3]
SCENARIO = Path(__file__).parents[1]
EXTENSION = """\
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "own"};
PyMODINIT_FUNC PyInit_own(void) { return PyModule_Create(&definition); }
"""


@pytest.fixture(scope="module")
def inventory(request):
    return Path(request.config.getoption("ansible_inventory"))


@pytest.fixture(scope="module")
def environment(host):
    return host.check_output("ls -d /opt/fromzero/envs/*")


@pytest.fixture(scope="module")
def headers(host, environment):
    asked = "import sysconfig; print(sysconfig.get_path('include'))"
    return host.check_output(f"{environment}/bin/python -c {asked!r}")


@pytest.fixture(scope="module")
def head(host):
    if host.ansible.get_variables()["inventory_hostname"] != "node1":
        pytest.skip("one node is enough")
    return host


def refusal(inventory, variables):
    """What role deepspeed says on the first node where it cannot go on; YAML folds long messages."""
    command = ["ansible-playbook", "--inventory", str(inventory), "--limit", "node1", "--tags", "deepspeed"]
    argv = [*command, "--extra-vars", json.dumps(variables), str(SCENARIO / "converge.yml")]
    run = subprocess.run(
        argv, env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    return " ".join((run.stdout + run.stderr).split())


@pytest.fixture(scope="module")
def without_headers(head, environment, headers):
    """The environment of the first node as that of a Python that came without headers; nothing is recorded of it."""
    record = f"{environment}/.fromzero/deepspeed.json"
    with head.sudo():
        head.check_output(f"mv {headers}/Python.h {headers}/away && mv {record} {record}.away")
    yield
    with head.sudo():
        head.check_output(f"mv {headers}/away {headers}/Python.h && mv {record}.away {record}")


def test_python_of_the_environment_is_another_than_the_systems(host, environment):
    assert host.system_info.release.startswith("13")
    assert host.check_output("python3 --version").startswith("Python 3.13.")
    assert host.check_output(f"{environment}/bin/python --version").startswith("Python 3.11.")


def test_headers_are_those_of_the_environment_and_came_from_no_package(host, environment, headers):
    assert headers == f"{environment}/include/python3.11"
    assert host.file(f"{headers}/Python.h").is_file
    # dpkg lists names too that others only suggest.
    listed = host.check_output(
        "dpkg-query --show --showformat '${db:Status-Abbrev}${Package} ' '*python3*-dev' || true"
    )
    assert "ii " not in listed


def test_what_is_compiled_finds_them(head, environment, headers):
    with head.sudo("trainer"):
        made = (
            f"cd $(mktemp -d) && printf %b {EXTENSION!r} > own.c && c++ -x c -shared -fPIC -I{headers} own.c -o own.so"
        )
        head.check_output(f"{made} && {environment}/bin/python -c 'import own'")


def test_every_node_trained(inventory):
    verdict = json.loads((inventory.parent / "artifacts" / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["ok"] is True
    assert verdict["summary"]["hosts"] == ["node1", "node2"]


def test_first_job_works_as_it_stands(head, inventory):
    script = "\n".join(["set -e", *typed.blocks(ROOT / "README.md")])
    command = typed.command(inventory, script)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    first, last = re.findall(r"loss ([\d.]+) -> ([\d.]+)", done.stdout)[-1]
    assert float(last) < float(first) - 1


@pytest.mark.usefixtures("without_headers")
def test_headers_that_no_package_has_are_a_sentence_with_a_remedy(environment, inventory):
    found = refusal(inventory, {})
    assert "No package python3.11-dev is in the sources of this node" in found
    assert f"Python 3.11.2 in {environment} has no headers (Python.h)" in found
    assert "create that environment with the role conda" in found


@pytest.mark.usefixtures("without_headers")
def test_node_without_headers_and_root_is_refused_before_a_job(environment, inventory):
    found = refusal(inventory, {"deepspeed_system": False})
    assert f"a run on node1, which has no Python.h of the Python in {environment}, and none was installed" in found
