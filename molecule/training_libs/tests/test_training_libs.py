"""What role training_libs promises about every node once it has run, with a set from the index and two projects."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
FILES = SCENARIO / "files"
INVENTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "clusters" / SCENARIO.name / "hosts.yml"
PLAY = yaml.safe_load((SCENARIO / "converge.yml").read_text())[0]
PROJECTS = [
    {**PLAY["vars"]["training_libs_projects"][0]},
    {"source": str(FILES / "fromzero_eval"), "dependencies": False},
]
INSTALLERS = ["uv", "pip"]
ENVIRONMENT = "/opt/fromzero/envs/train"
ONE = ("--limit", "node1")
GATHERING_AND_ARGUMENTS = 2


@pytest.fixture(scope="module")
def nodes():
    """Both, for promises about them together and for runs that one node is enough for."""
    return testinfra.get_hosts(["ansible://nodes"], ansible_inventory=str(INVENTORY))


@pytest.fixture(scope="module")
def first(nodes):
    return nodes[0]


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", json.dumps(variables), *options]
    return subprocess.run([*command, str(SCENARIO / "converge.yml")], capture_output=True, text=True, check=False)


def sentence(run):
    """The output in one line and without colours, since YAML folds long messages and doubles quotes."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", run.stdout + run.stderr).split()).replace("''", "'")


def recaps(run):
    """What each node did: tasks that ran, that changed something, that were skipped."""
    found = re.findall(r"ok=(\d+) changed=(\d+) unreachable=0 failed=0 skipped=(\d+)", sentence(run))
    return {tuple(map(int, numbers)) for numbers in found}


def refusal(run):
    assert run.returncode != 0, sentence(run)
    return sentence(run)


def freeze(host):
    return host.check_output(f"{ENVIRONMENT}/bin/python -m pip freeze")


def python(host, script):
    return host.check_output(f"cd / && {ENVIRONMENT}/bin/python -c {script!r}").strip()


def record(host, role):
    return json.loads(host.file(f"{ENVIRONMENT}/.fromzero/{role}.json").content_string)


def test_library_that_guides_call_sklearn_is_there_under_its_right_name(host):
    assert python(host, "import sklearn; print(sklearn.__name__)") == "sklearn"
    assert re.search("^scikit-learn==", freeze(host), re.MULTILINE)


def test_installed_versions_are_those_of_the_pins(host):
    """Of a name that is pinned by Python, one of the pins."""
    pins = {}
    for line in host.file(f"{ENVIRONMENT}/.fromzero/training_libs.txt").content_string.splitlines():
        name, version = line.split(" ;")[0].split("==")
        pins.setdefault(name, set()).add(version)
    installed = dict(line.split("==") for line in freeze(host).splitlines() if "==" in line)
    assert pins.keys() & installed.keys() >= {"transformers", "pandas", "numpy", "datasets"}
    assert {name: installed[name] for name in pins.keys() & installed.keys() if installed[name] not in pins[name]} == {}


def test_torch_and_deepspeed_are_still_those_that_were_there(host):
    found = record(host, "training_libs")["found"]
    assert found["torch"] == record(host, "torch")["found"]["torch"]
    assert found["deepspeed"] == record(host, "deepspeed")["found"]["deepspeed"]
    assert (
        host.check_output(f"{ENVIRONMENT}/bin/python -m pip check | grep -v a-library-that-no-index-has || true") == ""
    )


def test_both_nodes_have_the_same_packages(nodes):
    lists = {freeze(node) for node in nodes}
    assert len(nodes) == 2
    assert len(lists) == 1


def test_project_from_git_works(host):
    script = "from fromzero_corpus import words; print(len(words('my words')))"
    assert int(python(host, script).splitlines()[-1]) > 0


def test_project_from_a_folder_is_there_without_its_dependencies(host):
    assert python(host, "import fromzero_eval; print(fromzero_eval.said)") == "one"
    assert "a-library-that-no-index-has" not in freeze(host)


def test_projects_were_built_on_one_node(nodes):
    """The other needs no git, and has the same bytes."""
    assert not nodes[1].exists("git")
    sums = [record(node, "training_libs")["wheels"] for node in nodes]
    assert sums[0] == sums[1]
    assert sorted(sums[0]) == ["fromzero-corpus", "fromzero-eval"]


