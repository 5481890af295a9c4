# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What conda means by a package spec such as C(python=3.11), and whether an installed package satisfies it.

The grammar and the order of versions are conda's (conda.models.match_spec, conda.models.version). Pure functions over
plain values; nothing here starts conda.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Union

Atom = Union[int, float, str]
Components = list[list[Atom]]

_NAME = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)(.*)$")
_PINNED = re.compile(r"^={1,2}([^=<>!~,|]+)=([^=,|]+)$")
_TERM = re.compile(r"^(==|!=|<=|>=|~=|=|<|>)?([0-9A-Za-z_.+!*-]+)$")
_RUNS = re.compile(r"[0-9]+|[*]+|[^0-9*]+")


class SpecError(ValueError):
    """The text is no spec that this collection understands; the message is a sentence for the user."""


@dataclass(frozen=True)
class Package:
    """One package of an environment, as its record in conda-meta names it."""

    name: str
    version: str
    build: str = ""
    channel: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.version, self.build) if part)


@dataclass(frozen=True)
class Spec:
    """A wish for one package; an empty C(version), C(build) or C(channel) allows any."""

    text: str
    name: str
    version: str = ""
    build: str = ""
    channel: str = ""

    def satisfied_by(self, package: Package) -> bool:
        """Whether the installed package is what the spec asks for."""
        return (
            self.name == package.name
            and version_matches(self.version, package.version)
            and (not self.build or fnmatchcase(package.build, self.build))
            and (not self.channel or _channel_matches(self.channel, package.channel))
        )


def parse_spec(text: str) -> Spec:
    """Read C(name), C(name=1.2), C(name==1.2.3), C(name>=1,<2), C(name 1.2.* build), C(channel::name[version=">=1"]).

    :raises SpecError: with a sentence that quotes the text.
    """
    rest = text.strip()
    if not rest or "/" in rest.split("::")[-1] or rest.endswith((".conda", ".tar.bz2")):
        raise SpecError(f"'{text}' is not a package spec; write a name and versions, such as python=3.11.")
    channel, _separator, rest = rest.rpartition("::")
    rest, keys = _brackets(text, rest)
    found = _NAME.match(rest)
    if not found:
        raise SpecError(f"'{text}' does not begin with the name of a package; write it such as python=3.11.")
    name, rest = found.group(1).lower(), _tight(found.group(2))
    pinned = _PINNED.match(rest)
    if pinned:
        # With a build behind it, conda reads the version as exact, whether after one equals sign or two.
        version, build = f"=={pinned.group(1)}", pinned.group(2)
    else:
        version, _separator, build = rest.partition(" ")
    spec = Spec(text, name, keys.get("version", version), keys.get("build", build), keys.get("channel", channel))
    if " " in spec.build:
        raise SpecError(
            f"'{text}' has more than a name, a version and a build; write it such as 'python 3.11.* *_cpython'."
        )
    _terms(spec.version, text)
    return spec


def version_matches(wish: str, version: str) -> bool:
    """Whether a version satisfies an expression such as C(=3.11), C(>=1,<2), C(1.2.*) or C(1.2|1.4)."""
    return any(all(_term_matches(*term, version) for term in every) for every in _terms(wish, wish))


def compare_versions(left: str, right: str) -> int:
    """Less than, equal to or greater than 0, in conda's order: 1.1dev < 1.1a < 1.1rc < 1.1 == 1.1.0 < 1.1post."""
    one, other = _split(left), _split(right)
    return _compare(one[0], other[0]) or _compare(one[1], other[1])


def _brackets(text: str, rest: str) -> tuple[str, dict[str, str]]:
    head, bracket, inside = rest.partition("[")
    if not bracket:
        return rest, {}
    pairs = re.findall(r"""(\w+)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^\s,'"\]]+))""", inside)
    keys = {key: single or double or bare for key, single, double, bare in pairs}
    unknown = sorted(set(keys) - {"version", "build", "channel"})
    if unknown or not keys or not inside.endswith("]"):
        raise SpecError(
            f"'{text}' has {', '.join(unknown) or 'nothing'} in brackets; version, build and channel are known."
        )
    return head, {key: _tight(value) for key, value in keys.items()}


