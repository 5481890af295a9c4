# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import SourceError
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._wheels.store import (
    WheelError,
    keep,
    kept,
    pack,
    progress_line,
    source_file,
)

MANIFEST = {
    "name": "x",
    "key": "k1",
    "filename": "x-1.0-py3-none-any.whl",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "built_on": "node1",
}


@pytest.fixture
def arrived(tmp_path):
    file = tmp_path / "arrived"
    file.write_bytes(b"abc")
    return file


def test_wheel_that_is_kept_is_found_with_all_that_is_known_of_it(tmp_path, arrived):
    artifacts = tmp_path / "wheels"
    assert kept(artifacts, "x", "k1") == {}
    found = keep(artifacts, MANIFEST, arrived)
    assert found == kept(artifacts, "x", "k1") == {**MANIFEST, "path": str(artifacts / "x-k1" / MANIFEST["filename"])}
    assert kept(artifacts, "x", "k2") == {}


def test_wheel_that_changed_on_its_way_is_not_kept(tmp_path, arrived):
    arrived.write_bytes(b"abd")
    with pytest.raises(WheelError, match=r"arrived from node1 with the sha256 sum .* it was not kept"):
        keep(tmp_path / "wheels", MANIFEST, arrived)
    assert not (tmp_path / "wheels").exists()


@pytest.mark.parametrize("harm", ["changed", "gone", "unreadable", "half"])
def test_wheel_that_was_harmed_where_it_is_kept_counts_as_none(tmp_path, arrived, harm):
    found = keep(tmp_path, MANIFEST, arrived)
    file, record = Path(found["path"]), Path(found["path"]).with_name("wheel.json")
    {
        "changed": lambda: file.write_bytes(b"x"),
        "gone": file.unlink,
        "unreadable": lambda: record.write_text("{"),
        "half": lambda: record.write_text(json.dumps({"name": "x"})),
    }[harm]()
    assert kept(tmp_path, "x", "k1") == {}


def test_folder_that_cannot_be_written_is_a_sentence(tmp_path, arrived):
    (tmp_path / "file").touch()
    with pytest.raises(WheelError, match=r"cannot be written .* set cluster_artifacts"):
        keep(tmp_path / "file", MANIFEST, arrived)


def test_archive_of_a_folder_is_the_same_whenever_its_files_are(tmp_path):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "setup.py").write_text("x")
    (folder / "src" / "y.cpp").write_text("y")
    first = pack(folder)
    (folder / "setup.py").touch()
    (folder / "build").mkdir()
    (folder / "build" / "y.o").write_text("left by a build")
    second = pack(folder)
    try:
        assert first.read_bytes() == second.read_bytes()
        with tarfile.open(first) as tar:
            assert tar.getnames() == ["source/setup.py", "source/src/y.cpp"]
    finally:
        first.unlink()
        second.unlink()


def test_source_on_the_control_node_is_told_from_those_elsewhere(tmp_path):
    assert source_file("deepspeed==0.19.8") is None
    assert source_file("git+https://host/x@v1") is None
    assert source_file("https://host/x.tar.gz") is None
    assert source_file(str(tmp_path)) == tmp_path
    with pytest.raises(SourceError, match="on the control node; correct the path"):
        source_file(str(tmp_path / "none"))


def test_whoever_waits_is_told_how_far_it_is():
    assert progress_line("apex", "node1", {"seconds": 250, "steps": "12 of 37 files"}) == (
        "apex is being built on node1: 4 min 10 s, compiled 12 of 37 files"
    )
    assert progress_line("apex", "node1", {"seconds": 9, "steps": ""}) == "apex is being built on node1: 9 s"
