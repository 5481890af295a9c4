"""What Ansible packs is taken from an earlier run, as long as nothing that is packed has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sandbox.callbacks.keep_modules import state_of

CALLBACKS = Path(__file__).parents[3] / "sandbox" / "callbacks"
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.stat: {path: /}
"""


def test_the_packed_modules_are_those_of_the_folder_for_all_runs(tmp_path: Path) -> None:
    """A copy of the callback, so that its root is a folder of the test."""
    (tmp_path / "sandbox" / "callbacks").mkdir(parents=True)
    (tmp_path / "plugins").mkdir()
    copy = tmp_path / "sandbox" / "callbacks" / "keep_modules.py"
    copy.write_text((CALLBACKS / "keep_modules.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(copy.parent),
        "ANSIBLE_CALLBACKS_ENABLED": "keep_modules",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    packed = []
    for _run in range(2):
        subprocess.run([program, "play.yml"], cwd=tmp_path, env=environment, check=True, capture_output=True)
        packed.append(
            {path: path.stat().st_mtime_ns for path in (tmp_path / "build" / "modules").glob("*/*stat-*none")}
        )
    assert packed[0] == packed[1]
    assert len(packed[0]) == 1


def test_a_change_of_a_plugin_has_a_folder_of_its_own(tmp_path: Path) -> None:
    plugin = tmp_path / "modules" / "x.py"
    plugin.parent.mkdir()
    plugin.write_text("a = 1\n", encoding="utf-8")
    before = state_of(tmp_path)
    assert state_of(tmp_path) == before
    plugin.write_text("a = 11\n", encoding="utf-8")
    assert state_of(tmp_path) != before
