"""Worlds are given to nodes by name or in order, and a node finds there all that it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.gpus import node
from sandbox.gpus.node import WORLDS, assign
from sandbox.gpus.programs import PROGRAMS
from sandbox.shell import SandboxError

NODES = ["node1", "node2"]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], {}),
        (["none", "nouveau"], {"node1": "none", "node2": "nouveau"}),
        (["node2=nouveau"], {"node2": "nouveau"}),
        ([str(WORLDS / "none.yml")], {"node1": "none"}),
    ],
)
def test_nodes_have_the_worlds_that_were_named(words: list[str], chosen: dict[str, str]) -> None:
    assert assign(words, NODES) == {name: WORLDS / f"{world}.yml" for name, world in chosen.items()}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nouveaux"], "There is no world 'nouveaux'. 'nouveau' may be meant."),
        (["node7=none"], "World 'none' is for node 'node7', which the cluster has not: node1, node2."),
        (["none"] * 3, "There are more worlds than nodes: nothing is left for 'none'."),
    ],
)
def test_a_world_that_no_node_can_have_is_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(SandboxError, match=re.escape(sentence)):
        assign(words, NODES)


def test_a_file_that_is_no_world_is_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.yml"
    file.write_text("gpu: {}\n", encoding="utf-8")
    with pytest.raises(SandboxError, match=re.escape(f"{file}: The world has no key 'gpu'. 'gpus' may be meant.")):
        node.furnish(tmp_path / "host", file)


def test_a_world_with_other_content_is_another(tmp_path: Path) -> None:
    file = tmp_path / "one.yml"
    digests = set()
    for text in ("secure_boot: true\n", "secure_boot: false\n"):
        file.write_text(text, encoding="utf-8")
        digests.add(node.digest(file))
    assert len(digests) == 2


def test_a_node_gets_programs_that_need_nothing_else(tmp_path: Path) -> None:
    node.furnish(tmp_path, WORLDS / "mismatch.yml")
    assert json.loads((tmp_path / "world.json").read_text(encoding="utf-8"))["driver"]["loaded"] == "550.54.14"
    assert {path.name.partition("_")[0] for path in (tmp_path / "packages").iterdir()} >= {"nvidia-driver-550", "dkms"}
    for name in PROGRAMS:
        assert (tmp_path / name).stat().st_mode & 0o111
    # Neither PyYAML nor the rest of the sandbox is in a node.
    find = f"import sys; sys.path[:0] = ['{tmp_path}/python']; from sandbox.gpus import programs"
    subprocess.run([sys.executable, "-I", "-S", "-c", find], check=True)
