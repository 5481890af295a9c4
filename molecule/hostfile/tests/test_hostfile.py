"""What role hostfile promises once it has run: what a rank needs on every node, what starts a run on the head."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
CLUSTER = PROJECT / "build" / "clusters" / SCENARIO.name
ARTIFACTS = CLUSTER / "artifacts"
OVERRIDE = SCENARIO / "host_vars" / "node2.yml"
ETC = "/opt/fromzero/etc"
PROGRAM = "/opt/fromzero/lib/ds_launch"
EXAMPLE = "/opt/fromzero/examples/gpt"

# What accelerate 0.20 to 1.15 knows: ClusterConfig in commands/config/config_args.py, and the options of DeepSpeed in
# commands/launch.py. An unknown key ends its run.
CLUSTER_CONFIG = {
    "compute_environment", "distributed_type", "deepspeed_config", "num_machines", "num_processes", "machine_rank",
    "main_process_ip", "main_process_port", "same_network", "use_cpu",
}  # fmt: skip
DEEPSPEED_OPTIONS = {
    "deepspeed_config_file", "deepspeed_hostfile", "deepspeed_inclusion_filter", "deepspeed_multinode_launcher",
    "zero3_init_flag",
}  # fmt: skip


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
def name(variables):
    return variables["inventory_hostname"]


@pytest.fixture(scope="module")
def slots(variables):
    """The nodes in the order of ranks, with their slots."""
    head = testinfra.get_host(f"ansible://{variables['groups']['nodes'][0]}?ansible_inventory={CLUSTER / 'hosts.yml'}")
    lines = head.file("/job/hostfile").content_string.splitlines()
    return {host: int(count) for host, count in (line.split(" slots=") for line in lines)}


@pytest.fixture(scope="module")
def environment(host, variables):
    text = host.file(f"/home/{variables['ansible_user']}/.deepspeed_env").content_string
    # As the launcher reads it; it breaks on a line without '='.
    return dict(line.split("=", maxsplit=1) for line in text.removesuffix("\n").split("\n"))


def names_of(folder, pattern="*.*"):
    return sorted(path.name for path in (PROJECT / folder).glob(pattern))


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


def test_environment_finds_the_tools_of_the_training_environment_first(environment):
    assert environment["PATH"].startswith("/opt/fromzero/envs/train/bin:")
    assert environment["PATH"].endswith("/usr/bin:/sbin:/bin")


def test_environment_selects_the_cpu(environment):
    assert environment["DS_ACCELERATOR"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == "1"


def test_environment_leads_to_the_toolkit_that_was_proved_and_to_its_compiler(environment, name, variables):
    if name != variables["groups"]["nodes"][0]:
        # Nothing was proved here.
        assert not {"CUDA_HOME", "CXX"} & set(environment)
        return
    assert environment["CUDA_HOME"] == "/usr/local/cuda-11.8"
    folders = environment["PATH"].split(":")
    assert folders.index("/usr/local/cuda-11.8/bin") < folders.index("/usr/bin")
    assert environment["NVCC_CCBIN"] == environment["CXX"] == "/usr/bin/g++-11"
    assert "LD_LIBRARY_PATH" not in environment


def test_environment_carries_what_the_user_sets(environment):
    assert environment["HF_HOME"] == "/data/hf home"


def test_files_belong_to_the_account_that_trains(host, head, variables):
    for path in ("/job/hostfile", f"/home/{variables['ansible_user']}/.deepspeed_env", f"{ETC}/ds_config.json"):
        assert host.file(path).user == variables["ansible_user"], path


def test_every_node_has_the_same_training_configuration(host):
    # A variable of node2 says otherwise: the head decides.
    config = json.loads(host.file(f"{ETC}/ds_config.json").content_string)
    assert config["zero_optimization"]["stage"] == 2
    # No half precision on CPUs.
    assert not {"fp16", "bf16"} & set(config)
    assert config["optimizer"]["params"]["torch_adam"] is True


def test_accelerate_knows_every_key_and_gets_the_numbers_of_the_hostfile(host, name, slots, variables):
    config = yaml.safe_load(host.file(f"{ETC}/accelerate.yaml").content_string)
    assert set(config) == CLUSTER_CONFIG
    assert set(config["deepspeed_config"]) <= DEEPSPEED_OPTIONS
    assert (config["num_machines"], config["num_processes"]) == (len(slots), sum(slots.values()))
    assert config["machine_rank"] == list(slots).index(name)
    assert config["use_cpu"] is True
    assert config["deepspeed_config"]["deepspeed_config_file"] == f"{ETC}/ds_config.json"
    assert config["deepspeed_config"]["deepspeed_hostfile"] == "/job/hostfile"
    # Nodes with different numbers of slots: without this each would get the average.
    assert config["deepspeed_config"]["deepspeed_inclusion_filter"] == "node1@node2"


def test_torchrun_gets_the_numbers_of_the_hostfile_by_what_a_user_types(host, name, slots):
    typed = f"set -a; . {ETC}/torchrun.env; set +a; env"
    found = dict(line.split("=", 1) for line in host.check_output(f"sh -c {shlex.quote(typed)}").splitlines())
    assert found["PET_NNODES"] == str(len(slots))
    assert found["PET_NPROC_PER_NODE"] == str(slots[name])
    assert found["PET_NODE_RANK"] == str(list(slots).index(name))
    assert found["HF_HOME"] == "/data/hf home"
    assert found["PATH"].startswith("/opt/fromzero/envs/train/bin:")
    # What the user has on it stays.
    assert "/usr/bin" in found["PATH"].split(":")


def test_master_is_the_first_node_by_the_address_that_ssh_reaches(host, slots, variables):
    addresses = {node: values["ansible_host"] for node, values in hosts().items()}
    first = addresses[next(iter(slots))]
    config = yaml.safe_load(host.file(f"{ETC}/accelerate.yaml").content_string)
    assert config["main_process_ip"] == first
    assert f"PET_MASTER_ADDR={first}\n" in host.file(f"{ETC}/torchrun.env").content_string


def hosts():
    return yaml.safe_load((CLUSTER / "hosts.yml").read_text(encoding="utf-8"))["nodes"]["hosts"]


def test_addresses_are_those_that_ssh_reaches(head):
    table = dict(line.split() for line in head.file(f"{ETC}/addresses").content_string.splitlines())
    assert table == {node: values["ansible_host"] for node, values in hosts().items()}


def test_folders_can_be_copied_between_all_nodes(host, name, variables):
    assert host.exists("rsync")
    assert host.exists("git") == (name == variables["groups"]["nodes"][0])


def test_launcher_is_on_everybodys_path_and_nobodys_to_change(head):
    assert head.check_output("bash -lc 'command -v ds-launch'") == "/usr/local/bin/ds-launch"
    for path in ("/usr/local/bin/ds-launch", PROGRAM, f"{PROGRAM}/__main__.py"):
        assert head.file(path).user == "root", path
    assert head.file("/usr/local/bin/ds-launch").mode == 0o755


def test_program_is_there_as_it_is_in_the_role_and_nothing_else(head):
    present = [name for name in head.file(PROGRAM).listdir() if name != "__pycache__"]
    assert sorted(present) == names_of("roles/hostfile/files/ds_launch", "*.py")
    for name in names_of("roles/hostfile/files/ds_launch", "*.py"):
        ours = (PROJECT / "roles/hostfile/files/ds_launch" / name).read_bytes()
        assert head.file(f"{PROGRAM}/{name}").content == ours, name


def test_launcher_answers(head):
    done = head.run("ds-launch --help")
    assert done.rc == 0, done.stderr
    assert "ds-launch" in done.stdout


def test_settings_of_the_launcher_are_complete(head):
    assert json.loads(head.file(f"{ETC}/ds-launch.json").content_string) == {
        "environment": "/opt/fromzero/envs/train",
        "tools": "/opt/fromzero/bin",
        "hostfile": "/job/hostfile",
        "addresses": f"{ETC}/addresses",
        "accelerator": "cpu",
        "accelerate_config": f"{ETC}/accelerate.yaml",
        "config": f"{ETC}/ds_config.json",
        "sync": "",
        "launcher": "/usr/local/bin/ds-launch",
        "head": "node1",
    }


def test_launcher_without_an_environment_says_so_in_a_sentence(head):
    script = head.file("/usr/local/bin/ds-launch").content_string.replace("/envs/train/", "/envs/none/")
    done = head.run(f"sh -c {shlex.quote(script)} ds-launch train.py")
    assert done.rc == 2
    assert done.stderr == (
        "ds-launch: The training environment has no python at /opt/fromzero/envs/none/bin/python; "
        "run the playbook 'site'.\n"
    )


def test_launcher_without_its_program_says_so_in_a_sentence(head):
    script = head.file("/usr/local/bin/ds-launch").content_string.replace("lib/ds_launch", "lib/none")
    done = head.run(f"sh -c {shlex.quote(script)} ds-launch train.py")
    assert done.rc == 2
    assert done.stderr.endswith("lib/none/__main__.py is missing or may not be read; run the playbook 'hostfile'.\n")


def test_example_is_the_users(head, variables):
    expected = names_of("examples/gpt")
    assert "train_gpt.py" in expected
    assert sorted(head.file(EXAMPLE).listdir()) == expected
    assert head.file(f"{EXAMPLE}/train_gpt.py").user == variables["ansible_user"]


def test_what_is_the_heads_is_not_on_other_nodes(host, name, variables):
    if name == variables["groups"]["nodes"][0]:
        pytest.skip("the head")
    for path in ("/job", "/usr/local/bin/ds-launch", PROGRAM, EXAMPLE, f"{ETC}/ds-launch.json"):
        assert not host.file(path).exists, path


def test_editor_starts_the_launcher_by_absolute_paths_with_the_arguments_of_the_script(head, variables):
    launch = json.loads(head.file(f"/home/{variables['ansible_user']}/project/.vscode/launch.json").content_string)
    cluster, here = launch["configurations"]
    assert cluster["program"] == f"{PROGRAM}/__main__.py"
    assert cluster["args"] == [f"{ETC}/ds-launch.json", "${file}", "--steps", "5", "two words"]
    assert here["program"] == "${file}"
    assert here["args"] == ["--steps", "5", "two words"]
    assert (here["env"]["WORLD_SIZE"], here["env"]["RANK"]) == ("1", "0")
