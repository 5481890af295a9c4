# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file from an address is used only whole, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files import verified as verified_file
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, verified

URL = "https://mirror.example/tool.run"
CONTENT = b"#!/bin/sh\n"
SUM = hashlib.sha256(CONTENT).hexdigest()
WORDS = Words("tool", "tool_checksum", "name a mirror (tool_mirror)", RuntimeError, "tool.run")


class Source(io.BytesIO):
    """An answer with the length that a server announces."""

    length = len(CONTENT)


def test_a_download_is_there_while_it_is_used(tmp_path: Path) -> None:
    with verified(URL, SUM, lambda address: Source(CONTENT), WORDS, folder=tmp_path) as path:
        assert (path.name, path.read_bytes(), path.parent.parent) == ("tool.run", CONTENT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stumbles_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_file.time, "sleep", lambda seconds: None)
    answers: list[Exception | IO[bytes]] = [
        HTTPError(URL, 503, "Busy", None, None),  # type: ignore[arg-type]
        ConnectionResetError("reset by peer"),
        Source(CONTENT),
    ]

    def fetch(address: str) -> IO[bytes]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with verified(URL, SUM, fetch, WORDS, folder=tmp_path) as path:
        assert path.read_bytes() == CONTENT


def test_what_does_not_fit_is_not_downloaded(tmp_path: Path) -> None:
    source = Source(CONTENT)
    source.length = 1 << 60
    with (
        pytest.raises(RuntimeError, match=r"has \d+ MiB, and .* has \d+ MiB left; make room"),
        verified(URL, SUM, lambda address: source, WORDS, folder=tmp_path),
    ):
        pass
    assert source.closed
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_sum_is_told_with_what_the_file_looks_like(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError) as caught,
        verified(
            URL, "a" * 64, lambda address: Source(CONTENT), WORDS, folder=tmp_path, suspicion=lambda path: "A page."
        ),
    ):
        pass
    assert f"expected {'a' * 64}, found {SUM}. It was not used. A page. Get the file again" in str(caught.value)


@pytest.mark.parametrize("text", [SUM, f"sha256:{SUM}", f"  {SUM.upper()}\n"])
def test_a_sum_may_have_its_prefix(text: str) -> None:
    assert verified_file.digits_of(text) == SUM


@pytest.mark.parametrize("text", ["", "sha256:", SUM[:-1], f"md5:{SUM}", "g" * 64, "https://x.invalid/sums"])
def test_what_is_no_sum_has_no_digits(text: str) -> None:
    assert verified_file.digits_of(text) == ""
