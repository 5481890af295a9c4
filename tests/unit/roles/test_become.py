# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parents[3] / "roles"


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All tasks of a list, those in blocks too."""
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


def test_what_is_done_as_another_account_needs_no_file_to_be_handed_over() -> None:
    """Without pipelining Ansible fails where the node has no ACLs and neither account is root."""
    as_user, piped = [], []
    for file in sorted(ROLES.glob("*/tasks/*.yml")):
        for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8")) or []):
            variables = task.get("vars", {})
            if "ansible_become_user" in variables:
                as_user.append(f"{file}: {task['name']}")
                piped += as_user[-1:] if variables.get("ansible_pipelining") is True else []
    assert as_user
    assert as_user == piped
