# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the source of a wheel comes from: an index, git, an archive, a folder; what names it, how it is laid out."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.archive import ArchiveError, unpack
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import Fetch
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import (
    Words,
    expected_sum,
    local_path,
    sum_of,
    verified,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import RequirementError, parse

# argv, variables beside those of the account, seconds
Git = Callable[[Sequence[str], Mapping[str, str], float], Finished]

INDEX, GIT, ARCHIVE, FOLDER = "index", "git", "archive", "folder"
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
# What a build leaves behind, and what git keeps: none of it is source.
NO_SOURCE = (".git", "build", "dist", "__pycache__", "*.egg-info", "*.pyc", ".venv")
# Nobody is there to be asked for a password or about a host key.
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20",
    "LC_ALL": "C",
}


class SourceError(RuntimeError):
    """A source cannot be had; the text is a sentence for the user."""


class GitMissing(SourceError):
    """A source comes by git, which is not installed."""


@dataclass(frozen=True)
class Source:
    """A source as it was asked for.

    :param kind: INDEX, GIT, ARCHIVE or FOLDER.
    :param place: a requirement, the address of a repository, an address or a path.
    :param ref: of a repository: a branch, a tag or a commit; empty for its default branch.
    :param subdirectory: where in a repository or an archive the project is.
    """

    kind: str
    place: str
    ref: str = ""
    checksum: str = ""
    submodules: bool = False
    subdirectory: str = ""


def parse_source(text: str, checksum: str = "", submodules: bool = False, subdirectory: str = "") -> Source:
    """
    :param text: name==version, git+<address>@<ref>, the address or the absolute path of an archive, the path of a
        folder.
    :raises SourceError: it is none of these.
    """
    given = text.strip()
    if given.startswith("git+"):
        scheme, parted, rest = given[4:].partition("://")
        if not parted:
            raise SourceError(
                f"{text!r} has no scheme behind git+; write an address such as git+https://host/name.git."
            )
        # An @ in front of the host is that of an account.
        host, slash, path = rest.partition("/")
        path, _at, ref = path.rpartition("@") if "@" in path else (path, "", "")
        address = f"{scheme}://{host}{slash}{path}"
        return Source(GIT, address, ref, submodules=submodules, subdirectory=below(subdirectory))
    if given.endswith(_ARCHIVES) and (given.startswith("/") or "://" in given):
        return Source(ARCHIVE, given, checksum=checksum, subdirectory=below(subdirectory))
    if given.startswith("/"):
        return Source(FOLDER, str(Path(given, below(subdirectory))))
    try:
        wanted = parse(given)
    except RequirementError as error:
        raise SourceError(str(error)) from error
    if wanted.file or not wanted.version:
        raise SourceError(
            f"{text!r} is no source of a build; name a package with an exact version (deepspeed==0.19.8), git+ and the "
            f"address of a repository with @ and a ref, an archive ({', '.join(_ARCHIVES)}) or a folder."
        )
    return Source(INDEX, given)


def below(subdirectory: str) -> str:
    """The path of a project below the root of its source.

    :raises SourceError: it leads elsewhere.
    """
    if ".." in Path(subdirectory).parts:
        raise SourceError(f"The subdirectory {subdirectory!r} does not lie in the source; write a path below its root.")
    return subdirectory.strip("/")


def words(source: Source) -> Words:
    """What sentences about an archive call things."""
    return Words(
        what="archive",
        checksum="its checksum",
        elsewhere="name an archive that this node reaches, or one on the control node",
        fail=SourceError,
        name=Path(source.place).name,
    )


def identity(source: Source, git: Git, fetch: Fetch, timeout: float) -> str:
    """A text that changes when the source does, wherever it comes from.

    Of git it is the commit, so that a mirror or a branch by another name is the same source.

    :raises SourceError: it cannot be found out.
    """
    where = f" in {source.subdirectory}" if source.subdirectory else ""
    return f"{_identity(source, git, fetch, timeout)}{where}"


def _identity(source: Source, git: Git, fetch: Fetch, timeout: float) -> str:
    if source.kind == INDEX:
        return source.place
    if source.kind == GIT:
        return f"commit {commit(source, git, timeout)}{' with submodules' if source.submodules else ''}"
    if source.kind == FOLDER:
        return f"files {digest_of_folder(Path(source.place))}"
    if source.checksum:
        return f"archive {expected_sum(source.checksum, source.place, fetch, words(source))}"
    local = local_path(source.place)
    if local is None:
        raise SourceError(f"{source.place} has no checksum; give its sha256 sum, so that it is known to be the one.")
    if not local.is_file():
        raise SourceError(f"There is no archive {local} on this node; copy it there, or correct the path.")
    return f"archive {sum_of(local)}"


