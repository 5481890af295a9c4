# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build needs of the system, as the packages of its distribution. Pure functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

HEADERS = "headers"


# The pip that takes several settings for a build, and what the build scripts of extensions of torch import.
_REQUIREMENTS = ("pip>=23.1", "setuptools", "wheel", "ninja", "packaging")
# Before it, torch.utils.cpp_extension imports what setuptools 70 took out of pkg_resources.
_TORCH_WITHOUT_PKG_RESOURCES = (2, 4)


class BuildPackagesError(ValueError):
    """Something is needed that is not known here; the text is a sentence for the user."""


def packages(needs: Iterable[str], facts: Mapping[str, Any], python: str, table: Mapping[str, Any]) -> list[str]:
    """The names of packages, in the order of the needs; empty for a distribution that is not known.

    :param needs: words of data/build_packages.yml, and C(headers) for those of a Python.
    :param facts: of the node: os_family and distribution_major_version.
    :param python: the version of the Python of the environment.
    :raises BuildPackagesError: a need is not known.
    """
    rows = {row["need"]: row for row in table["needs"]}
    family = str(facts.get("os_family"))
    found: list[str] = []
    for need in needs:
        if need == HEADERS:
            found += _headers(facts, family, python, table["headers"])
        elif need in rows:
            found += rows[need].get(family, [])
        else:
            raise BuildPackagesError(f"{need!r} is nothing that builds need; known are {', '.join([HEADERS, *rows])}.")
    return list(dict.fromkeys(found))


def _headers(facts: Mapping[str, Any], family: str, python: str, names: Mapping[str, Any]) -> list[str]:
    if family not in names:
        return []
    minor = ".".join(python.split(".")[:2])
    if family == "RedHat" and names["system_python"].get(str(facts.get("distribution_major_version"))) == minor:
        return [names["RedHat_system"]]
    return [names[family].format(minor=minor)]


def requirements(torch: str) -> list[str]:
    """What a build of extensions of torch imports, as requirements for the environment.

    :param torch: its version; empty where there is none.
    """
    numbers = tuple(int(part) for part in torch.split("+", maxsplit=1)[0].split(".")[:2] if part.isdigit())
    if numbers and numbers < _TORCH_WITHOUT_PKG_RESOURCES:
        return ["setuptools<70" if name == "setuptools" else name for name in _REQUIREMENTS]
    return list(_REQUIREMENTS)
