# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verdict is made of: checks, and what the probes of a cluster found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Found = Mapping[str, Any]

RUN_SITE = "Run the playbook 'site'"
RUN_MESH = "Run the playbook 'site' with the tag ssh_mesh"


@dataclass(frozen=True)
class Check:
    """One thing that was proved or not: on which layer, where, why not, and what to do about it."""

    layer: str
    name: str
    node: str
    ok: bool
    reason: str = ""
    fix: str = ""
    seconds: float = 0.0

    @property
    def by_site(self) -> bool:
        """Whether the playbook site sets up what is missing."""
        return not self.ok and self.fix.startswith(RUN_SITE)

    def sentence(self) -> str:
        """The failure for people."""
        reason = self.reason[:1].upper() + self.reason[1:].rstrip(".")
        return f"{self.node}, {self.layer}: {reason}. {self.fix}".rstrip()


@dataclass(frozen=True)
class Cluster:
    """What the probes of a run found; the filter C(verdict) says more about each field."""

    nodes: Sequence[str]
    head: str
    away: Sequence[str] = ()
    lost: Sequence[str] = ()
    idle: Sequence[str] = ()
    set_aside: Mapping[str, Found] = field(default_factory=dict)
    accelerator: str = "auto"
    packages: Sequence[str] = ()
    environments: Mapping[str, Found] = field(default_factory=dict)
    ssh: Mapping[str, Found] = field(default_factory=dict)
    pdsh: Found = field(default_factory=dict)
    training: Found = field(default_factory=dict)
    check_mode: bool = False
