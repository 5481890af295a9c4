# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build needs of the system, as the packages of its distribution. Pure functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers

HEADERS = "headers"


# The pip that takes several settings for a build, and what the build scripts of extensions of torch import.
_REQUIREMENTS = ("pip>=23.1", "setuptools", "wheel", "ninja", "packaging")
# Before it, torch.utils.cpp_extension imports what setuptools 70 took out of pkg_resources.
_TORCH_WITHOUT_PKG_RESOURCES = (2, 4)


class BuildPackagesError(ValueError):
    """Something is needed that is not known here; the text is a sentence for the user."""


def packages(
    needs: Iterable[str], facts: Mapping[str, Any], environment: Mapping[str, Any], table: Mapping[str, Any]
) -> list[str]:
    """The names of packages, in the order of the needs; empty for a distribution that is not known.

    :param needs: words of data/build_packages.yml, and C(headers) for those of the environment's Python.
    :param facts: of the node: os_family and distribution_major_version.
    :param environment: what environment_info says of the environment: python and headers.
    :raises BuildPackagesError: a need is not known.
    """
    rows = {row["need"]: row for row in table["needs"]}
    family = str(facts.get("os_family"))
    found: list[str] = []
    for need in needs:
        if need == HEADERS:
            found += _headers(facts, environment, table["headers"])
        elif need in rows:
            found += rows[need].get(family, [])
        else:
            raise BuildPackagesError(f"{need!r} is nothing that builds need; known are {', '.join([HEADERS, *rows])}.")
    return list(dict.fromkeys(found))


def advice(facts: Mapping[str, Any], environment: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, str]:
    """What to do where the package with the headers of the environment's Python is not offered, by its name."""
    sentence = (
        f"Python {environment.get('python')} in {environment.get('prefix')} has no headers (Python.h), without which "
        "nothing can be compiled for it; create that environment with the role conda, whose Python includes them, or "
        "with a Python whose headers the repositories of this node have."
    )
    return dict.fromkeys(_headers(facts, environment, table["headers"]), sentence)


def _headers(facts: Mapping[str, Any], environment: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The package with the headers; none where they are there, or where there is no Python yet."""
    python = minor(str(environment.get("python", "")))
    if environment.get("headers") or not python:
        return []
    release = str(facts.get("distribution_major_version"))
    return [
        row.get("unlike", {}).get(release, {}).get(python) or row["package"].format(minor=python)
        for row in rows
        if row["family"] == str(facts.get("os_family"))
    ]


def requirements(torch: str) -> list[str]:
    """What a build of extensions of torch imports, as requirements for the environment.

    :param torch: its version; empty where there is none.
    """
    if torch and numbers(torch)[:2] < _TORCH_WITHOUT_PKG_RESOURCES:
        return ["setuptools<70" if name == "setuptools" else name for name in _REQUIREMENTS]
    return list(_REQUIREMENTS)
