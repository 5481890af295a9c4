"""What role apex promises: extensions that import on every node, compiled on one, and a sentence where it cannot be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import testinfra

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.fatbin import machine_code

SCENARIO = Path(__file__).parents[1]
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
ARTIFACTS = INVENTORY.parent / "artifacts" / "wheels"
ENVIRONMENT = "/opt/fromzero/envs/train"
SITE = f"{ENVIRONMENT}/lib/python3.11/site-packages"
CPP = ["apex_C"]
CUDA = [
    *("amp_C", "fused_dense_cuda", "fused_layer_norm_cuda", "mlp_cuda"),
    *("scaled_upper_triang_masked_softmax_cuda", "syncbn"),
]


@pytest.fixture(scope="module")
def nodes():
    """node1, which builds, and node2."""
    hosts = [f"ansible://{name}" for name in ("node1", "node2")]
    return [testinfra.get_host(name, ansible_inventory=str(INVENTORY), sudo=True) for name in hosts]


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    settings = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    argv = [*command, str(SCENARIO / "converge.yml")]
    return subprocess.run(argv, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line, since YAML folds long messages, with its quotes as they were."""
    return " ".join((run.stdout + run.stderr).split()).replace("''", "'")


def succeeds(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def refusal(run):
    assert run.returncode != 0, run.stdout
    return sentence(run)


def extensions(host):
    """The compiled modules of apex, each imported after torch."""
    names = [name.split(".")[0] for name in host.check_output(f"ls {SITE}").split() if name.endswith(".so")]
    imports = ", ".join(["torch", "apex", *names])
    host.check_output(f"cd / && {ENVIRONMENT}/bin/python -B -c 'import {imports}'")
    return sorted(names)


def torch_says(nodes, cuda):
    """Have the stand-in say that it is of another CUDA."""
    for host in nodes:
        host.check_output(f"sed -i 's/^cuda = .*/cuda = \"{cuda}\"/' {SITE}/torch/version.py")
        host.check_output(f"rm -rf {SITE}/torch/__pycache__ {ENVIRONMENT}/.fromzero/apex.json")


def test_every_extension_imports_on_every_node(host):
    assert extensions(host) == sorted([*CPP, *CUDA])


def test_one_node_has_compiled_and_the_other_has_neither_compiler_nor_toolkit(nodes):
    builder, other = nodes
    assert "-gencode" in builder.check_output(f"cat {ENVIRONMENT}/.fromzero/builds/apex/*/log.txt")
    assert not other.exists("c++")
    assert not other.file("/usr/local/cuda-13.0").exists
    assert not other.file(f"{ENVIRONMENT}/.fromzero/builds").exists


def test_extensions_have_code_for_the_gpus_of_all_nodes(nodes, tmp_path):
    path = nodes[1].check_output(f"ls {SITE}/amp_C*.so")
    code = nodes[1].run(f"base64 --wrap=0 {path}").stdout
    binary = tmp_path / "amp_C.so"
    binary.write_bytes(
        subprocess.run(["base64", "--decode"], input=code.encode(), capture_output=True, check=True).stdout
    )
    assert machine_code(binary.read_bytes()) == {"8.0", "9.0"}


def test_what_apex_imports_comes_to_every_node_with_it(host):
    host.check_output(f"cd / && {ENVIRONMENT}/bin/python -B -c 'import packaging'")


def test_environment_belongs_to_its_user(host):
    assert host.check_output(f"find {ENVIRONMENT}/.fromzero -not -user trainer -print -quit") == ""


def test_proof_is_recorded_and_the_wheel_is_gone(host):
    record = json.loads(host.file(f"{ENVIRONMENT}/.fromzero/apex.json").content_string)
    assert record["found"] == {"apex": "0.1", "torch": "2.13.0+cu130"}
    assert not host.file(f"{ENVIRONMENT}/.fromzero/wheels").exists


def test_second_run_looks_once_and_skips_the_rest():
    run = succeeds(play({}))
    recap = dict(re.findall(r"(ok|changed|skipped)=(\d+)", run.stdout))
    gathering_and_validation = 2
    assert recap["changed"] == "0"
    assert int(recap["ok"]) + int(recap["skipped"]) - gathering_and_validation == 2


@pytest.mark.parametrize("ref", ["25.05", "22.03"])
def test_each_generation_is_built_by_its_own_switches(nodes, ref):
    """By options of the build, and by global options; converge took variables."""
    succeeds(play({"apex_ref": ref}))
    for host in nodes:
        assert extensions(host) == sorted([*CPP, *CUDA])
    log = nodes[0].check_output(f"cat {ENVIRONMENT}/.fromzero/builds/apex/*/log.txt")
    assert "fused_layer_norm_cuda" in log


def test_tag_that_has_no_row_is_built_like_the_one_before_it(nodes):
    """25.08 takes its switches as 25.07 and 25.05 do; here it is the very same commit, and so the same wheel."""
    nodes[0].check_output("sudo -u trainer git -C /home/trainer/apex tag --force 25.08 25.05")
    run = succeeds(play({"apex_ref": "25.08"}))
    assert "is being built" not in sentence(run)
    for host in nodes:
        assert extensions(host) == sorted([*CPP, *CUDA])


def test_further_switch_is_proved_by_its_module(nodes):
    succeeds(play({"apex_build": "cpp", "apex_contrib": ["xentropy"]}))
    for host in nodes:
        assert extensions(host) == [*CPP, "xentropy_cuda"]


def test_switch_that_the_build_leaves_out_with_a_warning_is_told(nodes):
    found = refusal(play({"apex_build": "cpp", "apex_contrib": ["fused_conv_bias_relu"]}))
    assert f"The extension fused_conv_bias_relu of apex is not in {ENVIRONMENT}: it was not compiled" in found


def test_cpp_alone_is_built_without_the_test_of_cuda(nodes):
    torch_says(nodes, "12.6")
    succeeds(play({"apex_build": "cpp"}))
    for host in nodes:
        assert extensions(host) == CPP
    torch_says(nodes, "13.0")


def test_python_alone_is_an_option_by_name(nodes):
    succeeds(play({"apex_build": "python"}))
    for host in nodes:
        assert extensions(host) == []


def test_another_major_version_of_cuda_is_refused_before_anything_is_built(nodes):
    torch_says(nodes, "12.8")
    for allowed in (False, True):
        found = refusal(play({"apex_allow_cuda_minor_mismatch": allowed}))
        assert "for this torch, and the toolkit /usr/local/cuda-13.0 is 13.0; install CUDA 12.8" in found
    torch_says(nodes, "13.0")


def test_another_minor_version_is_refused_unless_it_is_allowed(nodes):
    torch_says(nodes, "13.2")
    found = refusal(play({}))
    assert "apex is built by nvcc 13.2 for this torch, and the toolkit /usr/local/cuda-13.0 is 13.0" in found
    for ref in ("25.09", "22.03"):
        succeeds(play({"apex_ref": ref, "apex_allow_cuda_minor_mismatch": True}))
        for host in nodes:
            assert "amp_C" in extensions(host)
    torch_says(nodes, "13.0")


def test_package_that_has_only_the_name_is_named_and_replaced(nodes):
    other = f"{SITE}/apex-0.9.8.dev0.dist-info"
    metadata = r"Metadata-Version: 2.1\nName: apex\nVersion: 0.9.8.dev0\n"
    files = "".join(rf"apex-0.9.8.dev0.dist-info/{name},,\n" for name in ("METADATA", "INSTALLER", "RECORD"))
    for host in nodes:
        host.check_output(f"{ENVIRONMENT}/bin/pip uninstall --yes apex")
        host.check_output(
            f"mkdir {other} && printf '{metadata}' > {other}/METADATA && printf '{files}' > {other}/RECORD"
            f" && echo pip > {other}/INSTALLER"
        )
        host.check_output(f"chown -R trainer: {other} {ENVIRONMENT}")
    run = succeeds(play({}))
    assert "The package apex 0.9.8.dev0 that is installed here is a toolkit for web sites" in sentence(run)
    for host in nodes:
        assert extensions(host) == sorted([*CPP, *CUDA])
        assert not host.file(other).exists


def test_checkout_on_the_control_node_will_do(nodes):
    succeeds(play({"apex_source": str(SCENARIO / "files" / "apex")}))
    record = json.loads(nodes[1].file(f"{ENVIRONMENT}/.fromzero/apex.json").content_string)
    assert record["asked"][0] == str(SCENARIO / "files" / "apex")


def test_archive_on_the_control_node_will_do(nodes, tmp_path):
    archive = tmp_path / "apex-25.09.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(SCENARIO / "files" / "apex", arcname="apex-25.09")
    succeeds(play({"apex_build": "cpp", "apex_source": str(archive)}))
    for host in nodes:
        assert extensions(host) == CPP


def test_wheel_that_was_built_before_is_taken_in_place_of_a_build(nodes):
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in ARTIFACTS.glob("apex-*/wheel.json")]
    [found] = [
        manifest
        for manifest in manifests
        if set(manifest["inputs"]["switches"]) == {"APEX_CPP_EXT", "APEX_CUDA_EXT"}
        and manifest["inputs"]["source"].startswith("commit")
        and not manifest["inputs"]["substitutions"]
    ]
    wheel = str(ARTIFACTS / f"apex-{found['key']}" / found["filename"])
    succeeds(play({"apex_wheel": wheel, "apex_source": "git+file:///home/trainer/nowhere"}))
    for host in nodes:
        assert extensions(host) == sorted([*CPP, *CUDA])
        assert json.loads(host.file(f"{ENVIRONMENT}/.fromzero/apex.json").content_string)["asked"] == wheel


