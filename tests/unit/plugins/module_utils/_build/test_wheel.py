# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import ast
import fcntl
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build import wheel as build
from ansible_collections.fromzero.deepspeed.plugins.module_utils._build import worker
from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import parse_source
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

NODE = build.Node(
    python="3.11.2",
    machine="x86_64",
    headers=True,
    packages={"pip": "26.1", "setuptools": "80.9", "torch": "2.13.0"},
    torch={"version": "2.13.0+cu130", "cuda": "13.0", "hip": None, "cxx11_abi": True},
    nvcc="13.0.88",
    glibc="2.36",
    instructions=["avx", "avx2"],
    cores=16,
    free=64 * build.GIB,
    room=64 * build.GIB,
)


@pytest.fixture
def wish(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    return build.Wish("apex", parse_source("apex==25.9"), str(tmp_path), cuda_home="/usr/local/cuda-13.0")


def key(wish, node=NODE, identity="commit 1"):
    return build.key(build.inputs(wish, node, identity))


OTHER_WHEELS = {
    "source": lambda wish: key(wish, identity="commit 2"),
    "switch": lambda wish: key(replace(wish, switches={"APEX_CPP_EXT": "1"})),
    "option": lambda wish: key(replace(wish, options=["--cpp_ext"])),
    "scope": lambda wish: key(replace(wish, options=["--cpp_ext"], scope="global")),
    "substitution": lambda wish: key(replace(wish, substitutions=[{"file": "a", "text": "b", "by": "c"}])),
    "python": lambda wish: key(wish, replace(NODE, python="3.12.1")),
    "machine": lambda wish: key(wish, replace(NODE, machine="aarch64")),
    "torch": lambda wish: key(wish, replace(NODE, torch={**NODE.torch, "version": "2.13.1+cu130"})),
    "CUDA of torch": lambda wish: key(wish, replace(NODE, torch={**NODE.torch, "cuda": "12.6"})),
    "ABI": lambda wish: key(wish, replace(NODE, torch={**NODE.torch, "cxx11_abi": False})),
    "nvcc": lambda wish: key(wish, replace(NODE, nvcc="13.0.48")),
    "architecture": lambda wish: key(replace(wish, architectures=["8.0"])),
    "instructions": lambda wish: key(replace(wish, native=True)),
}

SAME_WHEELS = {
    "by what it is compiled": lambda wish: key(replace(wish, variables={"CXX": "g++-13"})),
    "how many at once": lambda wish: key(replace(wish, jobs=4, timeout=1)),
    "patch release of Python": lambda wish: key(wish, replace(NODE, python="3.11.9")),
    "processor where it does not matter": lambda wish: key(wish, replace(NODE, instructions=["avx"])),
    "memory": lambda wish: key(wish, replace(NODE, free=0, cores=1)),
}


@pytest.mark.parametrize("what", OTHER_WHEELS)
def test_every_input_makes_another_wheel(wish, what):
    assert OTHER_WHEELS[what](wish) != key(wish)


@pytest.mark.parametrize("what", SAME_WHEELS)
def test_what_does_not_change_the_wheel_does_not_change_its_key(wish, what):
    assert SAME_WHEELS[what](wish) == key(wish)


def test_order_of_architectures_does_not_matter(wish):
    assert key(replace(wish, architectures=["8.0", "9.0"])) == key(replace(wish, architectures=["9.0", "8.0"]))


def nothing(name):
    return None


def everything(name):
    return f"/usr/bin/{name}"


OBSTACLES = [
    ({}, {}, everything, []),
    ({}, {}, nothing, ["There is no C++ compiler (c++); install g++"]),
    ({"variables": {"CXX": "g++-13 -m64"}}, {}, nothing, ["There is no C++ compiler (g++-13 -m64)"]),
    ({}, {"headers": False}, everything, ["Python 3.11.2 in", "has no headers (Python.h)", "python3.11-dev"]),
    ({}, {"packages": {"pip": "22.3", "setuptools": "80"}}, everything, ["needs pip 23.1 or newer"]),
    ({}, {"packages": {"pip": "26"}}, everything, ["setuptools is not in"]),
    ({}, {"free": build.GIB}, everything, ["1.0 GiB of memory are free, and one compiler of apex takes 2"]),
    ({"jobs": 1}, {"free": build.GIB}, everything, []),
    ({}, {"room": build.GIB}, everything, ["1.0 GiB are free on the disk of"]),
    ({"isolated": True}, {"headers": False, "free": 0, "packages": {"pip": "26"}}, nothing, []),
    ({"nvcc_versions": ["13.0"]}, {}, everything, []),
    (
        {"nvcc_versions": ["12.5", "12.6"]},
        {},
        everything,
        ["built by nvcc 12.5 or 12.6 for this torch, and the toolkit /usr/local/cuda-13.0 is 13.0; install CUDA 12.6"],
    ),
    ({"nvcc_versions": ["13.0"]}, {"nvcc": ""}, everything, ["and no toolkit is known here"]),
    ({"nvcc": True}, {"nvcc": ""}, everything, ["The build of apex calls nvcc, and no toolkit is known here"]),
    ({"nvcc": True}, {}, everything, []),
]


@pytest.mark.parametrize(("wished", "node", "find", "sentences"), OBSTACLES)
def test_what_stands_in_the_way_is_told(wish, wished, node, find, sentences):
    found = " ".join(build.obstacles(replace(wish, **wished), replace(NODE, **node), find))
    assert bool(found) == bool(sentences)
    for sentence in sentences:
        assert sentence in found


def test_all_that_stands_in_the_way_is_told_at_once(wish):
    node = replace(NODE, headers=False, packages={}, free=0, room=0)
    assert len(build.obstacles(wish, node, nothing)) == 6


def test_build_is_made_in_the_environment_without_isolation_and_cache(wish):
    argv = build.command(replace(wish, options=["--a", "--b"]), None, Path("/out"))
    assert {"--no-build-isolation", "--no-cache-dir", "--no-deps", "--no-binary=apex", "apex==25.9"} < set(argv)
    assert "--config-settings=--build-option=--a" in argv
    scoped = build.command(replace(wish, options=["--a"], scope="global", isolated=True), Path("/src"), Path("/out"))
    assert "--config-settings=--global-option=--a" in scoped
    assert "--no-build-isolation" not in scoped
    assert scoped[-1] == "/src"


def test_build_finds_its_compilers_and_no_foreign_packages(wish):
    given = replace(wish, architectures=["8.0", "9.0"], switches={"A": "1"}, variables={"CXX": "g++-13"})
    found = build.build_environment(given, NODE, {"PATH": "/bin", "PYTHONPATH": "/home/x"}, Path("/s"))
    assert found["PATH"] == f"{wish.prefix}/bin:/usr/local/cuda-13.0/bin:/bin"
    assert found["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0"
    assert "PYTORCH_ROCM_ARCH" not in found
    assert "PYTHONPATH" not in found
    assert (found["MAX_JOBS"], found["A"], found["CXX"], found["PYTHONNOUSERSITE"]) == ("16", "1", "g++-13", "1")
    amd = build.build_environment(replace(wish, architectures=["gfx90a"], jobs=3), NODE, {}, Path("/s"))
    assert (amd["PYTORCH_ROCM_ARCH"], amd["MAX_JOBS"]) == ("gfx90a", "3")


def finished(folder, name="x-1.0-py3-none-any.whl", size=3):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"abc")
    (folder / "wheel.json").write_text(json.dumps({"filename": name, "size": size}))


def test_build_that_was_never_begun_is_absent(tmp_path):
    assert build.state(tmp_path / "none") == build.ABSENT


def test_wheel_is_finished_only_when_all_of_it_is_there(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    assert build.state(tmp_path) == build.CUT_OFF
    (tmp_path / "x-1.0-py3-none-any.whl").write_bytes(b"ab")
    assert build.state(tmp_path) == build.CUT_OFF
    finished(tmp_path, size=4)
    assert build.state(tmp_path) == build.CUT_OFF
    finished(tmp_path)
    assert build.state(tmp_path) == build.FINISHED


def test_lock_that_is_held_means_a_build_at_work(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert build.state(tmp_path) == build.RUNNING
    assert build.state(tmp_path) == build.CUT_OFF
    (tmp_path / "failure.json").write_text("{}")
    assert build.state(tmp_path) == build.FAILED


FAILURES = [
    (None, "was cut off, and left no wheel; run again"),
    ({"ended": None}, "was not done within 7200 s and was stopped"),
    ({"ended": 0, "wheels": 2}, "made 2 wheels in place of one"),
    ({"ended": 1, "wheels": 0}, "failed: because. Its log is"),
]


@pytest.mark.parametrize(("ended", "sentence"), FAILURES)
def test_end_without_a_wheel_is_a_sentence(tmp_path, wish, ended, sentence):
    if ended is not None:
        (tmp_path / "failure.json").write_text(json.dumps(ended))
    assert sentence in build.failure(tmp_path, wish, lambda log: "because.")


def test_progress_is_what_ninja_printed_last(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    (tmp_path / "log.txt").write_text("[1/9] c++ a\n  [2/9] c++ b\n[3/9] nvcc c\n")
    assert build.progress(tmp_path)["steps"] == "3 of 9 files"
    (tmp_path / "log.txt").write_text("[1/2] c++ a\n[2/2] c++ b\n[1/9] nvcc c\n[2/9] nvcc d\n")
    assert build.progress(tmp_path)["steps"] == "4 files in 2 extensions, of the last 2 of 9"
    assert build.progress(tmp_path / "none") == {"seconds": 0, "steps": ""}


PIP = """#!{python}
import pathlib, sys, time
out = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--wheel-dir="))
pathlib.Path(out).mkdir()
print("[1/1] said")
{does}
"""


def begun(wish, does):
    """A build that has begun, by a pip that does so."""
    python = Path(wish.prefix, "bin", "python")
    python.write_text(PIP.format(python=sys.executable, does=does))
    python.chmod(0o755)
    return again(wish)


def again(wish):
    found = build.inputs(wish, NODE, "apex==25.9")
    return build.begin(wish, NODE, found, {"PATH": "/usr/bin:/bin"}, lambda folder: folder)


def ended(folder):
    for _attempt in range(200):
        if build.state(folder) != build.RUNNING:
            return build.state(folder)
        time.sleep(0.05)
    raise AssertionError("it does not end")


MAKES = "(pathlib.Path(out) / 'apex-0.1-py3-none-any.whl').write_bytes(b'wheel')"


def test_build_goes_on_by_itself_and_leaves_a_described_wheel(wish):
    folder = begun(wish, MAKES)
    assert ended(folder) == build.FINISHED
    found = build.manifest(folder)
    assert (found["name"], found["version"], found["size"]) == ("apex", "0.1", 5)
    assert found["needs"]["torch"] == "2.13.0+cu130"
    assert not (folder / "scratch").exists()
    assert "said" in (folder / "log.txt").read_text()
    assert (folder / "job.json").stat().st_mode & 0o077 == 0


def test_second_wish_for_a_build_at_work_begins_nothing(wish):
    folder = begun(wish, f"time.sleep(1); {MAKES}")
    written = (folder / "job.json").stat().st_mtime_ns
    assert again(wish) == folder
    assert (folder / "job.json").stat().st_mtime_ns == written
    assert ended(folder) == build.FINISHED


def test_build_that_takes_too_long_is_stopped_with_all_its_children(wish):
    folder = begun(replace(wish, timeout=0.5), "import subprocess; subprocess.run(['sleep', '61.25'])")
    assert ended(folder) == build.FAILED
    assert json.loads((folder / "failure.json").read_text())["ended"] is None
    assert subprocess.run(["pgrep", "-f", "sleep 61.25"], check=False, capture_output=True).returncode == 1


def test_build_that_fails_keeps_its_log_and_can_be_begun_again(wish):
    folder = begun(wish, "sys.exit('no luck')")
    assert ended(folder) == build.FAILED
    assert "no luck" in (folder / "log.txt").read_text()
    assert ended(begun(wish, MAKES)) == build.FINISHED
    assert not (folder / "failure.json").exists()


def test_source_that_cannot_be_had_leaves_nothing(wish):
    def refuse(folder):
        raise build.BuildError("no source")

    found = build.inputs(replace(wish, source=parse_source("/srv/apex")), NODE, "files 1")
    with pytest.raises(build.BuildError):
        build.begin(replace(wish, source=parse_source("/srv/apex")), NODE, found, {}, refuse)
    assert not build.folder_of(wish, build.key(found)).exists()


def test_older_builds_of_the_same_name_are_forgotten(wish):
    for name in ("old", "new"):
        finished(build.folder_of(wish, name))
    build.forget_others(wish, "new")
    assert [path.name for path in build.folder_of(wish, "new").parent.iterdir()] == ["new"]


def test_worker_stands_alone():
    """Its source is sent to a node by itself, so it imports from Python's standard library alone."""
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"))
    froms = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in froms | names} <= sys.stdlib_module_names


NVCC = [
    (Finished(0, "Cuda compilation tools, release 13.0, V13.0.88\n"), "13.0.88"),
    (Finished(1, "", "broken"), None),
]


@pytest.mark.parametrize(("finished_nvcc", "version"), NVCC)
def test_version_of_nvcc_is_read_or_missed(wish, finished_nvcc, version):
    def run(argv, stdin, environment, timeout):
        return finished_nvcc

    if version:
        assert build._nvcc(run, wish.cuda_home, {}) == version
    else:
        with pytest.raises(build.BuildError, match="does not say its version \\(broken\\)"):
            build._nvcc(run, wish.cuda_home, {})


def test_toolkit_that_is_not_there_is_a_sentence(wish):
    def run(argv, stdin, environment, timeout):
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(build.BuildError, match=r"There is no CUDA toolkit at /usr/local/cuda-13.0"):
        build._nvcc(run, wish.cuda_home, {})
    assert build._nvcc(run, "", {}) == ""
