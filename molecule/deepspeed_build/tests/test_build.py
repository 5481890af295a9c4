"""What role deepspeed promises where ops are built beforehand: once, on one node, and there on every node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import testinfra

from sandbox.wheelhouse import versions

SCENARIO = Path(__file__).parents[1]
INVENTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "clusters" / SCENARIO.name / "hosts.yml"
ENVIRONMENT = "/opt/fromzero/envs/train"
INSTALLERS = ["uv", "pip"]
# For what does not concern several nodes: to import torch and DeepSpeed on each costs most of a run.
BUILDER = ("--limit", "node1")
OTHER = ("--limit", "node2")


@pytest.fixture(scope="module")
def nodes():
    """node1, which builds, and node2."""
    return [testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORY)) for name in ("node1", "node2")]


def built_ops(host):
    """The ops that are there as compiled modules."""
    listing = host.check_output(f"ls {ENVIRONMENT}/lib/python3*/site-packages/deepspeed/ops")
    return sorted(name.split(".")[0] for name in listing.split() if name.endswith(".so"))


def forget(nodes):
    """Take DeepSpeed and what was proved of it away."""
    for host in nodes:
        host.check_output(f"rm -f {ENVIRONMENT}/.fromzero/deepspeed.json")
        host.check_output(f"{ENVIRONMENT}/bin/pip uninstall --yes deepspeed")


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    argv = [*command, str(SCENARIO / "converge.yml")]
    colourless = {**os.environ, "ANSIBLE_FORCE_COLOR": "false"}
    return subprocess.run(argv, env=colourless, capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line, since YAML folds long messages and doubles quotes."""
    return " ".join((run.stdout + run.stderr).split()).replace("''", "'")


def succeeds(run):
    assert run.returncode == 0, sentence(run)
    return run


def refusal(run):
    assert run.returncode != 0, sentence(run)
    return sentence(run)


def test_op_is_on_every_node(host):
    assert built_ops(host) == ["deepspeed_shm_comm"]


def test_one_node_has_compiled_it_and_the_other_has_no_compiler(nodes):
    builder, other = nodes
    log = builder.check_output(f"cat {ENVIRONMENT}/.fromzero/builds/deepspeed/*/log.txt")
    assert "deepspeed_shm_comm.cpp" in log
    assert builder.exists("c++")
    assert builder.exists("ninja")
    assert not other.exists("c++")
    assert not other.file(f"{ENVIRONMENT}/.fromzero/builds").exists


def test_headers_are_those_of_the_environments_python(nodes):
    program = 'import sys; print("%d.%d" % sys.version_info[:2])'
    version = nodes[0].check_output(f"{ENVIRONMENT}/bin/python -c '{program}'")
    assert nodes[0].package(f"python{version}-dev").is_installed


def test_nothing_is_left_of_the_delivery(host):
    assert not host.file(f"{ENVIRONMENT}/.fromzero/wheels").exists


@pytest.mark.parametrize("installer", INSTALLERS)
def test_installers_cache_does_not_bring_back_a_build_without_the_op(nodes, installer):
    """A plain installation leaves a wheel without ops in the cache, which does not know the switches."""
    forget(nodes[1:])
    plain = {"deepspeed_ops": {}, "deepspeed_compiler": "never", "deepspeed_installer": installer}
    succeeds(play(plain, *OTHER))
    assert built_ops(nodes[1]) == []
    succeeds(play({"deepspeed_installer": installer}, *OTHER))
    assert built_ops(nodes[1]) == ["deepspeed_shm_comm"]


def test_another_op_builds_another_wheel(nodes):
    succeeds(play({"deepspeed_ops": {"deepspeed_shm_comm": True, "cpu_adam": "auto"}, "deepspeed_installer": "pip"}))
    assert [built_ops(host) for host in nodes] == [["cpu_adam", "deepspeed_shm_comm"]] * 2


def test_node_that_lost_its_environment_gets_the_wheel_without_a_build_and_without_a_compiler(nodes):
    forget(nodes[1:])
    nodes[0].check_output(f"rm -rf {ENVIRONMENT}/.fromzero/builds")
    succeeds(play({"deepspeed_ops": {"deepspeed_shm_comm": True, "cpu_adam": "auto"}}, *OTHER))
    assert built_ops(nodes[1]) == ["cpu_adam", "deepspeed_shm_comm"]
    assert not nodes[1].exists("c++")


def test_switches_by_deepspeeds_own_names_do_as_well(nodes):
    succeeds(play({"deepspeed_ops": {}, "deepspeed_build": {"DS_BUILD_SHM_COMM": 1}}, *BUILDER))
    assert built_ops(nodes[0]) == ["cpu_adam", "deepspeed_shm_comm"]


def test_installation_without_wishes_keeps_ops_that_are_there(nodes):
    before = built_ops(nodes[0])
    succeeds(play({"deepspeed_ops": {}}, *BUILDER))
    assert built_ops(nodes[0]) == before != []


def test_source_from_the_control_node_is_built_once(nodes):
    folder = str(SCENARIO / "files" / "deepspeed-9.9.9")
    succeeds(play({"deepspeed_source": folder}))
    assert [built_ops(host) for host in nodes] == [["deepspeed_shm_comm"]] * 2
    record = json.loads(nodes[1].file(f"{ENVIRONMENT}/.fromzero/deepspeed.json").content_string)
    assert record["asked"] == folder