def _tight(text: str) -> str:
    """Without the spaces that conda allows around commas and after operators."""
    return re.sub(r"([<>=!~])\s+", r"\1", re.sub(r"\s*([,|])\s*", r"\1", text)).strip()


def _terms(wish: str, text: str) -> list[list[tuple[str, str]]]:
    """The alternatives of an expression, each a list of (operator, version) that all must hold."""
    alternatives = []
    for alternative in wish.split("|") if wish else []:
        terms = []
        for term in alternative.split(","):
            found = _TERM.match(term)
            if not found:
                raise SpecError(f"'{text}' has '{term}' where a version is expected, such as 3.11, >=3.11 or 3.11.*.")
            terms.append((found.group(1) or "", found.group(2)))
        alternatives.append(terms)
    return alternatives or [[("", "*")]]


def _term_matches(operator: str, wish: str, version: str) -> bool:
    stem = wish.rstrip("*").rstrip(".")
    if not stem:
        return True
    if operator in ("<", "<=", ">", ">="):
        order = compare_versions(version, stem)
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]
    if operator == "~=":
        return compare_versions(version, stem) >= 0 and _starts_with(version, stem.rpartition(".")[0] or stem)
    if "*" in stem:
        return fnmatchcase(version, wish) != (operator == "!=")
    fuzzy = wish.endswith("*") or operator == "="
    same = _starts_with(version, stem) if fuzzy else compare_versions(version, wish) == 0
    return same != (operator == "!=")


def _channel_matches(wish: str, channel: str) -> bool:
    wish, channel = wish.rstrip("/"), channel.rstrip("/")
    return channel == wish or f"/{wish}/" in f"/{channel}/" or channel.startswith(f"{wish}/")


def _split(version: str) -> tuple[Components, Components]:
    text = version.strip().lower().replace("-", "_")
    epoch, _separator, rest = text.rpartition("!")
    public, _separator, local = rest.partition("+")
    return _components(f"{epoch or 0}.{public}"), _components(local)


def _components(text: str) -> Components:
    return [_atoms(part) for part in text.replace("_", ".").split(".") if part]


def _atoms(component: str) -> list[Atom]:
    special: dict[str, Atom] = {"post": float("inf"), "dev": "DEV"}
    atoms = [int(run) if run.isdigit() else special.get(run, run) for run in _RUNS.findall(component)]
    # A component begins with a number, so that numbers meet numbers: 1.rc1 is 1.0rc1.
    return atoms if component[0].isdigit() else [0, *atoms]


def _compare(left: Components, right: Components) -> int:
    nothing: list[Atom] = []
    for ours, theirs in zip_longest(left, right, fillvalue=nothing):
        for one, other in zip_longest(ours, theirs, fillvalue=0):
            if one != other:
                return -1 if _rank(one) < _rank(other) else 1
    return 0


def _rank(atom: Atom) -> tuple[int, str, float]:
    """Words come before numbers; in capitals, DEV comes before every other word."""
    return (0, atom, 0.0) if isinstance(atom, str) else (1, "", atom)


def _starts_with(version: str, stem: str) -> bool:
    ours, theirs = _split(version), _split(stem)
    if theirs[1]:
        return _compare(ours[0], theirs[0]) == 0 and _prefix(ours[1], theirs[1])
    return _prefix(ours[0], theirs[0])


def _prefix(ours: Components, theirs: Components) -> bool:
    """Equal up to the last atom of the shorter one, which a word only has to begin with: 1.2rc1 starts with 1.2r."""
    last = len(theirs) - 1
    if _compare(ours[:last], theirs[:last]) != 0:
        return False
    own, wish = (ours[last] if len(ours) > last else []), theirs[last]
    end = len(wish) - 1
    if _compare([own[:end]], [wish[:end]]) != 0:
        return False
    atom = own[end] if len(own) > end else 0
    if isinstance(wish[end], str):
        return isinstance(atom, str) and atom.startswith(str(wish[end]))
    return atom == wish[end]
