# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of data/ against the metadata of wheels in pip's index; no more of a wheel is fetched.

Not part of the unit tests: it needs an index, pip's own or the one that pip is configured for (make test-index).
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from html import unescape
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen
from zipfile import ZipFile

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

TORCHES: dict[str, dict[str, Any]] = {row["torch"]: row for row in rows("torch")["releases"]}
_LINK = re.compile(r'<a [^>]*?href="([^"]+)"([^>]*)>([^<]+)</a>')
_WHEEL = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>.+)\.whl"
)
_OLD = {"manylinux1": "2.17", "manylinux2010": "2.17", "manylinux2014": "2.17", "manylinux_2_17": "2.17"}
_NEW = {"manylinux_2_28": "2.28"}
# From these on neither says which torch is meant; torchvision wants 2.14.0 or newer.
_FREE = {"torchaudio": (2, 11), "torchvision": (0, 29, 1)}


@dataclass(frozen=True)
class Wheel:
    """A wheel for Linux. python: 3.11, or any."""

    url: str
    version: str
    python: str
    platform: str

    @property
    def floors(self) -> dict[str, str]:
        """The glibc that it needs, by machine."""
        found = {}
        for tag in self.platform.split("."):
            match = re.fullmatch(r"(manylinux(?:_2_\d+|\d+))_(\w+)", tag)
            if match and match[1] in {**_OLD, **_NEW}:
                found[match[2]] = {**_OLD, **_NEW}[match[1]]
        return found


@cache
def index() -> str:
    """The index that pip is configured for, else its own default, which its help tells."""
    given = os.environ.get("PIP_INDEX_URL") or _pip("config", "get", "global.index-url").strip()
    told = re.search(r"--index-url <url> .*?\(default (\S+)\)", " ".join(_pip("install", "--help").split()))
    if not given and not told:
        raise ValueError("pip tells of no index; set PIP_INDEX_URL.")
    return given or str(told and told[1])


def _pip(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False).stdout


def _read(url: str) -> str:
    with urlopen(url, timeout=120) as answer:
        found: str = answer.read().decode()
    return found


@cache
def links(name: str) -> list[tuple[str, str]]:
    """The files of a package: address and name."""
    page = f"{index().rstrip('/')}/{name}/"
    return [
        (urljoin(page, unescape(url).split("#")[0]), unescape(file)) for url, _rest, file in _LINK.findall(_read(page))
    ]


@cache
def wheels(name: str) -> dict[str, list[Wheel]]:
    """The wheels of a package for Linux, by version."""
    found: dict[str, list[Wheel]] = {}
    for url, file in links(name):
        match = _WHEEL.fullmatch(file)
        if match and "linux" in match["platform"] and not match["abi"].endswith("t") and "+" not in match["version"]:
            python = re.sub(r"^cp(\d)(\d+)$", r"\1.\2", match["python"]) if match["abi"] != "none" else "any"
            found.setdefault(match["version"], []).append(Wheel(url, match["version"], python, match["platform"]))
    return found


def pythons(name: str, version: str) -> set[str]:
    """The pythons that a release has wheels for; torch's own stand for any."""
    return {wheel.python for wheel in wheels(name).get(version, [])}


@pytest.fixture(scope="session")
def metadata() -> Mapping[tuple[str, str], str]:
    """The metadata of one wheel of each release that a row names."""
    wanted = {(name, row[name]) for row in TORCHES.values() for name in ("torch", "torchvision", "torchaudio")}
    # Some wheels of aarch64 were made apart from the others, and ask for nothing.
    urls = {pair: max(wheels(pair[0])[pair[1]], key=lambda wheel: "x86_64" in wheel.platform).url for pair in wanted}
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(urls, pool.map(_metadata, urls.values()), strict=True))


class _Ranges(io.RawIOBase):
    """A file behind an address, of which only what is read is fetched."""

    def __init__(self, url: str) -> None:
        self.url, self.at = url, 0
        with urlopen(Request(url, method="HEAD"), timeout=120) as answer:
            self.size = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:
        end = min(self.at + len(buffer), self.size) - 1
        if end < self.at:
            return 0
        with urlopen(Request(self.url, headers={"Range": f"bytes={self.at}-{end}"}), timeout=120) as answer:
            assert answer.status == HTTPStatus.PARTIAL_CONTENT, "the index gives whole files only"
            found = answer.read()
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)