def test_git_host_that_does_not_answer_is_a_sentence(nodes):
    listen = 'import socket, time; s = socket.create_server(("127.0.0.1", 9418)); time.sleep(600)'
    nodes[0].check_output(f"systemd-run --unit silent-host python3 -c '{listen}'")
    found = refusal(play({"apex_source": "git+http://127.0.0.1:9418/apex", "apex_source_timeout": 4}))
    nodes[0].check_output("systemctl stop silent-host")
    assert "The git host of http://127.0.0.1:9418/apex did not answer within 4 s. Name a mirror" in found


def test_all_that_cannot_be_is_told_at_once(nodes):
    for host in nodes:
        host.check_output(
            f"sed -i 's/^cuda = .*/cuda = None/' {SITE}/torch/version.py && rm -rf {SITE}/torch/__pycache__"
        )
    found = refusal(play({"apex_contrib": ["xentropi"]}))
    torch_says(nodes, "13.0")
    assert "is built for CPUs, and apex is for torch with CUDA; leave apex out (apex_ref: none)" in found
    assert "apex_contrib has 'xentropi', which is no switch of apex; there are xentropy" in found


def test_check_mode_says_that_a_build_would_be_made_also_before_there_is_an_environment():
    run = succeeds(play({"apex_architectures": ["7.5"]}, "--check", "--verbose"))
    assert "apex would be built on node1." in run.stdout
    succeeds(play({"apex_environment": "/opt/fromzero/envs/none"}, "--check"))