def test_environment_belongs_to_its_user_and_no_wheels_are_left(host):
    assert host.check_output(f"find {ENVIRONMENT} -not -user trainer -print -quit") == ""
    assert not host.file(f"{ENVIRONMENT}/.fromzero/wheels").exists


def test_second_run_looks_once_and_changes_nothing():
    """The test of idempotence: nothing has changed the nodes since the first run."""
    run = play({})
    assert run.returncode == 0, sentence(run)
    assert recaps(run) == {(GATHERING_AND_ARGUMENTS + 1, 0, 1)}


REFUSED = [
    (
        {"training_libs_sets": ["hellodeepspeed"]},
        ["The set hellodeepspeed is for torch from 1.13 on and before 2.4 with Python from 3.8 on and before 3.10",
         "It fits the stacks torch-1.13-cu117"],
    ),
    ({"training_libs_sets": ["fastchat"]}, ["flash-attn, which computes on NVIDIA's GPUs alone", "is for CPUs"]),
    ({"training_libs_sets": ["flash_attn"]}, ["flash-attn, which computes on NVIDIA's GPUs alone"]),
    ({"training_libs_sets": [], "training_libs_packages": ["sklearn"]}, ["Use scikit-learn in its place"]),
    ({"training_libs_sets": [], "training_libs_packages": ["torch==2.0.1"]}, ["Use the role torch (torch_version)"]),
    (
        {"training_libs_environment": "/opt/fromzero/envs/none"},
        ["There is no Python environment at /opt/fromzero/envs/none"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "words"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_sentence(first, wish, words):
    before = freeze(first)
    found = refusal(play({**wish, "training_libs_projects": []}, *ONE))
    assert [word for word in words if word not in found] == []
    assert freeze(first) == before


@pytest.mark.parametrize("installer", INSTALLERS)
def test_project_that_would_move_torch_is_refused_by_name(first, installer):
    before = freeze(first)
    greedy = {"training_libs_projects": [{"source": str(FILES / "fromzero_greedy")}], "training_libs_sets": []}
    found = refusal(play({**greedy, "training_libs_installer": installer}, *ONE))
    assert "which is there and stays, would have to be exchanged: fromzero-greedy" in found
    assert re.search(r"wants torch ?<2\b", found)
    assert freeze(first) == before


OF_CUDA = "/opt/fromzero/envs/cuda"
FLASH = "flash_attn-2.8.3+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
# As much of torch as is looked at.
TORCH = {
    "torch/__init__.py": (
        "import types\n"
        "from torch import version\n"
        "__version__ = version.__version__\n"
        "_C = types.SimpleNamespace(_GLIBCXX_USE_CXX11_ABI=True)\n"
    ),
    "torch/version.py": "__version__ = '2.8.0+cu128'\ncuda = '12.8'\nhip = None\n",
    "torch-2.8.0+cu128.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.8.0+cu128\n",
    "torch-2.8.0+cu128.dist-info/RECORD": "torch/__init__.py,,\ntorch/version.py,,\n",
    "torch-2.8.0+cu128.dist-info/INSTALLER": "pip\n",
}


@pytest.fixture(scope="module")
def of_cuda(first):
    """An environment with a stand-in for a torch for CUDA 12.8."""
    first.check_output(f"python3 -m venv --clear {OF_CUDA}")
    site = first.check_output(f"echo {OF_CUDA}/lib/python3*/site-packages").strip()
    for name, text in TORCH.items():
        content = base64.b64encode(text.encode()).decode()
        first.check_output(f"mkdir -p $(dirname {site}/{name}) && echo {content} | base64 -d > {site}/{name}")
    return OF_CUDA


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """What the project's page of releases stands for: a folder with a wheel, whose name has more than its metadata."""
    folder = tmp_path_factory.mktemp("release")
    path = folder / "v2.8.3" / FLASH
    path.parent.mkdir()
    info = "flash_attn-2.8.3.dist-info"
    members = {
        "flash_attn/__init__.py": "__version__ = '2.8.3'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: flash_attn\nVersion: 2.8.3\nRequires-Dist: torch\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"]))
    return folder


@pytest.fixture(scope="module")
def page(release):
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(release)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def wish_for_flash_attn(page, **more):
    return {
        "cluster_accelerator": "cuda",
        "training_libs_environment": OF_CUDA,
        "training_libs_sets": ["flash_attn"],
        "training_libs_projects": [],
        "training_libs_flash_attn_wheels_url": page,
        "training_libs_flash_attn_sums_url": "",
        **more,
    }


WITHOUT_WHEEL = [
    {},
    # A sum without anything at the address: then it would be built.
    {
        "training_libs_flash_attn_checksums": {FLASH: "f" * 64},
        "training_libs_flash_attn_wheels_url": "http://127.0.0.1:9",
    },
]


@pytest.mark.parametrize("more", WITHOUT_WHEEL, ids=["no sum", "no answer"])
def test_flash_attn_without_a_wheel_that_can_be_verified_would_be_built(of_cuda, first, page, more):
    """And that needs to know for which GPUs."""
    found = refusal(play(wish_for_flash_attn(page, **more), *ONE))
    assert "flash-attn has no finished wheel that could be verified for torch 2.8.0+cu128 with Python 3.11" in found
    assert "set training_libs_architectures" in found
    assert not first.file(f"{of_cuda}/lib/python3.11/site-packages/flash_attn").exists


def test_finished_wheel_of_flash_attn_with_another_sum_is_refused(of_cuda, first, page):
    found = refusal(play(wish_for_flash_attn(page, training_libs_flash_attn_checksums={FLASH: "f" * 64}), *ONE))
    assert "The checksum of" in found and "is wrong" in found
    assert not first.file(f"{of_cuda}/lib/python3.11/site-packages/flash_attn").exists


@pytest.mark.parametrize("told", ["lines", "json"])
def test_finished_wheel_of_flash_attn_is_taken_with_a_sum_that_is_told(of_cuda, first, release, page, told):
    digits = hashlib.sha256((release / "v2.8.3" / FLASH).read_bytes()).hexdigest()
    sums = release / f"sums.{told}"
    assets = json.dumps({"assets": [{"name": FLASH, "digest": f"sha256:{digits}"}]})
    sums.write_text(assets if told == "json" else f"{digits}  {FLASH}\n")
    first.check_output(f"rm -f {of_cuda}/.fromzero/training_libs.json")
    run = play(wish_for_flash_attn(page, training_libs_flash_attn_sums_url=f"{page}/{sums.name}"), *ONE)
    assert run.returncode == 0, sentence(run)
    version = first.check_output(f"{of_cuda}/bin/python -c 'import flash_attn; print(flash_attn.__version__)'")
    assert version.strip() == "2.8.3"


def test_set_that_needs_deepspeed_says_so_where_there_is_none(first):
    with first.sudo():
        info = first.check_output(f"ls -d {ENVIRONMENT}/lib/python3*/site-packages/deepspeed-*.dist-info")
        first.check_output(f"mv {info} /root/")
        run = play({"training_libs_projects": []}, *ONE)
        first.check_output(f"mv /root/{info.rsplit('/', 1)[-1]} {info}")
    assert "The set nlp needs deepspeed" in refusal(run)


def test_project_that_was_changed_is_installed_again_although_its_version_is_the_same(first, tmp_path):
    folder = tmp_path / "fromzero_eval"
    shutil.copytree(FILES / "fromzero_eval", folder)
    module = folder / "fromzero_eval.py"
    module.write_text(module.read_text().replace('"one"', '"two"'))
    run = play({"training_libs_projects": [PROJECTS[0], {"source": str(folder), "dependencies": False}]}, *ONE)
    assert run.returncode == 0, sentence(run)
    assert python(first, "import fromzero_eval; print(fromzero_eval.said)") == "two"


def test_check_mode_before_there_is_an_environment_says_what_would_come():
    run = play({"training_libs_environment": "/opt/fromzero/envs/none"}, "--check")
    assert run.returncode == 0, sentence(run)
    assert re.search(r"node2 : ok=\d+ changed=2", sentence(run))


def test_without_wishes_nothing_is_done():
    run = play({"training_libs_sets": [], "training_libs_projects": []})
    assert run.returncode == 0, sentence(run)
    assert recaps(run) == {(GATHERING_AND_ARGUMENTS, 0, 2)}
