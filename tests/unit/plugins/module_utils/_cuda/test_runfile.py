# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which toolkits are made, adopted, finished and refused, with shell scripts for runfiles."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda import runfile as cuda_runfile
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.runfile import (
    Node,
    RunfileError,
    Wish,
    ensure,
    read_header,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import (
    BROKEN,
    BUSY,
    CUT_OFF,
    MISSING,
    OCCUPIED,
    PRESENT,
    look,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import mark_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run

NVCC = """#!/bin/sh
echo "Cuda compilation tools, release 13.0, V13.0.88"
"""
VERSION = '{"cuda": {"name": "CUDA SDK", "version": "13.0.3"}}'
INSTALL = f"""
[ "$1 $2" = "--silent --toolkit" ] || exit 9
for word in "$@"; do case $word in --toolkitpath=*) path=${{word#*=}} ;; esac; done
[ ! -e "$path" ] || exit 8
mkdir -p "$path/bin"
printf '%s' '{VERSION}' > "$path/version.json"
cat > "$path/bin/nvcc" <<'NVCC'
{NVCC}NVCC
chmod 755 "$path/bin/nvcc"
"""
URL = "https://mirror.example/cuda_13.0.3_580.126.20_linux.run"


def runfile(script: str, unpacked_kb: int = 1, cut: int = 0) -> bytes:
    """A file with the head that makeself writes, which runs a script instead of unpacking its archive."""
    archive = b"x" * 100
    lines = ["#!/bin/sh", f'filesizes="{len(archive)}"', 'skip="@"', f": Uncompressed size: {unpacked_kb} KB"]
    lines += [*script.strip().splitlines(), "exit 0"]
    text = "\n".join(lines).replace("@", str(len(lines)), 1) + "\n"
    whole = text.encode() + archive
    return whole[: len(whole) - cut]


def install(argv: Sequence[str], extra: Mapping[str, str], timeout: float, files: Sequence[int]) -> Finished:
    return run(argv, "", {"PATH": os.environ["PATH"], **extra}, timeout, files)


def start(argv: Sequence[str], timeout: float) -> Finished:
    try:
        return install(argv, {}, timeout, ())
    except OSError as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")


def no_network(address: str) -> IO[bytes]:
    raise URLError("no network in a unit test")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Node(start, install, no_network, lambda library: True, "x86_64", False, temporary)


def wish(tmp_path: Path, content: bytes | None = None, **other: Any) -> Wish:
    content = runfile(INSTALL) if content is None else content
    file = tmp_path / "cuda_13.0.3_580.126.20_linux.run"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    given = {"prefix": tmp_path / "opt" / "cuda-13.0", "version": "13.0", "runfile": str(file), "checksum": digest}
    return Wish(**{**given, **other})


def fill(prefix: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)


def snapshot(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text(errors="replace") if path.is_file() else "" for path in folder.rglob("*")}


def refused(wanted: Wish, node: Node) -> str:
    """The sentence, after a look at whether anything was changed."""
    before = snapshot(wanted.prefix.parent.parent)
    with pytest.raises(RunfileError) as caught:
        ensure(wanted, node)
    after = snapshot(wanted.prefix.parent.parent)
    after.pop(str(wanted.prefix.parent), None)
    before.pop(str(wanted.prefix.parent), None)
    assert after == before
    return str(caught.value)


def test_a_toolkit_is_installed_once(tmp_path: Path, node: Node) -> None:
    wanted = wish(tmp_path)
    before, after = ensure(wanted, node)
    assert (before.state, after.state, after.version, after.nvcc) == (MISSING, PRESENT, "13.0.3", "13.0.88")
    whole = snapshot(tmp_path)
    assert ensure(wanted, node) == (after, after)
    assert snapshot(tmp_path) == whole
    assert not mark_of(wanted.prefix).exists()
    assert list(node.temporary.iterdir()) == []


def test_a_download_is_removed_afterwards(tmp_path: Path, node: Node) -> None:
    wanted = wish(tmp_path)
    content = Path(wanted.runfile).read_bytes()
    fetched = replace(node, fetch=lambda address: io.BytesIO(content))
    assert ensure(replace(wanted, runfile=URL), fetched)[1].state == PRESENT
    assert sorted(path.name for path in wanted.prefix.parent.iterdir()) == ["cuda-13.0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [Path(wanted.runfile).name, "opt", "tmp"]


def test_check_mode_predicts_and_downloads_nothing(tmp_path: Path, node: Node) -> None:
    wanted = wish(tmp_path, runfile=URL)
    before, after = ensure(wanted, node, check=True)
    assert (before.state, after.state, after.version) == (MISSING, PRESENT, "13.0")
    assert not wanted.prefix.exists()


@pytest.mark.parametrize(
    ("version", "served"), [("13.0", True), ("13.0.3", True), ("13.0.2", False), ("13", True), ("12.8", False)]
)
def test_what_is_there_is_adopted_where_it_is_right(tmp_path: Path, node: Node, version: str, served: bool) -> None:
    wanted = wish(tmp_path, version=version, runfile="")
    fill(wanted.prefix, {"bin/nvcc": NVCC, "version.json": VERSION})
    if served:
        before, after = ensure(wanted, node)
        assert before == after
    else:
        assert f"holds CUDA 13.0.3, and {version} is wished for" in refused(wanted, node)


# What is at the prefix, its state, what the sentence must hold.
NOT_ADOPTED: list[tuple[dict[str, str], str, str]] = [
    ({"thesis.tex": ""}, OCCUPIED, "it holds no CUDA toolkit"),
    ({"lib64/libcublas.so": ""}, BROKEN, "it has no bin/nvcc"),
    ({"bin/nvcc": "#!/nowhere/sh\n"}, BROKEN, "bin/nvcc does not run"),
    ({"bin/nvcc": "#!/bin/sh\nexit 3\n"}, BROKEN, "bin/nvcc does not run (no answer)"),
    ({"bin/nvcc": NVCC, "version.json": VERSION.replace("13.0.3", "12.8.1")}, BROKEN, "version.json says 12.8.1"),
]


@pytest.mark.parametrize(("files", "state", "words"), NOT_ADOPTED)
def test_what_is_no_whole_toolkit_is_neither_used_nor_changed(
    tmp_path: Path, node: Node, files: dict[str, str], state: str, words: str
) -> None:
    wanted = wish(tmp_path)
    fill(wanted.prefix, files)
    assert look(wanted.prefix, start).state == state
    sentence = refused(wanted, node)
    assert words in sentence
    assert "neither used nor changed" in sentence


def test_older_toolkits_tell_their_version_otherwise(tmp_path: Path) -> None:
    nvcc = NVCC.replace("13.0, V13.0.88", "10.2, V10.2.89")
    fill(tmp_path / "cuda", {"bin/nvcc": nvcc, "version.txt": "CUDA Version 10.2.89\n"})
    assert look(tmp_path / "cuda", start).version == "10.2.89"
    (tmp_path / "cuda" / "version.txt").unlink()
    assert look(tmp_path / "cuda", start).version == "10.2"


def test_an_installation_that_was_cut_off_is_finished(tmp_path: Path, node: Node) -> None:
    wanted = wish(tmp_path)
    fill(wanted.prefix, {"bin/nvcc": NVCC, "version.json": VERSION, "half.so": ""})
    mark_of(wanted.prefix).write_text("4711\n")
    before, after = ensure(wanted, node)
    assert (before.state, after.state) == (CUT_OFF, PRESENT)
    assert not (wanted.prefix / "half.so").exists()
    assert not mark_of(wanted.prefix).exists()


def test_an_installer_at_work_is_waited_for_with_a_bound(tmp_path: Path, node: Node) -> None:
    wanted = wish(tmp_path, timeout=0.1)
    wanted.prefix.parent.mkdir()
    with mark_of(wanted.prefix).open("w") as mark:
        mark.write("4711\n")
        mark.flush()
        fcntl.flock(mark, fcntl.LOCK_EX)
        assert look(wanted.prefix, start).state == BUSY
        assert "Another installer has been at work for more than 0.1 s" in refused(wanted, node)


PAGE = b"<!DOCTYPE html>\n<html><title>Log in</title></html>\n"
# What the file is, what the sentence must hold; the sum is that of the file.
NO_RUNFILES = [
    (PAGE, "is no runfile: it begins with '<!DOCTYPE html> <html><title>Log in</title></html>'. That is a web page"),
    (b"", "it begins with 'nothing at all'"),
    (b"\x7fELF\x02", "is no runfile"),
    (b"#!/bin/sh\nexit 0\n", "is a script, but no runfile of NVIDIA's"),
    (runfile(INSTALL, cut=40), "is cut short: it has"),
]


@pytest.mark.parametrize(("content", "words"), NO_RUNFILES)
def test_what_is_no_whole_runfile_is_not_run(tmp_path: Path, node: Node, content: bytes, words: str) -> None:
    assert words in refused(wish(tmp_path, content), node)


@pytest.mark.parametrize(("content", "words"), NO_RUNFILES)
def test_a_wrong_sum_tells_what_the_file_looks_like(tmp_path: Path, node: Node, content: bytes, words: str) -> None:
    sentence = refused(wish(tmp_path, content, checksum="a" * 64), node)
    assert "is wrong: expected aaaa" in sentence
    assert words in sentence


# What is wished or what the node is like, what the sentence must hold.
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"runfile": ""}, {}, "name one in cuda_toolkit_runfiles"),
    ({"checksum": ""}, {}, "has no checksum; set its checksum in cuda_toolkit_runfiles"),
    ({"checksum": "md5:12"}, {}, "'md5:12' is no sha256 sum"),
    ({"runfile": "/nowhere/cuda.run"}, {}, "The runfile /nowhere/cuda.run is not there"),
    ({"runfile": URL}, {}, "cannot be read (no network in a unit test); correct its source"),
    ({"runfile": "/x/cuda_13.0.3_580.126.20_linux_sbsa.run"}, {}, "for another architecture than x86_64"),
    ({"runfile": "/x/cuda_13.4.1_linux.run"}, {"machine": "aarch64"}, "for another architecture than aarch64"),
    ({"prefix": Path("/opt/my cuda")}, {}, "has a space in it"),
    ({}, {"loads": lambda library: False}, "needs the library libxml2.so.2"),
]


