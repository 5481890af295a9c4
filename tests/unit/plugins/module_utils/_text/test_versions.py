"""One way to read versions of dotted numbers."""

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, minor, numbers


@pytest.mark.parametrize(
    ("older", "newer"),
    [("535.86.10", "535.104.05"), ("3.9", "3.10"), ("2.9.1", "2.10.0+cu126"), ("12", "12.0"), ("", "0")],
)
def test_numbers_sort_versions(older: str, newer: str) -> None:
    assert numbers(older) < numbers(newer)


def test_a_local_tag_and_letters_are_left_out() -> None:
    assert numbers("2.4.1+cu121") == numbers("2.4.1") == (2, 4, 1)
    assert numbers("535.104.05-server") == (535, 104, 5)


@pytest.mark.parametrize(
    ("version", "short"), [("12.4.1", "12.4"), ("3.11", "3.11"), ("2.3.0+cu121", "2.3"), ("13", "13"), ("", "")]
)
def test_minor_has_two_numbers(version: str, short: str) -> None:
    assert minor(version) == short


def test_major_is_the_branch_of_a_driver() -> None:
    assert major("580.95.05") == major("580") == "580"
