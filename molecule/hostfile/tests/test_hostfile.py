"""What role hostfile promises once it has run: the launch files of the head, and nothing elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

SCENARIO = Path(__file__).parents[1]
ARTIFACTS = SCENARIO.parents[1] / "build" / "clusters" / SCENARIO.name / "artifacts"
OVERRIDE = SCENARIO / "host_vars" / "node2.yml"


@pytest.fixture(scope="module")
def variables(host):
    return host.ansible.get_variables()


@pytest.fixture(scope="module")
def head(host, variables):
    """The node, where it is the head; the others have nothing to show."""
    if variables["inventory_hostname"] != variables["groups"]["nodes"][0]:
        pytest.skip("not the head")
    return host


@pytest.fixture(scope="module")
def environment(head, variables):
    text = head.file(f"/home/{variables['ansible_user']}/.deepspeed_env").content_string
    # As the launcher reads it; it breaks on a line without '='.
    return dict(line.split("=", maxsplit=1) for line in text.removesuffix("\n").split("\n"))


def test_hostfile_lists_every_node_once_with_its_slots(head, variables):
    lines = [line.split(" slots=") for line in head.file("/job/hostfile").content_string.splitlines()]
    assert [name for name, _ in lines] == variables["groups"]["nodes"]
    assert dict(lines) == {"node1": "2", "node2": str(yaml.safe_load(OVERRIDE.read_text())["hostfile_slots"])}


def test_hostfile_has_neither_comments_nor_blank_lines(head):
    assert all(" slots=" in line for line in head.file("/job/hostfile").content_string.rstrip("\n").split("\n"))


def test_hostfile_that_was_there_before_is_kept(head):
    kept = head.check_output("cat /job/hostfile.*~")
    assert kept == "# ours\ngpu-box slots=8"


def test_copy_beside_the_inventory_is_the_hostfile(head, variables):
    assert (ARTIFACTS / "hostfile").read_text() == head.file("/job/hostfile").content_string


def test_nothing_is_written_on_other_nodes(host, variables):
    if variables["inventory_hostname"] == variables["groups"]["nodes"][0]:
        pytest.skip("the head")
    assert not host.file("/job").exists
    assert not host.file("/opt/fromzero").exists


def test_environment_finds_the_tools_of_the_training_environment_first(environment):
    assert environment["PATH"].startswith("/opt/fromzero/envs/train/bin:")
    assert environment["PATH"].endswith("/usr/bin:/sbin:/bin")


def test_environment_selects_the_cpu(environment):
    assert environment["DS_ACCELERATOR"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == "1"


def test_environment_leads_to_the_toolkit_that_was_proved_and_to_its_compiler(environment):
    assert environment["CUDA_HOME"] == "/usr/local/cuda-11.8"
    folders = environment["PATH"].split(":")
    assert folders.index("/usr/local/cuda-11.8/bin") < folders.index("/usr/bin")
    assert environment["NVCC_CCBIN"] == environment["CXX"] == "/usr/bin/g++-11"
    assert "LD_LIBRARY_PATH" not in environment


def test_environment_carries_what_the_user_sets(environment):
    assert environment["HF_HOME"] == "/data/hf home"


def test_files_belong_to_the_account_that_trains(head, variables):
    for path in ("/job/hostfile", f"/home/{variables['ansible_user']}/.deepspeed_env"):
        assert head.file(path).user == variables["ansible_user"], path


def test_launcher_is_on_everybodys_path_and_nobodys_to_change(head):
    assert head.check_output("bash -lc 'command -v ds-launch'") == "/usr/local/bin/ds-launch"
    assert head.file("/usr/local/bin/ds-launch").user == "root"
    assert head.file("/usr/local/bin/ds-launch").mode == 0o755


def test_training_configuration_is_json_without_half_precision_on_cpus(head):
    config = json.loads(head.file("/opt/fromzero/etc/ds_config.json").content_string)
    assert config["zero_optimization"]["stage"] == 2
    assert not {"fp16", "bf16"} & set(config)


def test_editor_starts_the_launcher_by_absolute_paths(head, variables):
    launch = json.loads(head.file(f"/home/{variables['ansible_user']}/project/.vscode/launch.json").content_string)
    configuration = launch["configurations"][0]
    assert configuration["program"] == "/opt/fromzero/envs/train/bin/deepspeed"
    assert configuration["args"].index("--hostfile") < configuration["args"].index("${file}")
    assert variables["ansible_host"] in configuration["args"]
