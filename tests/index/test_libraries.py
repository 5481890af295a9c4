# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sets of data/libraries.yml with their pins against pip's index: each still resolves for the stacks that it fits.

Nothing is installed. uv reads the metadata of wheels and leaves the rest where it is; torch and DeepSpeed are taken for
installed in the versions of the stack.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pip._internal.models.index import PyPI

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import of_pip
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import parse
from ansible_collections.fromzero.deepspeed.plugins.modules.python_packages import DOCUMENTATION
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import (
    choose,
    fits,
    pins_of,
    stacks_for,
    versions_in,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

SETS = {row["set"]: row for row in rows("libraries")["sets"]}
STACKS = {row["stack"]: row for row in rows("stacks")["stacks"]}
# Stacks that differ in the build of torch alone are one here.
PAIRS = [
    (name, stack)
    for name, wanted in SETS.items()
    for stack in {(STACKS[stack]["torch"], STACKS[stack]["python"]): stack for stack in stacks_for(wanted)}.values()
]
# What most people who fine-tune would name together.
TOGETHER = [("nlp", "deepspeed_chat"), ("deepspeed_chat", "lora"), ("nlp", "fastchat")]
TWO_TIMES = ["torch-2.0-cu117", "torch-2.13-cu130"]
KEPT_SECONDS = 3600
Resolved = Callable[[tuple[str, ...], str], dict[str, set[str]]]


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uv that nodes get, in an environment of its own."""
    version = next(line for line in DOCUMENTATION.splitlines() if "default: 0.1" in line).split(": ")[1]
    folder = tmp_path_factory.mktemp("uv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", f"uv=={version}"], check=True)
    return folder / "bin" / "uv"


@cache
def _places(folder: Path) -> list[str]:
    """pip's configuration of this machine, as options of uv.

    An index is asked once for each project, not once for each of a hundred resolutions: many tell uv to keep nothing.
    """
    sources = of_pip(sys.prefix, os.environ)
    indexes = [(url, "false") for url in sources.extra_index_urls] + [(sources.index_url or PyPI.simple_url, "true")]
    kept = f'{{ api = "max-age={KEPT_SECONDS}", files = "max-age={KEPT_SECONDS}" }}'
    lines = [f'[[index]]\nurl = "{url}"\ndefault = {last}\ncache-control = {kept}\n' for url, last in indexes]
    configuration = folder / "uv.toml"
    configuration.write_text("".join(lines))
    others = replace(sources, index_url="", extra_index_urls=()).options("--default-index", "--index")
    return [f"--config-file={configuration}", *others]


def _compiled(uv: Path, folder: Path, sets: tuple[str, ...], stack: dict[str, Any]) -> str:
    """What uv says the versions are that come of sets on a stack; else why there are none."""
    found = {
        "exists": True,
        "prefix": "/env",
        "python": f"{stack['python']}.0",
        "packages": {"torch": f"{stack['torch']}+{stack['build']}", "deepspeed": stack["deepspeed"]},
        "errors": [],
    }
    choice = choose(found, sets, [])
    pins, wanted = folder / "pins.txt", folder / "wanted.in"
    pins.write_text(choice["pins"])
    lines = [*choice["packages"], f"torch=={stack['torch']}", f"deepspeed=={stack['deepspeed']}"]
    wanted.write_text("\n".join(lines))
    command = [
        uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--index-strategy=unsafe-best-match",
        f"--python-version={stack['python']}", "--python-platform=x86_64-manylinux_2_28",
        f"--constraints={pins}", *_places(uv.parent), str(wanted),
    ]  # fmt: skip
    # What is built to read its metadata is built by the Python that is there; none is downloaded for it.
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return finished.stdout if finished.returncode == 0 else finished.stderr


@pytest.fixture(scope="session")
def resolved(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    """The versions that come of sets on a stack; several at once, since the time goes by in the network."""
    wishes = [((name,), stack) for name, stack in PAIRS]
    wishes += [(sets, stack) for sets in TOGETHER for stack in TWO_TIMES]
    wishes += [(("flash_attn",), stack) for stack in STACKS]
    with ThreadPoolExecutor(6) as pool:
        texts = {
            (sets, stack): pool.submit(_compiled, uv, tmp_path_factory.mktemp("compile"), sets, STACKS[stack])
            for sets, stack in dict.fromkeys(wishes)
        }

    def of(sets: tuple[str, ...], stack: str) -> dict[str, set[str]]:
        text = texts[sets, stack].result()
        found = versions_in(text)
        assert "torch" in found, text
        return found

    return of


def _public(versions: set[str]) -> set[str]:
    return {version.split("+", maxsplit=1)[0] for version in versions}


@pytest.mark.parametrize(("name", "stack"), PAIRS)
def test_a_set_resolves_for_a_stack_that_it_fits_and_leaves_torch_alone(
    resolved: Resolved, name: str, stack: str
) -> None:
    found = resolved((name,), stack)
    assert _public(found["torch"]) == {STACKS[stack]["torch"]}
    assert found["deepspeed"] == {STACKS[stack]["deepspeed"]}


@pytest.mark.parametrize("stack", TWO_TIMES)
@pytest.mark.parametrize("sets", TOGETHER, ids="-".join)
def test_sets_of_one_time_resolve_together(resolved: Resolved, sets: tuple[str, ...], stack: str) -> None:
    assert _public(resolved(sets, stack)["torch"]) == {STACKS[stack]["torch"]}


@pytest.mark.parametrize(("name", "stack"), PAIRS)
def test_all_that_a_set_brings_is_pinned(resolved: Resolved, name: str, stack: str) -> None:
    """But for what torch and DeepSpeed bring, for setuptools, which they bound, and for what is exact in the set."""
    wanted = STACKS[stack]
    row = next(row for row in SETS[name]["rows"] if fits(row, wanted["torch"], wanted["python"]))
    pins = set(versions_in(pins_of(row["constraints"]))) if row["constraints"] else set()
    exact = {parse(text).name for text in row["packages"] if parse(text).version}
    assert set(resolved((name,), stack)) - set(resolved(("flash_attn",), stack)) - pins - exact <= {"setuptools"}
