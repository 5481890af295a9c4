# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import (
    ARCHIVE,
    FOLDER,
    GIT,
    INDEX,
    Source,
    SourceError,
    identity,
    lay_out,
    parse_source,
    substitute,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

COMMIT = "6424da3b4faa6c8f062da4a48c424fff3f02d42d"
OTHER = "a" * 40

SOURCES = [
    ("deepspeed==0.19.8", Source(INDEX, "deepspeed==0.19.8")),
    ("git+https://github.com/NVIDIA/apex@25.09", Source(GIT, "https://github.com/NVIDIA/apex", "25.09")),
    ("git+https://github.com/NVIDIA/apex", Source(GIT, "https://github.com/NVIDIA/apex")),
    ("git+ssh://git@host/group/apex.git", Source(GIT, "ssh://git@host/group/apex.git")),
    ("git+ssh://git@host/group/apex.git@v1", Source(GIT, "ssh://git@host/group/apex.git", "v1")),
    ("git+https://ann:word@host/apex.git@a/branch", Source(GIT, "https://ann:word@host/apex.git", "a/branch")),
    ("git+file:///srv/apex@main", Source(GIT, "file:///srv/apex", "main")),
    ("https://host/x-1.0.tar.gz", Source(ARCHIVE, "https://host/x-1.0.tar.gz")),
    ("/srv/x.zip", Source(ARCHIVE, "/srv/x.zip")),
    ("/srv/x/", Source(FOLDER, "/srv/x")),
]

NO_SOURCES = [
    ("deepspeed", "name a package with an exact version"),
    ("deepspeed>=0.19", "name a package with an exact version"),
    ("git+git@github.com:NVIDIA/apex", "has no scheme behind git\\+"),
    ("x-1.0-py3-none-any.whl", "is no|cannot be checked"),
    ("not a source", "cannot be checked"),
]


def git_that_says(stdout="", stderr="", rc=0):
    return lambda argv, variables, timeout: Finished(rc, stdout, stderr)


def no_fetch(address):
    raise AssertionError(address)


@pytest.mark.parametrize(("text", "source"), SOURCES)
def test_source_is_read(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize(("text", "sentence"), NO_SOURCES)
def test_what_is_no_source_is_a_sentence(text, sentence):
    with pytest.raises(SourceError, match=sentence):
        parse_source(text)


REFS = [
    ("v1", f"{OTHER}\trefs/tags/v1\n{COMMIT}\trefs/tags/v1^{{}}\n", COMMIT),  # an annotated tag
    ("v1", f"{COMMIT}\trefs/tags/v1\n", COMMIT),
    ("main", f"{COMMIT}\trefs/heads/main\n{OTHER}\trefs/remotes/origin/main\n", COMMIT),
    ("v1", f"{OTHER}\trefs/heads/v1\n{COMMIT}\trefs/tags/v1\n", COMMIT),  # as git, the tag before the branch
    ("", f"{COMMIT}\tHEAD\n", COMMIT),
]


@pytest.mark.parametrize(("ref", "listing", "commit"), REFS)
def test_repository_is_known_by_the_commit_that_a_ref_leads_to(ref, listing, commit):
    source = Source(GIT, "https://host/x", ref)
    assert identity(source, git_that_says(listing), no_fetch, 5) == f"commit {commit}"


def test_commit_is_known_without_asking():
    assert identity(Source(GIT, "https://host/x", COMMIT), git_that_says(rc=1), no_fetch, 5) == f"commit {COMMIT}"


def test_submodules_are_part_of_what_a_repository_is_known_by():
    source = Source(GIT, "https://host/x", COMMIT, submodules=True)
    assert identity(source, git_that_says(), no_fetch, 5) == f"commit {COMMIT} with submodules"


def test_nobody_is_asked_for_a_password_by_git():
    seen = {}

    def git(argv, variables, timeout):
        seen.update(variables)
        return Finished(0, f"{COMMIT}\tHEAD\n")

    identity(Source(GIT, "https://host/x"), git, no_fetch, 5)
    assert seen["GIT_TERMINAL_PROMPT"] == "0"
    assert "BatchMode=yes" in seen["GIT_SSH_COMMAND"]


def missing_git(argv, variables, timeout):
    raise FileNotFoundError(2, "No such file or directory")


GIT_FAILURES = [
    (missing_git, "git is missing on this node, and https://host/x comes by git"),
    (git_that_says(rc=None), "The git host of https://host/x did not answer within 5 s. Name a mirror"),
    (
        git_that_says(
            rc=128, stderr="warning: x\nfatal: unable to access 'https://host/x': Could not resolve host: host\n"
        ),
        r"git cannot read https://host/x \(unable to access 'https://host/x': Could not resolve host: host\)",
    ),
    (git_that_says(""), "https://host/x has no branch or tag 'v9'"),
]


@pytest.mark.parametrize(("git", "sentence"), GIT_FAILURES)
def test_git_that_gives_nothing_is_a_sentence(git, sentence):
    with pytest.raises(SourceError, match=sentence):
        identity(Source(GIT, "https://host/x", "v9"), git, no_fetch, 5)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "setup.py").write_text("text\n")
    (folder / "src" / "x.cpp").write_text("code\n")
    return folder


def known(folder):
    return identity(Source(FOLDER, str(folder)), git_that_says(), no_fetch, 5)


