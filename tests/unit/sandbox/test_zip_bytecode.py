"""Nodes keep the bytecode of what is in a zip file, and run the same code with it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

IMAGE = Path(__file__).parents[3] / "sandbox" / "image"
LOADED = """
import os, sys
sys.path[:0] = [{image!r}]
os.getuid = lambda: {uid!r}
import zip_bytecode
zip_bytecode.FOLDER = {folder!r}
import zipimport
zipimport._compile_source = zip_bytecode.compile_once
sys.path[:0] = [{archive!r}]
import sent
print(sent.VALUE, sent.__file__)
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "kept").mkdir()

    def run(source, name="a.zip"):
        archive = tmp_path / name
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("sent.py", source)
        given = {"image": str(IMAGE), "uid": os.getuid(), "folder": str(tmp_path / "kept"), "archive": str(archive)}
        command = [sys.executable, "-B", "-c", LOADED.format(**given)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()

    return run


def test_second_zip_with_the_same_source_is_not_compiled_again(load, tmp_path):
    assert load("VALUE = 1\n") == ["1", f"{tmp_path}/a.zip/sent.py"]
    [kept] = (tmp_path / "kept").iterdir()
    first = kept.stat().st_mtime_ns
    assert load("VALUE = 1\n", "b.zip") == ["1", f"{tmp_path}/b.zip/sent.py"]
    assert [path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()] == [first]


def test_another_source_is_compiled(load):
    assert load("VALUE = 1\n")[0] == "1"
    assert load("VALUE = 2\n")[0] == "2"


@pytest.mark.parametrize("content", [b"", b"\xe3\x00", b"no bytecode"])
def test_file_that_was_cut_off_is_no_hindrance(load, tmp_path, content):
    load("VALUE = 1\n")
    [kept] = (tmp_path / "kept").iterdir()
    kept.write_bytes(content)
    assert load("VALUE = 1\n")[0] == "1"


def test_account_without_a_folder_goes_without(load, tmp_path):
    (tmp_path / "kept").rmdir()
    assert load("VALUE = 1\n")[0] == "1"
