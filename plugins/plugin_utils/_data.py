# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known about the world: the files of the folder C(data), read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "data"
# The parser in C is ten times as fast, and not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def rows(name: str) -> dict[str, Any]:
    """All that C(data/<name>.yml) says; its readers leave it as it is.

    :raises OSError: there is no such file. yaml.YAMLError: it cannot be read.
    """
    # The loader is a safe one, of both that there are.
    found: dict[str, Any] = yaml.load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"), Loader=_LOADER)
    return found
