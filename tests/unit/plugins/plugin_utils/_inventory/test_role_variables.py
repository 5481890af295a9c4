# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import (
    complaint,
    role_options,
    shown,
)

FITS: list[tuple[Any, dict[str, Any]]] = [
    ("2.0.1+cu117", {"type": "str"}),
    ("x", {}),
    (3.11, {"type": "str"}),
    (3, {"type": "str"}),
    ("4", {"type": "int"}),
    ("yes", {"type": "bool"}),
    ("a,b", {"type": "list", "elements": "str"}),
    ({"a": 1}, {"type": "dict"}),
    ({"cpu": 4}, {"type": "dict", "options": {"cpu": {"type": "float"}}}),
    (None, {"type": "str", "default": None}),
    (["anything"], {"type": "raw"}),
    ("b", {"type": "str", "choices": ["a", "b"]}),
]

DOES_NOT_FIT: list[tuple[Any, dict[str, Any], str]] = [
    (["2.0.1"], {"type": "str"}, "must be a text"),
    ({"a": 1}, {"type": "str"}, "must be a text"),
    (True, {"type": "str"}, "must be a text"),
    (["x"], {}, "must be a text"),
    (3.1, {"type": "str"}, "3.10 are the same number"),
    ("soon", {"type": "int"}, "must be a whole number"),
    (True, {"type": "int"}, "must be a whole number"),
    ("much", {"type": "float"}, "must be a number"),
    ("perhaps", {"type": "bool"}, "must be true or false"),
    (7, {"type": "dict"}, "must be a mapping"),
    ({"a": 1}, {"type": "list"}, "must be a list"),
    (7, {"type": "path"}, "must be a path"),
    (None, {"type": "str"}, "remove the variable"),
    (None, {"type": "int", "default": 3}, "remove the variable"),
    ("c", {"type": "str", "choices": ["a", "b"]}, "must be one of a, b"),
    ({"cpu": "big"}, {"type": "dict", "options": {"cpu": {"type": "float"}}}, "cpu"),
    ({"gpu": 4}, {"type": "dict", "options": {"cpu": {"type": "float"}}}, "gpu"),
    (["x"], {"type": "list", "elements": "int"}, "each element is a whole number"),
]


@pytest.mark.parametrize(("value", "option"), FITS)
def test_a_value_that_fits_is_left_alone(value: Any, option: dict[str, Any]) -> None:
    assert complaint("role_x", value, option) is None


@pytest.mark.parametrize(("value", "option", "said"), DOES_NOT_FIT)
def test_a_value_that_does_not_fit_is_told_in_words(value: Any, option: dict[str, Any], said: str) -> None:
    assert said in str(complaint("role_x", value, option))


def test_required_options_are_no_matter_of_a_single_value() -> None:
    assert complaint("role_x", "y", {"type": "str", "required": True}) is None


def test_options_of_all_entry_points_of_all_roles_are_read(tmp_path: Path) -> None:
    for role, text in {
        "one": "argument_specs: {main: {options: {one_a: {type: str}}}, other: {options: {one_b: {type: int}}}}",
        "two": "argument_specs: {main: {short_description: nothing}}",
    }.items():
        (tmp_path / role / "meta").mkdir(parents=True)
        (tmp_path / role / "meta" / "argument_specs.yml").write_text(text, encoding="utf-8")
    assert role_options(tmp_path) == {"one_a": {"type": "str"}, "one_b": {"type": "int"}}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "empty"), ("a", "'a'"), (["a"], "['a']"), ("x" * 99, f"'{'x' * 76}...")]
)
def test_a_value_is_shown_as_in_the_inventory(value: Any, text: str) -> None:
    assert shown(value) == text
