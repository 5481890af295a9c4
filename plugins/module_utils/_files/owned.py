# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells what a file holds now, who wrote it, and what has to happen to it. Pure functions over texts."""

from __future__ import annotations

import difflib
import hashlib
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: What a record says of a file, by its path: the SHA-256 sum of what was written there last.
Record = Mapping[str, str]


_ASSIGNMENT = re.compile(r"^(?P<before>[-+ ]?(?:export\s+)?)(?P<name>[A-Za-z_]\w*)=(?P<value>.*)$", re.MULTILINE)
_SECRET_LENGTH = 8


@dataclass(frozen=True)
class Judgement:
    """What to do with one file: write or remove it, and first keep what is there."""

    write: bool
    by_hand: bool
    difference: str


def digest(content: str) -> str:
    """The SHA-256 sum of a text, as hexadecimal digits."""
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def lines_record(content: str) -> str:
    """The sums of the lines of a text, for a record of a file that others add lines to."""
    return " ".join(digest(line)[:16] for line in content.splitlines())


def _name(line: str) -> str:
    found = _ASSIGNMENT.match(line)
    return found["name"] if found else ""


def merged(present: str | None, wanted: str, written: str | None) -> str:
    """A file of C(NAME=VALUE) lines, with the lines that others have added for names that it does not have.

    :param present: what it holds; None where there is no file.
    :param written: lines_record() of what was written last; None where nobody knows. Its lines are not those of others.
    """
    names, ours = {_name(line) for line in wanted.splitlines()}, (written or "").split()
    others = [
        line
        for line in (present or "").splitlines()
        if _name(line) and _name(line) not in names and digest(line)[:16] not in ours
    ]
    return "".join(f"{line}\n" for line in (*wanted.splitlines(), *others))


def is_lossless(present: str | None, after: str, written: str | None) -> bool:
    """Whether a new text of a file has every line that others have added to it."""
    kept = {*after.splitlines()}
    ours = (written or "").split()
    return all(line in kept or digest(line)[:16] in ours for line in (present or "").splitlines())


def without_values(text: str) -> str:
    """A text of C(NAME=VALUE) lines, or a difference of two, with the values left out."""
    return _ASSIGNMENT.sub(r"\g<before>\g<name>=...", text)


def values(text: str) -> list[str]:
    """The values of C(NAME=VALUE) lines that are long enough to be secrets; paths are none."""
    found = (match["value"].strip("'\"") for match in _ASSIGNMENT.finditer(text))
    return [value for value in found if len(value) >= _SECRET_LENGTH and not value.startswith("/")]


def judge(path: str, present: str | None, wanted: str | None, record: Record | None) -> Judgement:
    """Compare a file with what it should hold and with what was written there last.

    :param path: where the file lies; the key of its entry in the record.
    :param present: what it holds; None where there is no file.
    :param wanted: what it should hold; None where it is only looked at.
    :param record: the sums of what was written last; None where nobody kept them, so that no hand can be told.
    """
    by_hand = present is not None and record is not None and record.get(path) != digest(present)
    if wanted is None or present == wanted:
        # The same words, whoever wrote them: there is nothing to keep.
        return Judgement(False, by_hand and present != wanted, "")
    difference = "".join(
        difflib.unified_diff(
            (present or "").splitlines(keepends=True), wanted.splitlines(keepends=True), path, "written now"
        )
    )
    return Judgement(True, by_hand, difference)


def judge_removal(path: str, present: str | None, record: Record | None) -> Judgement:
    """As judge(), for a file that must not be there."""
    by_hand = present is not None and record is not None and record.get(path) != digest(present)
    difference = difflib.unified_diff((present or "").splitlines(keepends=True), [], path, "removed now")
    return Judgement(present is not None, by_hand, "".join(difference))


def left_over(record: Record, named: Collection[str], folders: Iterable[str]) -> list[str]:
    """The files below some folders, or at some paths, that were written once and that nobody names any more.

    :param record: what was written. named: the paths that still belong there. folders: absolute paths, also of files.
    """
    places = {posixpath.normpath(folder) for folder in folders}
    inside = tuple(f"{place}/" for place in places)
    return sorted(
        path
        for path in record
        # A path that leads out of the folder is none that this collection has written.
        if path not in named and path == posixpath.normpath(path) and (path in places or path.startswith(inside))
    )
