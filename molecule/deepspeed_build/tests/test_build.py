"""What role deepspeed promises where switches of its build are on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[1]
INVENTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "clusters" / SCENARIO.name / "hosts.yml"
INSTALLERS = ["uv", "pip"]


@pytest.fixture(scope="module")
def environment(host):
    return host.check_output("ls -d /opt/fromzero/envs/*").strip()


def built_ops(host, environment):
    """The ops that are there as compiled modules."""
    listing = host.check_output(f"ls {environment}/lib/python3*/site-packages/deepspeed/ops")
    return sorted(name.split(".")[0] for name in listing.split() if name.endswith(".so"))


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    return subprocess.run([*command, str(SCENARIO / "converge.yml")], capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line, since YAML folds long messages."""
    return " ".join((run.stdout + run.stderr).split())


def test_op_of_the_switch_is_built(host, environment):
    assert built_ops(host, environment) == ["deepspeed_shm_comm"]


def test_compiler_and_headers_were_brought(host):
    assert host.exists("c++")
    assert host.exists("ninja")
    assert host.file("/usr/include/python3.11/Python.h").exists or host.exists("python3-config")


def test_build_requirements_are_in_the_environment(host, environment):
    host.check_output(f"{environment}/bin/python -c 'import setuptools, wheel, packaging'")
    assert host.file(f"{environment}/bin/ninja").exists


@pytest.mark.parametrize("installer", INSTALLERS)
def test_installers_cache_does_not_bring_back_a_build_without_the_op(host, environment, installer):
    """A plain installation leaves a wheel without ops in the cache, which does not know the switches."""
    host.check_output(f"rm -f {environment}/.fromzero/deepspeed.json")
    host.check_output(f"{environment}/bin/pip uninstall --yes deepspeed")
    plain = play({"deepspeed_build": {}, "deepspeed_installer": installer})
    assert plain.returncode == 0, sentence(plain)
    assert built_ops(host, environment) == []
    switched = play({"deepspeed_installer": installer})
    assert switched.returncode == 0, sentence(switched)
    assert built_ops(host, environment) == ["deepspeed_shm_comm"]


def test_another_switch_builds_again(host, environment):
    both = {"DS_BUILD_SHM_COMM": 1, "DS_BUILD_CPU_ADAM": 1}
    run = play({"deepspeed_build": both, "deepspeed_installer": "pip"})
    assert run.returncode == 0, sentence(run)
    assert built_ops(host, environment) == ["cpu_adam", "deepspeed_shm_comm"]


def test_installation_without_switches_keeps_ops_that_are_there(host, environment):
    before = built_ops(host, environment)
    run = play({"deepspeed_build": {}})
    assert run.returncode == 0, sentence(run)
    assert built_ops(host, environment) == before != []


def test_compiler_comes_too_where_the_first_run_will_compile(host, environment):
    """Without the op built in, a run on CPUs compiles it at its start, and dies where nothing can."""
    with host.sudo():
        host.check_output("apt-get remove --yes --quiet g++ ninja-build")
    host.check_output(f"rm -f {environment}/.fromzero/deepspeed.json")
    host.check_output(f"{environment}/bin/pip uninstall --yes deepspeed")
    run = play({"deepspeed_build": {}})
    assert run.returncode == 0, sentence(run)
    assert built_ops(host, environment) == []
    assert host.exists("c++")
    assert host.exists("ninja")


def test_op_that_cannot_be_built_is_a_sentence_with_deepspeeds_reason_and_what_it_needs_was_brought(host):
    run = play({"deepspeed_build": {"DS_BUILD_AIO": 1}})
    assert run.returncode != 0
    assert "The op async_io (DS_BUILD_AIO) is not built into DeepSpeed" in sentence(run)
    assert "please install the libaio-dev package with apt" in sentence(run)
    assert host.package("libaio-dev").is_installed


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_switch_of_no_op_is_a_sentence_also_the_next_time(attempt):
    """What was not proved leaves no record by which a later run would pass."""
    run = play({"deepspeed_build": {"DS_BUILD_SHMCOMM": 1}})
    assert run.returncode != 0, attempt
    assert "DS_BUILD_SHMCOMM builds no op" in sentence(run)
    assert "DS_BUILD_AIO, DS_BUILD_CPU_ADAM, DS_BUILD_SHM_COMM" in sentence(run)
