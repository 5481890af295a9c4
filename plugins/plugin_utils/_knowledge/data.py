# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known about the world: the files of the folder C(data), read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

FOLDER = Path(__file__).parents[3] / "data"


@cache
def rows(name: str) -> dict[str, Any]:
    """All that C(data/<name>.yml) says; its readers leave it as it is.

    :raises OSError: there is no such file. yaml.YAMLError: it cannot be read.
    """
    found: dict[str, Any] = yaml_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return found
