# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the metadata say of systems and of Ansible is what preflight accepts, everywhere the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/meta/main.yml"))

# Galaxy knows Debian and Ubuntu by these names, and what is built from RHEL's sources as EL.
CODENAMES = {
    ("Debian", "12"): "bookworm",
    ("Debian", "13"): "trixie",
    ("Ubuntu", "22.04"): "jammy",
    ("Ubuntu", "24.04"): "noble",
}


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def platforms_of_preflight() -> dict[str, set[str]]:
    """The systems that preflight accepts, as Galaxy names them."""
    platforms: dict[str, set[str]] = {}
    for system, versions in load("roles/preflight/defaults/main.yml")["preflight_systems"].items():
        for version in versions:
            known = any(name == system for name, _version in CODENAMES)
            platforms.setdefault(system if known else "EL", set()).add(CODENAMES[system, version] if known else version)
    return platforms


def test_every_role_has_metadata() -> None:
    assert sorted(path.name for path in (ROOT / "roles").iterdir()) == ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_the_systems_that_preflight_accepts(role: str) -> None:
    platforms = load(f"roles/{role}/meta/main.yml")["galaxy_info"]["platforms"]
    assert {entry["name"]: set(entry["versions"]) for entry in platforms} == platforms_of_preflight()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_needs_the_ansible_of_the_collection(role: str) -> None:
    floor = load("meta/runtime.yml")["requires_ansible"]
    assert floor == f">={load(f'roles/{role}/meta/main.yml')['galaxy_info']['min_ansible_version']}.0"


def test_every_rebuild_of_rhel_has_the_same_releases() -> None:
    systems = load("roles/preflight/defaults/main.yml")["preflight_systems"]
    own = {system for system, _version in CODENAMES}
    assert len({tuple(versions) for system, versions in systems.items() if system not in own}) == 1
