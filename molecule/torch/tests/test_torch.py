"""What role torch promises about every node once it has run."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from sandbox.wheelhouse import versions

SCENARIO = Path(__file__).parents[1]
INVENTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "clusters" / SCENARIO.name / "hosts.yml"


@pytest.fixture(scope="module")
def role():
    """What the play asked for, and the version that the role installs where nothing is planned."""
    play = yaml.safe_load((SCENARIO.parent / "shared" / "torch.yml").read_text())[0]
    return {"torch_version": versions().torch, **play["vars"]}


@pytest.fixture(scope="module")
def environment(host):
    return host.check_output("ls -d /opt/fromzero/envs/*").strip()


def torch_says(host, environment, expression):
    script = f"import json, torch; print(json.dumps({expression}))"
    return json.loads(host.check_output(f"{environment}/bin/python -c '{script}'"))


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    return subprocess.run([*command, str(SCENARIO / "converge.yml")], capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line, since YAML folds long messages and doubles quotes."""
    return " ".join((run.stdout + run.stderr).split()).replace("''", "'")


def test_torch_says_that_it_is_the_wished_version_and_build(host, environment, role):
    wished = f"{role['torch_version']}+{role['cluster_accelerator']}"
    assert torch_says(host, environment, "torch.__version__") == wished


def test_build_for_cpus_has_no_cuda(host, environment):
    assert torch_says(host, environment, "[torch.version.cuda, torch.version.hip]") == [None, None]


def test_environment_belongs_to_its_user(host, environment):
    owners = host.check_output(f"find {environment} -not -user trainer -print -quit")
    assert owners == ""


def test_proof_is_recorded_with_what_was_found(host, environment, role):
    record = json.loads(host.file(f"{environment}/.fromzero/torch.json").content_string)
    assert record["found"]["torch"].startswith(role["torch_version"])


def test_torchvision_and_torchaudio_are_those_that_belong_to_the_torch(host, environment, role):
    rows = yaml.safe_load((SCENARIO.parents[1] / "data" / "torch.yml").read_text())["releases"]
    row = next(row for row in rows if row["torch"] == role["torch_version"])
    script = "import torchvision, torchaudio; print(torchvision.__version__, torchaudio.__version__)"
    found = host.check_output(f"{environment}/bin/python -c '{script}'")
    assert found == f"{row['torchvision']}+cpu {row['torchaudio']}+cpu"
    record = json.loads(host.file(f"{environment}/.fromzero/torch.json").content_string)
    assert set(record["found"]) == {"torch", "torchvision", "torchaudio"}


def test_torchvision_of_another_torch_is_a_sentence_with_a_remedy(host, environment):
    """That of the Python index has no tag, and its operators are compiled for the torch of that index."""
    wheel = host.check_output("ls /srv/broken/*.whl")
    run = play({"torch_wheels": [wheel], "torch_wheels_on_node": True})
    assert run.returncode != 0
    assert "does not work with torch" in sentence(run)
    assert "operator torchvision::nms does not exist" in sentence(run)
    assert "or leave it out (torch_torchvision_version: none)." in sentence(run)
    assert play({}).returncode == 0
    assert host.run(f"{environment}/bin/python -c 'import torchvision'").succeeded


def test_index_without_torchvision_is_a_sentence_that_says_how_to_do_without(role):
    run = play({"torch_torchvision_version": "0.99.0"})
    assert run.returncode != 0
    assert "has torchvision==0.99.0+cpu for its Python and platform" in sentence(run)
    assert "or leave it out (torch_torchvision_version: none)" in sentence(run)


def test_what_has_no_wheel_is_left_out_in_one_sentence():
    run = play({"torch_version": "2.13.99"}, "--check")
    assert "torchvision is left out: which one belongs to torch 2.13.99 is not known here" in sentence(run)


def test_version_that_no_index_has_is_a_sentence_with_the_nearest(host, environment, role):
    run = play({"torch_version": "2.13.99"})
    assert run.returncode != 0
    assert "has it for its Python and platform" in sentence(run)
    assert f"{role['torch_version']}+cpu" in sentence(run)


def test_build_that_no_index_has_leaves_the_one_that_is_there(host, environment, role):
    before = torch_says(host, environment, "torch.__version__")
    run = play({"torch_build": "cu100"})
    assert run.returncode != 0
    assert f"torch=={role['torch_version']}+cu100" in sentence(run)
    assert torch_says(host, environment, "torch.__version__") == before


def test_wish_that_contradicts_itself_is_refused_by_name(role):
    run = play({"torch_version": f"{role['torch_version']}+cpu", "torch_build": "cu130"})
    assert run.returncode != 0
    assert f"torch {role['torch_version']}+cpu is not a build for cu130" in sentence(run)


def test_environment_that_is_not_there_is_a_sentence():
    run = play({"torch_environment": "/opt/fromzero/envs/none"})
    assert run.returncode != 0
    assert "There is no Python environment at /opt/fromzero/envs/none" in sentence(run)


def test_check_mode_before_there_is_an_environment_says_what_would_come():
    run = play({"torch_environment": "/opt/fromzero/envs/none"}, "--check")
    assert run.returncode == 0, sentence(run)
    assert "changed=1" in sentence(run)


def test_matching_installation_that_another_made_is_kept(host, environment):
    """Without its record it is looked at again, imported, and not installed again."""
    library = f"{environment}/lib/python3*/site-packages/torch/lib/libtorch_cpu.so"
    with host.sudo():
        host.check_output(f"rm {environment}/.fromzero/torch.json")
    before = host.check_output(f"stat -c %i:%Z {library}")
    run = play({})
    assert run.returncode == 0, sentence(run)
    assert host.check_output(f"stat -c %i:%Z {library}") == before
    assert host.file(f"{environment}/.fromzero/torch.json").exists


def test_torch_that_does_not_import_is_a_sentence_with_the_reason(host, environment):
    library = host.check_output(f"ls {environment}/lib/python3*/site-packages/torch/lib/libtorch.so").strip()
    with host.sudo():
        host.check_output(f"mv {library} {library}.away && rm {environment}/.fromzero/torch.json")
        run = play({})
        host.check_output(f"mv {library}.away {library}")
    assert run.returncode != 0
    assert "libtorch.so: cannot open shared object file" in sentence(run)
    assert play({}).returncode == 0


def test_wheel_on_the_control_node_is_carried_over_and_leaves_nothing(host, environment, tmp_path_factory, role):
    """A package that costs nothing to carry stands for torchaudio."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = make_wheel(folder, "torchaudio", f"{role['torch_version']}+cpu")
    run = play({"torch_wheels": [str(wheel)]})
    assert run.returncode == 0, sentence(run)
    assert host.check_output(f"{environment}/bin/python -c 'import torchaudio; print(torchaudio.here)'") == "yes"
    assert not host.file(f"{environment}/.fromzero/wheels").exists


def make_wheel(folder, name, version):
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": "here = 'yes'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
        record = "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return path
