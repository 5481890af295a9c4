"""What role deepspeed promises about every node once it has run, where a wheel brings the op that CPUs need."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from sandbox.wheelhouse import versions

SCENARIO = Path(__file__).parents[1]
INVENTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "clusters" / SCENARIO.name / "hosts.yml"


@pytest.fixture(scope="module")
def wished_version():
    return versions().deepspeed


@pytest.fixture(scope="module")
def environment(host):
    return host.check_output("ls -d /opt/fromzero/envs/*").strip()


@pytest.fixture(scope="module")
def report(host, environment):
    return re.sub(r"\x1b\[[0-9;]*m", "", host.check_output(f"DS_ACCELERATOR=cpu {environment}/bin/ds_report"))


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    argv = [*command, str(SCENARIO / "converge.yml")]
    colourless = {**os.environ, "ANSIBLE_FORCE_COLOR": "false"}
    return subprocess.run(argv, env=colourless, capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line, since YAML folds long messages and doubles quotes."""
    return " ".join((run.stdout + run.stderr).split()).replace("''", "'")


def test_ds_report_names_the_wished_version(report, wished_version):
    assert re.search(rf"^deepspeed info \.+ {re.escape(wished_version)}", report, re.MULTILINE)


def test_op_that_every_run_on_cpus_needs_is_built_in(report):
    assert re.search(r"^deepspeed_shm_comm \.+ \[YES\] \.+ \[OKAY\]$", report, re.MULTILINE)


def test_no_compiler_is_on_the_node(host):
    assert not host.exists("c++")


def test_op_loads_without_a_compiler(host, environment):
    """It was built for the torch of this very environment."""
    script = "from deepspeed.ops.op_builder import ShareMemCommBuilder as op; print(op().load().__name__)"
    output = host.check_output(f"cd / && DS_ACCELERATOR=cpu {environment}/bin/python -c {script!r} | tail -1")
    assert output == "deepspeed.ops.comm.deepspeed_shm_comm_op"


def test_second_run_executes_few_tasks_and_changes_nothing():
    """The test of idempotence: nothing has changed the node since the first run."""
    run = play({})
    assert run.returncode == 0, sentence(run)
    recap = dict(re.findall(r"(ok|changed|skipped)=(\d+)", sentence(run)))
    gathering = 1
    assert recap["changed"] == "0"
    assert int(recap["ok"]) + int(recap["skipped"]) - gathering <= 5


def test_op_that_does_not_load_any_more_is_found_and_installed_again(host, environment):
    """What is recorded and what ds_report prints is a constant; the file itself is broken."""
    library = host.check_output(f"ls {environment}/lib/python3*/site-packages/deepspeed/ops/comm/*shm_comm_op*.so")
    with host.sudo():
        host.check_output(f"truncate --size 100 {library} && rm {environment}/.fromzero/deepspeed.json")
    assert "[YES]" in host.check_output(f"DS_ACCELERATOR=cpu {environment}/bin/ds_report | grep deepspeed_shm_comm")
    run = play({})
    assert run.returncode == 0, sentence(run)
    script = "from deepspeed.ops.op_builder import ShareMemCommBuilder as op; op().load()"
    assert host.run(f"cd / && DS_ACCELERATOR=cpu {environment}/bin/python -c {script!r}").succeeded


def test_torch_is_still_the_one_that_was_there(host, environment):
    record = json.loads(host.file(f"{environment}/.fromzero/torch.json").content_string)
    version = host.check_output(f"{environment}/bin/python -c 'import torch; print(torch.__version__)'")
    assert version == record["found"]["torch"]


def test_environment_belongs_to_its_user(host, environment):
    assert host.check_output(f"find {environment} -not -user trainer -print -quit") == ""


def test_proof_is_recorded_with_what_was_found(host, environment, wished_version):
    record = json.loads(host.file(f"{environment}/.fromzero/deepspeed.json").content_string)
    assert record["found"]["deepspeed"] == wished_version


def test_op_that_the_wheel_does_not_bring_is_a_sentence_with_its_name():
    run = play({"deepspeed_build": {"DS_BUILD_CPU_ADAM": 1}, "deepspeed_find_links": ["/etc"]})
    assert run.returncode != 0
    assert "The op cpu_adam (DS_BUILD_CPU_ADAM) is not built into DeepSpeed" in sentence(run)


def test_op_that_the_wheel_brings_may_be_asked_for():
    run = play({"deepspeed_build": {"DS_BUILD_SHM_COMM": 1}, "deepspeed_find_links": ["/etc"]})
    assert run.returncode == 0, sentence(run)


def test_name_that_is_no_switch_is_refused():
    run = play({"deepspeed_build": {"CUDA_HOME": "/usr/local/cuda"}})
    assert run.returncode != 0
    assert "'CUDA_HOME' in deepspeed_build is not the name of a switch" in sentence(run)


def test_environment_without_torch_is_a_sentence(host):
    host.check_output("python3 -m venv --without-pip /home/trainer/bare")
    run = play({"deepspeed_environment": "/home/trainer/bare"})
    assert run.returncode != 0
    assert "torch is not installed in /home/trainer/bare" in sentence(run)
    assert "Run the role torch first" in sentence(run)


def test_node_without_compiler_and_root_is_a_sentence():
    run = play(
        {"deepspeed_build": {"DS_BUILD_CPU_ADAM": 1}, "cluster_become": False, "cluster_prefix": "/opt/fromzero"}
    )
    assert run.returncode != 0
    found = sentence(run)
    assert "node1: There is no C++ compiler (c++); install g++" in found
    assert "Or let another node build" in found


def test_check_mode_before_there_is_an_environment_says_what_would_come():
    run = play({"deepspeed_environment": "/opt/fromzero/envs/none"}, "--check")
    assert run.returncode == 0, sentence(run)
    assert "changed=1" in sentence(run)
