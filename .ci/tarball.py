"""What a text of the built collection leads to: users have the tarball and no checkout."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from urllib.parse import unquote

_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_KINDS = {
    "plugins/callback": "callback",
    "plugins/filter": "filter",
    "plugins/lookup": "lookup",
    "plugins/modules": "module",
}
_PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")


def read(archive: Path) -> tuple[set[str], dict[str, str]]:
    """The files of a tarball, and the text of each page of Markdown among them."""
    with tarfile.open(archive) as tar:
        files = {member.name: member for member in tar if member.isfile()}
        texts = {}
        for name, member in files.items():
            stream = tar.extractfile(member) if name.endswith(".md") else None
            if stream is not None:
                texts[name] = stream.read().decode("utf-8")
    return set(files), texts


def dead_ends(files: Set[str], texts: Mapping[str, str], roots: Set[str]) -> list[str]:
    """One sentence for each relative link, and each file named as code, that leads to nothing.

    :param files: every file, relative to the root of the collection.
    :param texts: page -> its Markdown.
    :param roots: the names at the root of the checkout; code that begins with one of them names a file.
    """
    places = {*files, *(str(folder) for file in files for folder in Path(file).parents)}
    problems = []
    for page, text in sorted(texts.items()):
        for target in _links(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
            if path not in places:
                problems.append(f"{page}: the link {target} leads to no file of the collection.")
        for name in _named(text, roots):
            if posixpath.normpath(name) not in places:
                problems.append(f"{page}: {name} is no file of the collection.")
    return problems


def pages(files: Set[str]) -> set[str]:
    """The pages that antsibull-docs writes: one for each module, plugin and role that users name."""
    found = set()
    for path in map(Path, files):
        folder, name = path.parent.as_posix(), path.stem
        if folder in _KINDS:
            found.add(f"{name}_{_KINDS[folder]}.rst")
        elif path.match("roles/*/tasks/main.yml"):
            found.add(f"{path.parts[1]}_role.rst")
    return found


def _links(text: str) -> Iterator[str]:
    """The relative targets of a page, without what follows the file in them."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        target = unquote((match[1] or match[2]).partition("#")[0].partition("?")[0])
        if target and not _ELSEWHERE.match(target):
            yield target


def _named(text: str, roots: Set[str]) -> Iterator[str]:
    """The files of the checkout that a page names as code."""
    for code in dict.fromkeys(_CODE.findall(_FENCE.sub("", text))):
        if "/" in code and code.split("/")[0] in roots and _PATH.fullmatch(code):
            yield code
