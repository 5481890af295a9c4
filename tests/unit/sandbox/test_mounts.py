from __future__ import annotations

from pathlib import Path

from sandbox.nodes import above


def test_the_folders_above_mounts_are_opened_and_no_mount_is() -> None:
    mounts = [Path("/root/clone/build/conda"), Path("/root/clone/build/conda/channel"), Path("/etc/pip.conf")]
    assert list(map(str, above(mounts))) == ["/", "/etc", "/root", "/root/clone", "/root/clone/build"]
