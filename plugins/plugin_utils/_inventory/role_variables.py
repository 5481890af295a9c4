# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values against the roles' argument specifications, before any role runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

Option = Mapping[str, Any]
Options = Mapping[str, Option]

ROLES = Path(__file__).parents[3] / "roles"

_WORDS = {
    "str": "a text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
}
# What Ansible would turn into the type without a word, though nobody can have meant it.
_NEVER: Mapping[str, tuple[type, ...]] = {
    "str": (list, dict, bool),
    "path": (list, dict, bool, int, float),
    "int": (bool,),
    "float": (bool,),
}


def shown(value: Any) -> str:
    """A value as a reader knows it from the inventory, cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def role_options(roles: Path) -> dict[str, Option]:
    """The options of every entry point of every role under a folder, by name."""
    found: dict[str, Option] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs") or {}
        for entry in specs.values():
            found |= entry.get("options") or {}
    return found


@cache
def role_defaults(roles: Path) -> dict[str, Any]:
    """The defaults of every role under a folder, not evaluated, by name."""
    found: dict[str, Any] = {}
    for path in sorted(roles.glob("*/defaults/main.yml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return found


@cache
def role_vars(roles: Path) -> dict[str, Any]:
    """The internal variables of every role under a folder that are the same for all systems, not evaluated, by name."""
    found: dict[str, Any] = {}
    for path in sorted(roles.glob("*/vars/main.yml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return found


def complaint(name: str, value: Any, option: Option) -> str | None:
    """What is wrong with one value, as the end of a sentence that begins with "it"; null where nothing is.

    Stricter than Ansible where Ansible turns one type into another without a word: a list is not a text, and a number
    with one digit after the point has lost the zeros that a version may have had.
    """
    kind = str(option.get("type") or "str")
    if kind not in _WORDS:
        return None
    wanted = f"must be {_WORDS[kind]}"
    if value is None:
        default_is_null = "default" in option and option["default"] is None
        return None if default_is_null else f"{wanted}; remove the variable to use its default"
    if isinstance(value, _NEVER.get(kind, ())):
        return wanted
    if kind == "str" and isinstance(value, float) and re.fullmatch(r"\d+\.\d", str(value)):
        return f"{wanted} in quotes, because {value} and {value}0 are the same number"
    return _declared_complaint(name, value, option, wanted)


def _declared_complaint(name: str, value: Any, option: Option, wanted: str) -> str | None:
    spec = {key: part for key, part in option.items() if key not in ("required", "default", "aliases")}
    errors = ArgumentSpecValidator({name: spec}).validate({name: value}).error_messages
    if any(text.startswith(f"argument '{name}' is of type") for text in errors):
        return wanted
    if any(text.startswith(f"Elements value for option '{name}'") for text in errors):
        return f"{wanted} in which each element is {_WORDS.get(option['elements'], option['elements'])}"
    if option.get("choices") and any(text.startswith(f"value of {name} must be one") for text in errors):
        return f"must be one of {', '.join(map(str, option['choices']))}"
    return f"does not fit: {'; '.join(errors)}".rstrip(".") if errors else None