@pytest.mark.parametrize(("wished", "given", "words"), REFUSED)
def test_what_cannot_work_is_refused(
    tmp_path: Path, node: Node, wished: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    wanted = wish(tmp_path, **wished)
    with pytest.raises(RunfileError) as caught:
        ensure(wanted, replace(node, **given))
    assert words in str(caught.value)
    assert not (tmp_path / "opt").exists()


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))
    assert f"may not write to {tmp_path}, where {tmp_path}/opt/cuda-13.0 has to go" in refused(wish(tmp_path), node)


def test_a_mirror_that_does_not_have_it_is_asked_once(tmp_path: Path, node: Node) -> None:
    asked = []

    def absent(address: str) -> IO[bytes]:
        asked.append(address)
        raise HTTPError(address, 404, "Not Found", None, None)  # type: ignore[arg-type]

    assert f"{URL} answers 404 Not Found" in refused(wish(tmp_path, runfile=URL), replace(node, fetch=absent))
    assert asked == [URL]


def test_a_foreign_log_of_the_installer_is_named_to_who_may_not_remove_it(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = node.temporary / "cuda-installer.log"
    log.write_text("of somebody else")
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert f"{log} belongs to another account" in refused(wish(tmp_path), node)
    assert ensure(wish(tmp_path), replace(node, root=True))[1].state == PRESENT


def test_without_root_nothing_is_put_outside_of_the_prefix(tmp_path: Path, node: Node) -> None:
    words = tmp_path / "words"
    script = f'printf "%s\\n" "$@" > {words}\n{INSTALL}'
    wanted = wish(tmp_path, runfile(script))
    ensure(wanted, node)
    said = words.read_text().splitlines()
    assert f"--defaultroot={wanted.prefix}" in said
    assert {"--silent", "--toolkit", "--override", "--no-man-page", f"--toolkitpath={wanted.prefix}"} < set(said)
    ensure(wish(tmp_path, runfile(script), prefix=tmp_path / "opt" / "cuda"), replace(node, root=True))
    assert not [word for word in words.read_text().splitlines() if word.startswith("--defaultroot")]


def test_programs_are_unpacked_where_they_may_run(tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    statvfs = os.statvfs

    class NoExec:
        f_flag = os.ST_NOEXEC

    monkeypatch.setattr(os, "statvfs", lambda path: NoExec if path == node.temporary else statvfs(path))
    words = tmp_path / "words"
    wanted = wish(tmp_path, runfile(f'printf "%s\\n" "$@" "$TMPDIR" > {words}\n{INSTALL}'))
    ensure(wanted, node)
    said = words.read_text().splitlines()
    assert f"--tmpdir={said[-1]}" in said
    assert Path(said[-1]).parent == tmp_path
    assert not Path(said[-1]).exists()
    sentence = refused(wish(tmp_path, prefix=tmp_path / "opt" / "cuda", scratch=node.temporary), node)
    assert f"no program may run from {node.temporary} (it is mounted noexec)" in sentence


def test_a_disk_that_is_too_small_is_named_with_what_is_needed(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_runfile, "_free", lambda folder: 3000 << 20)
    sentence = refused(wish(tmp_path, runfile(INSTALL, unpacked_kb=2000 << 10)), node)
    assert "unpacks 2000 MiB, and as much goes to" in sentence
    assert "has 3000 MiB left" in sentence
    # On a disk of its own, the temporary folder needs room for what is unpacked only.
    assert ensure(wish(tmp_path, runfile(INSTALL, unpacked_kb=1400 << 10)), node)[1].state == PRESENT


# What the installer does instead, what the sentence must hold.
FAILURES = [
    ("echo boom >&2; exit 3", "it ended with 3 and said: boom"),
    (f"{INSTALL}\necho late >&2; exit 4", "it ended with 4 and said: late"),
    ("exit 0", "it ended well, but nothing is there"),
    (INSTALL.replace("13.0", "12.8"), "it ended well, but CUDA 12.8.3 is there"),
    ("echo 'write error: No space left on device' >&2; exit 1", "A disk is full; make room"),
    ("echo './cuda-installer: Exec format error' >&2; exit 126", "its programs are for another architecture"),
    ("sleep 30", "time was up"),
    ("echo from the log > @LOG@; exit 1", "it ended with 1 and said: from the log"),
]


@pytest.mark.parametrize(("script", "words"), FAILURES)
def test_a_failed_installer_leaves_nothing(tmp_path: Path, node: Node, script: str, words: str) -> None:
    text = script.replace("@LOG@", str(node.temporary / "cuda-installer.log"))
    wanted = wish(tmp_path, runfile(text), timeout=2)
    with pytest.raises(RunfileError) as caught:
        ensure(wanted, node)
    assert words in str(caught.value)
    assert list(wanted.prefix.parent.iterdir()) == []
    assert ensure(wish(tmp_path), node)[1].state == PRESENT


def test_the_head_of_a_runfile_tells_its_size(tmp_path: Path) -> None:
    file = tmp_path / "cuda.run"
    file.write_bytes(runfile(INSTALL, unpacked_kb=7))
    header = read_header(file, "it")
    assert (header.size, header.unpacked) == (file.stat().st_size, 7 << 10)
    # As older releases of makeself write it.
    file.write_bytes(file.read_bytes().replace(b'skip="', b": head -n ", 1).replace(b'"\n: Unc', b' "$0"\n: Unc', 1))
    assert read_header(file, "it").unpacked == 7 << 10
