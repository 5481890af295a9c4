# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a spec of conda's asks for, in tables of specs and versions."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.spec import (
    Package,
    SpecError,
    compare_versions,
    parse_spec,
)

PYTHON = Package("python", "3.11.2", "0_cpython", "https://conda.anaconda.org/conda-forge/linux-64")

# The table in the documentation of conda's VersionOrder, smallest first.
ASCENDING = [
    *("0.4", "0.4.1.rc", "0.4.1", "0.5a1", "0.5b3", "0.5C1", "0.5", "0.9.6", "0.960923", "1.0", "1.1dev1", "1.1a1"),
    *("1.1.0dev1", "1.1.a1", "1.1.0rc1", "1.1.0", "1.1.0post1", "1.1post1", "1996.07.12"),
    *("1!0.4.1", "1!3.1.1.6", "2!0.4.1"),
]

EQUAL = [("0.4", "0.4.0"), ("0.4.1.rc", "0.4.1.RC"), ("1.1.0dev1", "1.1.dev1"), ("1.1.0", "1.1"), ("1.0-1", "1.0_1")]

SATISFIED = [
    "python",
    "Python",
    "python=3",
    "python=3.11",
    "python=3.11.2",
    "python=3.11.*",
    "python 3.11.*",
    "python==3.11.2",
    "python 3.11.2",
    "python 3.11.2.0",
    "python>=3.9,<4",
    "python >=3.9, <4",
    "python>3.11.1",
    "python<=3.11.2",
    "python!=3.11.3",
    "python!=3.12.*",
    "python~=3.11.0",
    "python=3.10|=3.11",
    "python>=3.12|3.11.*",
    "python=3.11.2=0_cpython",
    "python=3.11.*=*_cpython",
    "python==3.11.2=0_*",
    "python 3.11.* *_cpython",
    "python[version='>=3.9']",
    'python[version=">=3.9,<4",build="*_cpython"]',
    "conda-forge::python",
    "conda-forge::python=3.11",
    "https://conda.anaconda.org/conda-forge::python",
    "python=*",
    "python *",
]

NOT_SATISFIED = [
    "pip",
    "python=3.1",
    "python=3.12",
    "python==3.11",
    "python 3.11",
    "python>=3.12",
    "python<3.11",
    "python!=3.11.*",
    "python~=3.12.0",
    "python=3.11.2=1_cpython",
    "python=3.11=0_cpython",
    "python[build='*_debug']",
    "defaults::python",
    "forge::python",
]

UNREADABLE = [
    ("", "not a package spec"),
    ("/tmp/python-3.11.2-0.conda", "not a package spec"),
    ("python-3.11.2-0.tar.bz2", "not a package spec"),
    ("=3.11", "does not begin with the name"),
    ("python=>3", "'=>3'"),
    ("python>=3,,<4", "''"),
    ("python 3.11 build more", "more than a name"),
    ("python[md5=abc]", "md5 in brackets"),
    ("python[version=3.11", "in brackets"),
    ("python>=(3|4)", "'>=(3'"),
]


@pytest.mark.parametrize(("smaller", "greater"), list(itertools.pairwise(ASCENDING)))
def test_versions_are_ordered_as_conda_orders_them(smaller: str, greater: str) -> None:
    assert compare_versions(smaller, greater) < 0
    assert compare_versions(greater, smaller) > 0


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_differ_in_writing_only_are_equal(one: str, other: str) -> None:
    assert compare_versions(one, other) == 0


@pytest.mark.parametrize("text", SATISFIED)
def test_every_form_of_spec_recognises_a_package_that_satisfies_it(text: str) -> None:
    assert parse_spec(text).satisfied_by(PYTHON)


@pytest.mark.parametrize("text", NOT_SATISFIED)
def test_every_form_of_spec_rejects_a_package_that_does_not_satisfy_it(text: str) -> None:
    assert not parse_spec(text).satisfied_by(PYTHON)


@pytest.mark.parametrize(("text", "sentence"), UNREADABLE)
def test_what_is_no_spec_is_refused_with_its_text(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_spec(text)
    assert sentence in str(refused.value)
    assert f"'{text}'" in str(refused.value)