def test_folder_is_known_by_its_sources_and_not_by_what_a_build_leaves(project):
    before = known(project)
    for leftover in (".git/config", "build/x.o", "x.egg-info/PKG-INFO", "src/__pycache__/y.pyc"):
        (project / leftover).parent.mkdir(parents=True, exist_ok=True)
        (project / leftover).write_text("left\n")
    assert known(project) == before
    (project / "src" / "x.cpp").write_text("other\n")
    assert known(project) != before


def test_folder_without_a_project_is_a_sentence(tmp_path):
    with pytest.raises(SourceError, match=r"has neither setup.py nor pyproject.toml"):
        known(tmp_path)
    with pytest.raises(SourceError, match="There is no folder"):
        known(tmp_path / "none")


def packed(project, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(project / "setup.py", "project-1.0/setup.py")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(project, "project-1.0")
    return path


@pytest.mark.parametrize("name", ["project-1.0.tar.gz", "project-1.0.zip"])
def test_archive_is_unpacked_to_the_root_of_the_project(project, tmp_path, name):
    archive = packed(project, tmp_path / name)
    source = parse_source(str(archive))
    assert (
        identity(source, git_that_says(), no_fetch, 5) == f"archive {hashlib.sha256(archive.read_bytes()).hexdigest()}"
    )
    root = lay_out(source, tmp_path / "source", git_that_says(), no_fetch, 5)
    assert (root / "setup.py").is_file()


def test_archive_from_an_address_is_verified(project, tmp_path):
    content = packed(project, tmp_path / "project-1.0.tar.gz").read_bytes()
    right = Source(ARCHIVE, "https://host/project-1.0.tar.gz", checksum=hashlib.sha256(content).hexdigest())
    wrong = Source(ARCHIVE, "https://host/project-1.0.tar.gz", checksum="0" * 64)

    def fetch(address):
        return io.BytesIO(content)

    root = lay_out(right, tmp_path / "source", git_that_says(), fetch, 5)
    assert (root / "setup.py").is_file()
    with pytest.raises(SourceError, match=r"The checksum of https://host/project-1.0.tar.gz is wrong"):
        lay_out(wrong, tmp_path / "other", git_that_says(), fetch, 5)
    with pytest.raises(SourceError, match="has no checksum; give its sha256 sum"):
        identity(Source(ARCHIVE, "https://host/project-1.0.tar.gz"), git_that_says(), fetch, 5)


def test_archive_that_reaches_outside_is_refused(tmp_path):
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("../outside")
        archive.addfile(member, io.BytesIO(b""))
    with pytest.raises(SourceError, match="cannot be unpacked"):
        lay_out(parse_source(str(path)), tmp_path / "in" / "source", git_that_says(), no_fetch, 5)
    assert not (tmp_path / "in" / "outside").exists()


def test_folder_of_a_user_is_copied_and_never_built_in(project, tmp_path):
    root = lay_out(Source(FOLDER, str(project)), tmp_path / "source", git_that_says(), no_fetch, 5)
    assert root == tmp_path / "source"
    assert (root / "src" / "x.cpp").read_text() == "code\n"


def test_single_commit_that_a_host_refuses_comes_with_all_branches(tmp_path):
    calls = []

    def git(argv, variables, timeout):
        calls.append(argv)
        refused = "fetch" in argv and argv[-1] == COMMIT
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / "setup.py").touch()
        return Finished(128 if refused else 0, "", "fatal: Server does not allow request for unadvertised object")

    lay_out(Source(GIT, "https://host/x", COMMIT, submodules=True), tmp_path / "source", git, no_fetch, 5)
    assert [argv for argv in calls if "+refs/heads/*:refs/heads/*" in argv]
    assert [argv for argv in calls if "submodule" in argv]


def test_texts_are_replaced_or_missed(project):
    substitute(project, [{"file": "setup.py", "text": "text", "by": "other"}])
    assert (project / "setup.py").read_text() == "other\n"
    with pytest.raises(SourceError, match=r"setup.py of this source does not say 'text'"):
        substitute(project, [{"file": "setup.py", "text": "text", "by": "x"}])
    with pytest.raises(SourceError, match=r"The source has no none.py"):
        substitute(Path(project), [{"file": "none.py", "text": "text", "by": "x"}])


def test_project_may_lie_below_the_root_of_a_repository(tmp_path):
    source = parse_source("git+https://host/x@v1", subdirectory="/applications/chat/")
    assert source == Source(GIT, "https://host/x", "v1", subdirectory="applications/chat")
    listing = f"{COMMIT}\trefs/tags/v1\n"
    assert identity(source, git_that_says(listing), no_fetch, 5) == f"commit {COMMIT} in applications/chat"

    def git(argv, variables, timeout):
        if "checkout" in argv:
            (tmp_path / "source/applications/chat").mkdir(parents=True)
            (tmp_path / "source/applications/chat/setup.py").touch()
        return Finished(0, listing)

    assert lay_out(source, tmp_path / "source", git, no_fetch, 5) == tmp_path / "source/applications/chat"


@pytest.mark.parametrize("subdirectory", ["../x", "/../x", "a/../../b"])
def test_subdirectory_outside_of_the_source_is_refused(subdirectory):
    with pytest.raises(SourceError, match="does not lie in the source"):
        parse_source("git+https://host/x@v1", subdirectory=subdirectory)


def test_folder_with_a_subdirectory_is_that_folder():
    assert parse_source("/srv/x", subdirectory="a/b") == Source(FOLDER, "/srv/x/a/b")