def test_ops_that_cannot_be_are_told_at_once_before_anything_is_built():
    ops = {"fused_lamb": True, "sparse_attn": True, "fused_adm": True, "cpu_lion": "perhaps"}
    found = refusal(play({"deepspeed_ops": ops}, *BUILDER))
    assert "The op fused_lamb cannot be built: it is for cuda and rocm, and the nodes compute on cpu." in found
    assert "The op sparse_attn cannot be built: DeepSpeed 9.9.9 does not have it any more." in found
    assert "'fused_adm' in deepspeed_ops is no op of DeepSpeed; there are fused_adam" in found
    assert "cpu_lion in deepspeed_ops is 'perhaps'; write true, false or auto." in found


def test_op_that_auto_leaves_out_is_told_with_the_reason():
    run = succeeds(play({"deepspeed_ops": {"deepspeed_shm_comm": True, "fused_lamb": "auto"}}, *BUILDER))
    assert "it is for cuda and rocm, and the nodes compute on cpu" in sentence(run)


def test_compiler_comes_too_where_the_first_run_will_compile(nodes):
    """Without the op built in, a run on CPUs compiles it at its start, and dies where nothing can."""
    host = nodes[1]
    forget([host])
    assert not host.exists("c++")
    succeeds(play({"deepspeed_ops": {}}, *OTHER))
    assert built_ops(host) == []
    assert host.exists("c++")
    assert host.exists("ninja")
    assert host.file("/home/trainer/.cache/torch_extensions").user == "trainer"


def loads(host, name):
    """Whether an op loads as a training run loads it."""
    program = f"from deepspeed.env_report import ALL_OPS; ALL_OPS['{name}'].load()"
    return host.run(f'cd / && {ENVIRONMENT}/bin/python -c "{program}"')


def test_op_that_uses_a_library_loads_on_every_node_and_not_on_the_builder_alone(nodes):
    """The build for CPUs forgets to link it, and only the builder needs it to build."""
    succeeds(play({"deepspeed_ops": {"async_io": True}}))
    for host in nodes:
        assert built_ops(host) == ["async_io", "pin_memory"]
        assert host.package("libaio-dev").is_installed
        assert loads(host, "async_io").succeeded, loads(host, "async_io").stderr


def test_op_that_one_node_cannot_load_is_a_sentence_with_the_nodes_reason(nodes):
    with nodes[1].sudo():
        nodes[1].check_output("dpkg --remove --force-depends libaio1 libaio-dev")
        nodes[1].check_output(f"rm {ENVIRONMENT}/.fromzero/deepspeed.json")
    found = refusal(play({"deepspeed_ops": {"async_io": True}, "deepspeed_system": False}))
    assert "The op async_io is built into DeepSpeed 9.9.9" in found
    assert "cannot be loaded: ImportError: libaio.so.1: cannot open shared object file" in found
    assert "Install the package with libaio.so.1 on this node" in found
    assert re.search(r"node1 : ok=\d+ .*? failed=0", found)
    assert re.search(r"node2 : ok=\d+ .*? failed=1", found)
    succeeds(play({"deepspeed_ops": {"async_io": True}}, *OTHER))
    assert loads(nodes[1], "async_io").succeeded


def test_op_that_is_not_there_after_the_build_is_a_sentence(nodes):
    found = refusal(play({"deepspeed_ops": {"cpu_lion": True}}, *BUILDER))
    assert "The op cpu_lion (DS_BUILD_CPU_LION) is not built into DeepSpeed" in found
    assert "please install a lion" in found


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_switch_of_no_op_is_a_sentence_also_the_next_time(attempt):
    """What was not proved leaves no record by which a later run would pass."""
    found = refusal(play({"deepspeed_ops": {}, "deepspeed_build": {"DS_BUILD_SHMCOMM": 1}}, *BUILDER))
    assert "DS_BUILD_SHMCOMM builds no op" in found, attempt
    assert "DS_BUILD_AIO, DS_BUILD_CPU_ADAM, DS_BUILD_CPU_LION, DS_BUILD_PIN_MEMORY, DS_BUILD_SHM_COMM" in found


def test_check_mode_says_that_a_build_would_be_made():
    run = succeeds(play({"deepspeed_ops": {"cpu_adam": True, "async_io": False}}, "--check", "--verbose", *BUILDER))
    assert re.search(r"deepspeed would be built on\s+node1\.", run.stdout)


def test_real_deepspeeds_op_for_cpus_is_compiled_once_and_computes_on_every_node(nodes):
    """DeepSpeed itself, from the index: its optimizer in C++ makes a step that lowers the loss."""
    succeeds(play({"deepspeed_version": versions().deepspeed, "deepspeed_ops": {"cpu_adagrad": True}}))
    program = (
        "import torch; from deepspeed.ops.adagrad import DeepSpeedCPUAdagrad as A; "
        "p = torch.nn.Parameter(torch.ones(64)); o = A([p], lr=0.1); l = (p * p).sum(); l.backward(); o.step(); "
        "print(float(l) > float((p * p).sum()))"
    )
    for host in nodes:
        folder = f"{ENVIRONMENT}/lib/python3*/site-packages/deepspeed/ops/adagrad"
        assert "cpu_adagrad_op" in host.check_output(f"ls {folder}")
        assert host.check_output(f"cd / && DS_ACCELERATOR=cpu {ENVIRONMENT}/bin/python -c '{program}'").endswith("True")
    assert not nodes[1].file(f"{ENVIRONMENT}/.fromzero/builds").exists
