"""Files that are handed to a node leave nothing there, not even where the run is killed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible import transfer


class Node:
    """An action whose node is a folder of this machine: `/tmp` means that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection = self

    def _low_level_execute_command(self, command: str, sudoable: bool) -> dict[str, Any]:
        assert not sudoable
        here = command.replace("/tmp/", f"{self.folder}/")
        done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.replace(f"{self.folder}/", "/tmp/"), "stderr": done.stderr}

    def put_file(self, source: str, target: str) -> None:
        Path(target.replace("/tmp/", f"{self.folder}/")).write_bytes(Path(source).read_bytes())

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "node").mkdir()
    return Node(tmp_path / "node")


def test_a_copy_is_there_for_as_long_as_it_is_needed(node: Node, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_text("content", encoding="utf-8")
    with transfer.handed_over(node, tmp_path / "wheel", "a.whl") as path:
        assert (node.folder / path.removeprefix("/tmp/")).read_text(encoding="utf-8") == "content"
        transfer.sweep(node)
        assert len(node.names) == 1, "the run that made it goes on"
    assert node.names == []


def test_what_a_killed_run_left_goes_and_what_others_have_stays(node: Node) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    ours, token = Path(transfer._ours()).name, "0123456789abcdef" * 2
    others = [f".fromzero-00000000-{ended.pid}-{token}", f"{ours}-{os.getpid()}-{token}", f"{ours}-x", "notes"]
    for name in (f"{ours}-{ended.pid}-{token}", *others):
        (node.folder / name).mkdir()
        (node.folder / name / "a.whl").write_text("half", encoding="utf-8")
    transfer.sweep(node)
    assert node.names == sorted(others)
    transfer.sweep(node)
    assert node.names == sorted(others)