def commit(source: Source, git: Git, timeout: float) -> str:
    """The commit that a ref of a repository stands for; asks the repository unless the ref is a commit.

    :raises SourceError: the repository does not answer, or has no such ref.
    """
    if _COMMIT.match(source.ref):
        return source.ref
    wanted = source.ref or "HEAD"
    listed = _call(["git", "ls-remote", source.place, wanted, f"{wanted}^{{}}"], source, git, timeout)
    pairs = (line.split("\t", 1) for line in listed.stdout.splitlines() if "\t" in line)
    refs = {name: digits for digits, name in pairs}
    # Of an annotated tag, what it leads to.
    order = (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}", wanted)
    found = next((refs[name] for name in order if name in refs), None)
    if found is None:
        raise SourceError(
            f"{source.place} has no branch or tag {wanted!r}. Correct the ref; a commit is named by its 40 digits."
        )
    return found


def lay_out(source: Source, folder: Path, git: Git, fetch: Fetch, timeout: float) -> Path:
    """The source as files, in a folder that does not exist yet; returns where the project's root is.

    :raises SourceError: it cannot be had.
    """
    root = _laid_out(source, folder, git, fetch, timeout) / source.subdirectory
    _require_folder(root)
    return root


def _laid_out(source: Source, folder: Path, git: Git, fetch: Fetch, timeout: float) -> Path:
    if source.kind == GIT:
        _clone(source, folder, git, timeout)
        return folder
    if source.kind == FOLDER:
        _require_folder(Path(source.place))
        shutil.copytree(source.place, folder, symlinks=True, ignore=shutil.ignore_patterns(*NO_SOURCE))
        return folder
    local = local_path(source.place)
    if not source.checksum and local:
        return _unpack(local, folder)
    with verified(source.place, source.checksum, fetch, words(source), folder=folder.parent) as archive:
        return _unpack(archive, folder)


def _unpack(archive: Path, folder: Path) -> Path:
    try:
        return unpack(archive, folder)
    except ArchiveError as error:
        raise SourceError(str(error)) from error


def substitute(root: Path, substitutions: Sequence[Mapping[str, str]]) -> None:
    """Replace texts in files of the source.

    :param substitutions: C(file) below the root, C(text) that stands there, C(by) what takes its place.
    :raises SourceError: a file or a text is not there.
    """
    for wanted in substitutions:
        path = root / wanted["file"]
        try:
            before = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SourceError(f"The source has no {wanted['file']}, in which a text is to be replaced.") from error
        if wanted["text"] not in before:
            raise SourceError(
                f"{wanted['file']} of this source does not say {wanted['text']!r}, which is to be replaced; the ref is "
                "another one than the replacement was written for."
            )
        path.write_text(before.replace(wanted["text"], wanted["by"]), encoding="utf-8")


def _call(argv: Sequence[str], source: Source, git: Git, timeout: float) -> Finished:
    try:
        finished = git(argv, _QUIET, timeout)
    except OSError as error:
        raise GitMissing(f"git is missing on this node, and {source.place} comes by git; install it there.") from error
    if finished.rc is None:
        raise SourceError(
            f"The git host of {source.place} did not answer within {timeout:g} s. Name a mirror that this node "
            "reaches, an archive, or a checkout on the control node."
        )
    if finished.rc != 0:
        raise SourceError(
            f"git cannot read {source.place} ({_short(finished.stderr)}). Correct the address, or name a mirror, an "
            "archive or a checkout on the control node."
        )
    return finished


def _short(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines[-1:]
    return "; ".join(line.split(":", 1)[-1].strip() for line in telling)[:300] or "no reason given"


def _clone(source: Source, folder: Path, git: Git, timeout: float) -> None:
    wanted = commit(source, git, timeout)
    _call(["git", "init", "--quiet", str(folder)], source, git, timeout)
    here = ["git", "-C", str(folder)]
    try:
        _call([*here, "fetch", "--quiet", "--depth=1", source.place, wanted], source, git, timeout)
    except SourceError:
        # Some hosts give no single commit; then all branches and tags come.
        _call([*here, "fetch", "--quiet", "--tags", source.place, "+refs/heads/*:refs/heads/*"], source, git, timeout)
    _call([*here, "checkout", "--quiet", "--detach", wanted], source, git, timeout)
    if source.submodules:
        _call([*here, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"], source, git, timeout)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}; correct the path of the source.")
    if not any((folder / name).is_file() for name in ("setup.py", "pyproject.toml")):
        raise SourceError(f"{folder} has neither setup.py nor pyproject.toml; name the root of a Python project.")


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a source in a fixed order, without what a build or git leaves there.

    :raises SourceError: the folder is no Python project.
    """
    _require_folder(folder)
    ignore = shutil.ignore_patterns(*NO_SOURCE)
    for above, folders, names in os.walk(folder):
        left_out = ignore(above, [*folders, *names])
        folders[:] = sorted(set(folders) - left_out)
        for name in sorted(set(names) - left_out):
            yield Path(above, name)


def digest_of_folder(folder: Path) -> str:
    """A sum over the names, the contents and the modes of what files_of() lists.

    :raises SourceError: the folder is no Python project.
    """
    digest = hashlib.sha256()
    for path in files_of(folder):
        content = str(path.readlink()) if path.is_symlink() else sum_of(path)
        digest.update(f"{path.relative_to(folder)}\0{path.lstat().st_mode & 0o111:o}\0{content}\0".encode())
    return digest.hexdigest()