def _metadata(url: str) -> str:
    """Metadata, from beside the wheel, or from inside where the index holds none beside it."""
    try:
        return _read(f"{url}.metadata")
    except HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
    with ZipFile(io.BufferedReader(_Ranges(url), 2**20)) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return wheel.read(name).decode()


def required(text: str, package: str) -> str:
    """What metadata asks of a package: ==2.13.0; empty where it asks nothing."""
    match = re.search(rf"^Requires-Dist: {package}(?![\w.-])[ \t]*\(?([^;)\n]*)", text, re.MULTILINE)
    return match[1].strip() if match else ""


@pytest.mark.parametrize("torch", list(TORCHES))
def test_wheels_are_there_for_the_pythons_of_a_row_and_no_others(torch: str) -> None:
    row = TORCHES[torch]
    own = pythons("torch", torch)
    others = [pythons(name, row[name]) for name in ("torchvision", "torchaudio")]
    together = {python for python in own if all(python in other or "any" in other for other in others)}
    assert sorted(together, key=numbers) == row["python"]
    assert sorted(own - together, key=numbers) == row.get("python_torch_only", [])


@pytest.mark.parametrize("torch", list(TORCHES))
def test_wheels_run_on_the_machines_and_the_glibc_of_a_row(torch: str) -> None:
    floors: dict[str, str] = {}
    for wheel in wheels("torch")[torch]:
        floors.update(wheel.floors)
    assert floors == TORCHES[torch]["glibc"]


@pytest.mark.parametrize("torch", list(TORCHES))
def test_what_a_machine_lacks_is_in_the_row(torch: str) -> None:
    row = TORCHES[torch]
    for machine in row["glibc"]:
        without = [
            name
            for name in ("torchvision", "torchaudio")
            if not any(machine in wheel.platform for wheel in wheels(name)[row[name]])
        ]
        assert without == row.get(f"{machine}_without", [])


@pytest.mark.parametrize("torch", list(TORCHES))
def test_vision_and_audio_ask_for_this_torch(torch: str, metadata: Mapping[tuple[str, str], str]) -> None:
    for name, free in _FREE.items():
        version = TORCHES[torch][name]
        asked = required(metadata[name, version], "torch")
        if numbers(version) < free:
            assert asked.replace(" ", "") == f"=={torch}", name
        else:
            assert "==" not in asked, name


@pytest.mark.parametrize("torch", list(TORCHES))
def test_nccl_is_the_one_that_torch_brings(torch: str, metadata: Mapping[tuple[str, str], str]) -> None:
    text = metadata["torch", torch]
    asked = required(text, r"nvidia-nccl-cu\d+")
    # Up to 1.13 and in some wheels it is inside and not asked for.
    assert asked.replace(" ", "") in ("", f"=={TORCHES[torch]['nccl']}")
    assert asked or numbers(torch) < (2, 0)


@pytest.mark.parametrize("torch", list(TORCHES))
def test_requires_python_lets_the_pythons_of_a_row_in(torch: str, metadata: Mapping[tuple[str, str], str]) -> None:
    least = re.search(r"^Requires-Python: >=\s*([\d.]+)", metadata["torch", torch], re.MULTILINE)
    assert least
    assert numbers(TORCHES[torch]["python"][0]) >= numbers(least[1])[:2]


@pytest.mark.parametrize("name", ["torch", "deepspeed"])
def test_no_release_between_the_first_and_the_last_row_is_missing(name: str) -> None:
    known = [row[name] for row in rows(name)["releases"]]
    there = {
        match[1]
        for _url, file in links(name)
        for match in [re.match(rf"{name}-(\d+(?:\.\d+)+)(?:-|\.tar\.gz)", file)]
        if match
    }
    between = [version for version in there if numbers(known[0]) <= numbers(version) <= numbers(known[-1])]
    assert sorted(between, key=numbers) == known


@pytest.mark.parametrize("stack", rows("stacks")["stacks"], ids=lambda row: row["stack"])
def test_a_stack_can_be_had(stack: dict[str, Any]) -> None:
    assert stack["python"] in pythons("torch", stack["torch"])
    assert any(file == f"deepspeed-{stack['deepspeed']}.tar.gz" for _url, file in links("deepspeed"))
