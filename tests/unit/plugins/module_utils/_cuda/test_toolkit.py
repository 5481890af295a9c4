# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a node's toolkits, compilers and profiles are taken for."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.compilers import (
    Compiler,
    choose,
    find,
    variables,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.profiles import others, search
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.search import default_link, names
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.search import find as find_toolkit
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished


def start(argv: Sequence[str], timeout: float) -> Finished:
    done = subprocess.run(argv, text=True, capture_output=True, timeout=timeout, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def program(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def gcc(folder: Path, name: str, version: str) -> None:
    for part in ("gcc", "g++"):
        program(folder / name.replace("gcc", part), version)


def toolkit(prefix: Path, minor: str) -> None:
    program(prefix / "bin" / "nvcc", f"Cuda compilation tools, release {minor}, V{minor}.93")


# ---- compilers


def test_compilers_are_found_on_the_path_in_toolsets_and_in_environments(tmp_path: Path) -> None:
    gcc(tmp_path / "usr/bin", "gcc-12", "12.2.0")
    gcc(tmp_path / "usr/bin", "gcc-11", "11.3.0")
    for name in ("gcc", "g++"):
        (tmp_path / "usr/bin" / name).symlink_to(f"{name}-12")
    (tmp_path / "bin").symlink_to("usr/bin")
    # Without its g++ it is no compiler for nvcc, and these are other programs.
    program(tmp_path / "usr/bin/gcc-10", "10.2.0")
    program(tmp_path / "usr/bin/gcc-ar-11", "11.3.0")
    gcc(tmp_path / "opt/rh/gcc-toolset-13/root/usr/bin", "gcc", "13.3.1")
    gcc(tmp_path / "env/bin", "x86_64-conda-linux-gnu-gcc", "14.3.0")
    found = find(["/nowhere", "/usr/bin", "/bin"], [tmp_path / "env"], start, tmp_path)
    assert [(each.version, each.default) for each in found] == [
        ("12.2.0", True),
        ("14.3.0", False),
        ("13.3.1", False),
        ("11.3.0", False),
    ]
    assert found[1].cxx == str(tmp_path / "env/bin/x86_64-conda-linux-gnu-g++")


def compiler(version: str, default: bool = False) -> Compiler:
    number = version.split(".", maxsplit=1)[0]
    return Compiler(f"/usr/bin/gcc-{number}", f"/usr/bin/g++-{number}", version, default)


# Versions of the compilers, the default first; the greatest that the toolkit accepts; the version that is chosen.
CHOICES: list[tuple[list[str], str, str | None]] = [
    (["12.2.0", "14.2.0", "11.3.0"], "13", "12.2.0"),
    (["12.2.0", "14.2.0", "11.3.0"], "12", "12.2.0"),
    (["12.2.0", "14.2.0", "11.3.0", "9.5.0"], "11", "11.3.0"),
    (["14.2.0"], "13", None),
    (["14.2.0"], "", "14.2.0"),
    ([], "13", None),
]


@pytest.mark.parametrize(("versions", "greatest", "chosen"), CHOICES)
def test_the_default_compiler_is_kept_where_it_is_old_enough(
    versions: list[str], greatest: str, chosen: str | None
) -> None:
    found = choose([compiler(version, at == 0) for at, version in enumerate(versions)], greatest)
    assert (found.version if found else None) == chosen


def test_only_a_compiler_that_is_not_the_default_needs_variables() -> None:
    assert variables(None) == variables(compiler("12.2.0", True)) == {}
    cxx = "/usr/bin/g++-11"
    assert variables(compiler("11.3.0")) == {"NVCC_CCBIN": cxx, "CUDAHOSTCXX": cxx, "CC": "/usr/bin/gcc-11", "CXX": cxx}


# ---- profiles

WISHED = {"/usr/local/cuda-13.0", "/usr/local/cuda"}
# A line, the toolkits in it that were not wished for.
LINES = [
    ("export PATH=/usr/local/cuda-11.4/bin${PATH:+:${PATH}}", ["/usr/local/cuda-11.4"]),
    ('export LD_LIBRARY_PATH="/usr/local/cuda-11.4/lib64:$LD_LIBRARY_PATH"', ["/usr/local/cuda-11.4"]),
    ("export CUDA_HOME=/usr/local/cuda-11.8/", ["/usr/local/cuda-11.8"]),
    ("CUDA_HOME=/opt/cuda", ["/opt/cuda"]),
    ("setenv CUDA_PATH /opt/nvidia/cuda_12.4", ["/opt/nvidia/cuda_12.4"]),
    ("PATH=/usr/local/cuda-12.1/bin:/usr/local/cuda-11.4/bin", ["/usr/local/cuda-12.1", "/usr/local/cuda-11.4"]),
    ("export PATH=/usr/local/cuda/bin:/usr/local/cuda-12.1/bin", ["/usr/local/cuda-12.1"]),
    ("export PATH=/usr/local/cuda/bin:$PATH", []),
    ("export CUDA_HOME=/usr/local/cuda-13.0", []),
    ("  # export CUDA_HOME=/usr/local/cuda-11.4", []),
    ("export PATH=/usr/bin:$PATH", []),
    ("alias old='ls /usr/local/cuda-11.4'", []),
    ("export CUDA_VISIBLE_DEVICES=0", []),
    ("export PATH=/home/ann/barracuda/bin:$PATH", []),
]


@pytest.mark.parametrize(("line", "toolkits"), LINES)
def test_lines_that_set_another_toolkit_are_found(line: str, toolkits: list[str]) -> None:
    found = list(others(f"# a profile\n{line}\n", "/etc/profile", WISHED))
    assert [each.toolkits for each in found] == ([tuple(toolkits)] if toolkits else [])
    assert [each.number for each in found] == [2] * len(found)


def test_profiles_of_the_system_and_of_accounts_are_searched_but_for_our_own(tmp_path: Path) -> None:
    line = "export CUDA_HOME=/usr/local/cuda-11.4\n"
    block = f"# BEGIN fromzero.deepspeed.cuda_toolkit\n{line}# END fromzero.deepspeed.cuda_toolkit\n"
    own = tmp_path / "etc/profile.d/fromzero-cuda.sh"
    for name in ("etc/profile.d/cuda.sh", "etc/environment", "home/ann/.bashrc", str(own), "etc/hosts"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block + line)
    found = search([tmp_path / "home/ann", tmp_path / "home/nobody"], WISHED, [str(own)], tmp_path)
    assert [(each.file, each.number) for each in found] == [
        (str(tmp_path / name), 4) for name in ("etc/environment", "etc/profile.d/cuda.sh", "home/ann/.bashrc")
    ]


# ---- where toolkits are


def test_a_toolkit_is_adopted_where_it_is_and_keeps_its_name(tmp_path: Path) -> None:
    folders = [tmp_path / "own", tmp_path / "local", tmp_path / "opt"]
    home, found = find_toolkit("12.8", folders, start)
    assert (home, found.prefix, found.state) == (tmp_path / "own/cuda-12.8", tmp_path / "own/cuda-12.8", "missing")
    toolkit(tmp_path / "opt/cuda-12.8", "12.8")
    home, found = find_toolkit("12.8", folders, start)
    assert (home, found.prefix, found.version) == (tmp_path / "own/cuda-12.8", tmp_path / "opt/cuda-12.8", "12.8")
    (tmp_path / "own").mkdir()
    home.symlink_to(found.prefix)
    assert find_toolkit("12.8", folders, start) == (home, found)


def test_a_folder_by_the_right_name_with_another_toolkit_is_not_adopted(tmp_path: Path) -> None:
    toolkit(tmp_path / "opt/cuda-12.8", "12.4")
    assert find_toolkit("12.8", [tmp_path / "own", tmp_path / "opt"], start)[1].state == "missing"


def test_the_default_link_is_told_from_one_among_alternatives(tmp_path: Path) -> None:
    link = tmp_path / "local/cuda"
    link.parent.mkdir()
    assert default_link(link).kind == "missing"
    link.symlink_to(tmp_path / "local/cuda-13.0")
    assert (default_link(link).kind, default_link(link).target) == ("link", str(tmp_path / "local/cuda-13.0"))
    link.unlink()
    link.symlink_to("/etc/alternatives/cuda")
    (tmp_path / "cuda").write_text(
        "manual\n/usr/local/cuda\n\n/usr/local/cuda-12.8\n128\n/usr/local/cuda-13.0\n130\n\n"
    )
    found = default_link(link, [str(tmp_path / "nowhere"), str(tmp_path)])
    assert (found.kind, found.choices) == ("alternatives", ("/usr/local/cuda-12.8", "/usr/local/cuda-13.0"))
    link.unlink()
    link.mkdir()
    assert default_link(link).kind == "folder"


def test_a_link_that_leads_to_the_toolkit_is_one_of_its_names(tmp_path: Path) -> None:
    home = tmp_path / "cuda-13.0"
    home.mkdir()
    link = tmp_path / "cuda"
    link.symlink_to(home)
    assert names([home], default_link(link), link) == {str(home), str(link)}
    assert names([tmp_path / "cuda-12.8"], default_link(link), link) == {str(tmp_path / "cuda-12.8")}
