"""The page that says where to change what names files and functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| you want")]
PLACES = sorted(set(re.findall(r"`((?:plugins|roles|data|changelogs|tests)/[\w./-]*[\w/])`", PAGE)))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_is_named_exists(place: str) -> None:
    assert (ROOT / place).exists()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_row_names_what_is_in_its_first_file(row: str) -> None:
    first = row.split("|")[2]
    file = re.search(r"`([\w./]+\.(?:py|yml))`", first)
    names = [name for name in re.findall(r"`([a-z_]+)`", first) if file]
    assert "`" in first
    for name in names:
        assert name in (ROOT / file[1]).read_text(encoding="utf-8")  # type: ignore[index]
