# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fromzero.deepspeed.plugins.modules import source_build

CONFIGURE = """\
#!/bin/sh
printf 'all:\\ninstall:\\n\\tmkdir -p %s/bin\\n\\techo "%s" > %s/bin/tool\\n' "${1#*=}" "$*" "${1#*=}" > Makefile
"""


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    """A tarball whose make installs one file that holds the flags, and where it goes."""
    archive = tmp_path / "tool.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("tool-1.0/configure")
        entry.size, entry.mode = len(CONFIGURE.encode()), 0o755
        tar.addfile(entry, io.BytesIO(CONFIGURE.encode()))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    prefix = str(tmp_path / "prefix")
    return {"name": "tool", "source": str(archive), "checksum": digest, "prefix": prefix, "needs": ["make"]}


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    with patch_module_args({**arguments, **more}), pytest.raises(SystemExit):
        source_build.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_it_is_built_once_for_each_set_of_flags(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> None:
    installed = Path(arguments["prefix"]) / "bin" / "tool"
    assert run(capsys, arguments, configure=["--one"])["changed"] is True
    assert installed.read_text().split()[-1] == "--one"
    assert run(capsys, arguments, configure=["--one"])["changed"] is False
    assert run(capsys, arguments, configure=["--two"])["changed"] is True
    assert installed.read_text().split()[-1] == "--two"


def test_check_mode_tells_the_change_and_touches_nothing(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]
) -> None:
    result = run(capsys, arguments, _ansible_check_mode=True, source="https://nowhere.invalid/tool.tar.gz")
    assert result["changed"] is True
    assert (result["diff"]["before"], arguments["checksum"] in result["diff"]["after"]) == ("", True)
    assert not Path(arguments["prefix"]).exists()


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> None:
    result = run(capsys, arguments, source="/no/such/tool.tar.gz")
    assert (
        "The tarball /no/such/tool.tar.gz is not there; give a URL or a file that this node reaches." in result["msg"]
    )


def test_another_tarball_than_the_one_meant_is_not_built(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]
) -> None:
    result = run(capsys, arguments, checksum="a" * 64)
    assert f"expected {'a' * 64}, found {arguments['checksum']}. It was not used." in result["msg"]
    assert not Path(arguments["prefix"]).exists()


def test_what_is_no_sum_is_refused(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> None:
    assert "is no SHA-256 sum" in run(capsys, arguments, checksum="md5:abc")["msg"]


def test_a_missing_compiler_is_named(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> None:
    result = run(capsys, arguments, needs=["no-such-cc"])
    assert "needs no-such-cc, which this node does not have" in result["msg"]
