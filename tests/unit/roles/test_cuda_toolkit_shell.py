# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What shells do with the files that the role cuda_toolkit writes for them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest

TEMPLATES = Path(__file__).parents[3] / "roles" / "cuda_toolkit" / "templates"
SHELLS = [shell for shell in ("dash", "bash", "zsh") if shutil.which(shell)]
COMPILER = {"CXX": "/usr/bin/g++-11", "NVCC_CCBIN": "/usr/bin/g++-11"}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A conda environment with the libraries that a pip torch brings, and a toolkit beside it."""
    packages = tmp_path / "envs" / "train" / "lib" / "python3.11" / "site-packages"
    for folder in ("torch/lib", "nvidia/cublas/lib", "nvidia/cu13/lib"):
        (packages / folder).mkdir(parents=True)
    (tmp_path / "cuda-13.0" / "lib64").mkdir(parents=True)
    return tmp_path / "envs" / "train"


def render(name: str, environment: Path, variables: Mapping[str, str]) -> str:
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    engine.filters["quote"] = shlex.quote
    engine.filters["combine"] = lambda first, second: {**first, **second}
    its: dict[str, Any] = {"home": str(environment.parents[1] / "cuda-13.0"), "variables": variables}
    return engine.get_template(name).render(
        item={"environment": str(environment), **its}, __cuda_toolkit={"default": its}
    )


def after(shell: str, script: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables that a shell exports after a script, less its own."""
    done = subprocess.run(
        [str(shutil.which(shell)), *(["-f"] if shell == "zsh" else []), "-uc", f"{script}\n/usr/bin/env -0"],
        env=dict(given),
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stderr == ""
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    own = ("_", "PWD", "OLDPWD", "SHLVL", "LOGNAME", "HOST")
    return {name: value for name, value in found.items() if name not in own}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("variables", [{}, COMPILER])
def test_activation_leads_to_the_toolkit_and_torch_keeps_its_libraries_first(
    shell: str, environment: Path, variables: dict[str, str]
) -> None:
    home = environment.parents[1] / "cuda-13.0"
    given = {
        "PATH": "/usr/bin:/bin",
        "CUDA_HOME": "/usr/local/cuda-11.4",
        "LD_LIBRARY_PATH": "/usr/local/cuda-11.4/lib64::/opt/efa/lib:/usr/local/cuda/lib",
    }
    found = after(shell, render("activate.sh.j2", environment, variables), given)
    packages = environment / "lib" / "python3.11" / "site-packages"
    assert found["LD_LIBRARY_PATH"].split(":") == [
        *(str(packages / folder) for folder in ("torch/lib", "nvidia/cu13/lib", "nvidia/cublas/lib")),
        str(home / "lib64"),
        "/opt/efa/lib",
    ]
    expected = {"CUDA_HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin", **variables}
    assert {name: found[name] for name in expected} == expected


# What is set before activation.
BEFORE: list[dict[str, str]] = [
    {"PATH": "/usr/bin:/bin"},
    {"PATH": "/usr/bin:/bin", "CUDA_HOME": "/usr/local/cuda-11.4", "LD_LIBRARY_PATH": "/usr/local/cuda-11.4/lib64"},
    {"PATH": "/a b/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": "", "CXX": "c++"},
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("given", BEFORE)
def test_deactivation_restores_what_was_there(shell: str, environment: Path, given: dict[str, str]) -> None:
    hooks = [render(f"{name}.sh.j2", environment, COMPILER) for name in ("activate", "deactivate")]
    assert after(shell, "\n".join(hooks * 2), given) == given


@pytest.mark.parametrize("shell", SHELLS)
def test_deactivation_leaves_what_others_have_put_on_the_path(shell: str, environment: Path) -> None:
    """conda takes its own folders away after the hooks have run."""
    added = "export PATH=/env/bin:$PATH:/later/bin"
    hooks = [render(f"{name}.sh.j2", environment, {}) for name in ("activate", "deactivate")]
    found = after(shell, f"{hooks[0]}\n{added}\n{hooks[1]}", {"PATH": "/usr/bin:/bin"})
    assert found["PATH"] == "/env/bin:/usr/bin:/bin:/later/bin"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_login_shell_finds_the_toolkit_once_and_no_library_path(shell: str, environment: Path) -> None:
    home = environment.parents[1] / "cuda-13.0"
    profile = render("profile.sh.j2", environment, COMPILER)
    found = after(shell, profile * 2, {"PATH": "/usr/bin:/bin"})
    assert found == {"PATH": f"{home}/bin:/usr/bin:/bin", "CUDA_HOME": str(home), **COMPILER}


@pytest.mark.parametrize("name", ["activate.sh.j2", "deactivate.sh.j2", "profile.sh.j2"])
def test_files_for_shells_have_neither_a_bare_lib_nor_an_empty_element(name: str, environment: Path) -> None:
    text = render(name, environment, COMPILER)
    assert 'CUDA_HOME/lib"' not in text
    assert "::" not in text
