# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requirements on installed packages, as far as exact installations need them.

The library C(packaging) is not on every node, so the few rules of PEP 440 that matter are here: equal versions may be
written differently (1.0 and 1.0.0), and a local tag such as +cu117 is compared exactly where it is asked for, and is of
no interest where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?P<clauses>[^;@]*)$")
_URL = re.compile(r"^[a-z][a-z0-9.-]*://\S+$")
_CLAUSE = re.compile(r"^(?P<operator>==|>=|<=|>|<)\s*(?P<version>\S+)$")
_VERSION = re.compile(
    r"^v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)(?P<suffix>[a-z0-9._-]*)(?:\+(?P<local>[a-z0-9._-]+))?$",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"[-_.]?(?P<word>[a-z]+)[-_.]?(?P<number>\d*)", re.IGNORECASE)
_RANK = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "pre": -1, "preview": -1}
_WHEEL = re.compile(r"^(?P<name>[^-]+)-(?P<version>[^-]+)(?:-[^-]+)?-[^-]+-[^-]+-[^-]+\.whl$")
_ARCHIVE = re.compile(r"^(?P<name>.+)-(?P<version>\d[^-]*)\.(?:tar\.gz|zip)$")

Key = tuple[int, tuple[int, ...], tuple[tuple[int, int], ...]]


class RequirementError(ValueError):
    """A requirement cannot be read; the text is a sentence for the user."""


def canonical(name: str) -> str:
    """The normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_key(version: str) -> tuple[Key, str]:
    """What sorts public versions, and the local tag ('' where there is none).

    :raises RequirementError: the text is no version.
    """
    match = _VERSION.match(version.strip())
    if match is None:
        raise RequirementError(f"{version!r} is not a version of a Python package; write one such as 2.0.1+cu117.")
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    suffixes = [
        (_RANK.get(part["word"].lower(), 1), int(part["number"] or 0)) for part in _SUFFIX.finditer(match["suffix"])
    ]
    local = re.sub(r"[-_.]", ".", (match["local"] or "").lower())
    return (int(match["epoch"] or 0), tuple(release), (*suffixes, (0, 0))), local


_OPERATORS: Mapping[str, Callable[[Key, Key], bool]] = {
    "==": lambda installed, wanted: installed == wanted,
    ">=": lambda installed, wanted: installed >= wanted,
    "<=": lambda installed, wanted: installed <= wanted,
    ">": lambda installed, wanted: installed > wanted,
    "<": lambda installed, wanted: installed < wanted,
}


@dataclass(frozen=True)
class Requirement:
    """One thing to install.

    :param text: what the installer is given.
    :param name: normalised name of the distribution.
    :param clauses: (operator, version), all of which an installed version must satisfy.
    :param file: whether it is a file or an URL rather than a name in an index.
    """

    text: str
    name: str
    clauses: tuple[tuple[str, str], ...] = ()
    file: bool = False

    def accepts(self, version: str) -> bool:
        """Whether an installed version satisfies it. Without a local tag, one of any build does."""
        installed, build = version_key(version)
        for operator, text in self.clauses:
            wanted, tag = version_key(text)
            if not _OPERATORS[operator](installed, wanted):
                return False
            if operator == "==" and (tag or self.file) and tag != build:
                return False
        return True

    @property
    def version(self) -> str:
        """The exact version that is asked for, '' where it is left open."""
        return next((version for operator, version in self.clauses if operator == "=="), "")


def _of_file(text: str) -> Requirement:
    name = unquote(urlsplit(text).path if "://" in text else text).rsplit("/", 1)[-1]
    match = _WHEEL.match(name) or _ARCHIVE.match(name)
    if match is None:
        raise RequirementError(
            f"{text!r} does not tell a package and its version by its name; name a wheel (x-1.0-py3-none-any.whl) or a "
            "source archive (x-1.0.tar.gz)."
        )
    version_key(match["version"])
    return Requirement(text, canonical(match["name"]), (("==", match["version"]),), file=True)


def parse(text: str) -> Requirement:
    """
    :param text: a name, a name with versions (torch==2.0.1+cu117, packaging>=20,<27), a path or an URL of a wheel or a
        source archive.
    :raises RequirementError: it is none of these.
    """
    given = text.strip()
    if given.startswith("/") or _URL.match(given):
        return _of_file(given)
    match = _NAMED.match(given)
    if match is None:
        raise RequirementError(
            f"{text!r} is not a requirement that can be checked; write a name with an exact version such as "
            "torch==2.0.1+cu117, an absolute path or an URL."
        )
    clauses = []
    for part in filter(None, (clause.strip() for clause in match["clauses"].split(","))):
        clause = _CLAUSE.match(part)
        if clause is None:
            raise RequirementError(f"{part!r} in {text!r} cannot be checked; use ==, >=, <=, > or < and a version.")
        version_key(clause["version"])
        clauses.append((clause["operator"], clause["version"]))
    return Requirement(given, canonical(match["name"]), tuple(clauses))


def nearest(wanted: str, known: list[str], count: int = 5) -> list[str]:
    """The known versions closest to the wanted one, in rising order; what is no version is passed over."""
    target = version_key(wanted)[0]
    readable = []
    for version in known:
        try:
            readable.append((version_key(version), version))
        except RequirementError:
            continue
    readable.sort()
    position = sum(1 for (key, _local), _version in readable if key < target)
    first = max(0, min(position - count // 2, len(readable) - count))
    return [version for _key, version in readable[first : first + count]]
