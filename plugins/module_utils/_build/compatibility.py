# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a wheel that was built on one node can be used on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers


@dataclass(frozen=True)
class Here:
    """What a node has of that which a wheel needs. torch: its version with its build; empty where there is none."""

    machine: str
    glibc: str | None
    python: str
    torch: str
    instructions: Sequence[str]


def problems(wheel: Mapping[str, Any], here: Here) -> list[str]:
    """Why a wheel does not fit, a sentence each.

    :param wheel: as wheel_build returned it.
    """
    needs, name = wheel["needs"], f"The wheel {wheel['filename']}"
    built = f"was built on {wheel['built_on']}"
    elsewhere = "Run the role in a play of its own for nodes of this kind, which then build one for themselves"
    found = []
    if needs["machine"] != here.machine:
        found.append(f"{name} {built} for {needs['machine']}, and this node is {here.machine}. {elsewhere}.")
        return found
    if (needs["glibc"] is None) != (here.glibc is None):
        libraries = [
            f"glibc {library}" if library else "another C library than glibc"
            for library in (needs["glibc"], here.glibc)
        ]
        found.append(f"{name} {built} with {libraries[0]}, and this node has {libraries[1]}. {elsewhere}.")
    elif needs["glibc"] and here.glibc and numbers(needs["glibc"]) > numbers(here.glibc):
        found.append(
            f"{name} {built} with glibc {needs['glibc']}, and this node has the older {here.glibc}. Build on the "
            "node with the oldest glibc of all (the role's variable _builder): what is built there runs on the others."
        )
    python = minor(here.python)
    if needs["python"] != python:
        found.append(
            f"{name} {built} for Python {needs['python']}, and the environment here has {python}. Make the same "
            "environment on all nodes (role conda)."
        )
    if needs["torch"] and needs["torch"] != here.torch:
        found.append(
            f"{name} {built} with torch {needs['torch']}, and the environment here has {here.torch or 'none'}. "
            "Install the same torch on all nodes (role torch)."
        )
    lacking = sorted(set(needs["instructions"]) - set(here.instructions))
    if lacking:
        found.append(
            f"{name} {built} for the very processor there, and the one of this node lacks {', '.join(lacking)}. "
            "Build on a node with the oldest processor (the role's variable _builder)."
        )
    return found
