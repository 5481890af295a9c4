# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads single wishes, and keeps what there is to say about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import (
    Remark,
    named_near,
    near_names,
)

# The variables that users set, by the names that wishes have here.
VARIABLES = {
    "stack": "cluster_stack",
    "accelerator": "cluster_accelerator",
    "python": "conda_python_version",
    "torch": "torch_version",
    "torch_build": "torch_build",
    "cuda": "cuda_toolkit_versions",
    "deepspeed": "deepspeed_version",
    "apex": "apex_ref",
    "apex_mismatch": "apex_allow_cuda_minor_mismatch",
    "driver_branch": "nvidia_driver_branch",
    "driver_version": "nvidia_driver_version",
    "bf16": "bf16",
}
# What is not released yet, or was built apart: 2.16.0.dev20261101, 2.4.0a0, 2.5.0rc1.
APART = re.compile(r"(\d+(?:\.\d+)+)\.?(?:a|b|rc|dev|post)\d*")
_NONE = ("", "auto", "none", "null", "omit")


def _longer(text: str, known: Iterable[str]) -> list[str]:
    """The known versions that YAML makes text of, where they are written without quotes: 3.10 becomes 3.1."""
    return [item for item in known if f"{item}.".startswith(f"{text}0.")]


class Reader:
    """Reads one mapping, and keeps what it has to say."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.faults: list[Remark] = []
        self.warnings: list[str] = []
        self.meant: dict[str, Sequence[str]] = {}

    def complain(self, subject: str, text: str) -> None:
        self.faults.append(Remark(subject, text))

    def text(self, name: str, known: Iterable[str] = ()) -> str:
        """A wish as text, empty where there is none."""
        value = self.given.get(name)
        if isinstance(value, (bool, list, tuple, Mapping)):
            self.complain(name, f"{VARIABLES[name]} is {value!r}; it must be one value, as text.")
            return ""
        text = "" if value is None else str(value).strip()
        if text.lower() in _NONE:
            return ""
        if not isinstance(value, float):
            return text
        said = f"{VARIABLES[name]} is the number {text}, and YAML reads {text}0 without quotes as that too"
        longer = _longer(text, known)
        if not longer:
            self.warnings.append(f"{said}; quote it.")
            return text
        self.complain(name, f"{said}; quote what is meant.")
        self.meant[name] = [item for item in known if f"{item}.".startswith(f"{text}.")][:1] + longer[:1]
        return ""

    def version(self, name: str, text: str, known: Iterable[str], what: str) -> str:
        """A version that is known, or newer than all that are; else nothing, and a complaint with the nearest."""
        versions = list(known)
        if not text or text in versions:
            return text
        apart = APART.fullmatch(text)
        if apart and numbers(apart[1]) >= numbers(versions[0]):
            like = apart[1] if apart[1] in versions else versions[-1]
            self.warnings.append(f"Nothing is known about {what} {text}; it is taken to be as {like} is.")
            return text
        if not re.fullmatch(r"\d+(\.\d+)*", text):
            self.meant[name] = near_names(text, versions)
            said = f"{VARIABLES[name]} is {text!r}, which is no version of {what}{named_near(self.meant[name])}."
            self.complain(name, said)
            return ""
        if numbers(text) > numbers(versions[-1]):
            self.warnings.append(f"Nothing is known about {what} {text}; it is taken to be as {versions[-1]} is.")
            return text
        if numbers(text) < numbers(versions[0]) and not _longer(text, versions):
            said = f"{VARIABLES[name]} is {text}; the oldest {what} that anything is known about is {versions[0]}."
            self.complain(name, said)
            self.meant[name] = [versions[0]]
            return ""
        near, longer = near_names(text, versions), _longer(text, versions)[:1]
        hint = f"; {text}0 without quotes arrives as {text}" if longer else ""
        self.complain(name, f"{VARIABLES[name]}: there is no {what} {text}{named_near(near)}{hint}.")
        self.meant[name] = [*longer, *near]
        return ""
