# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the proof of an environment looks at for each kind of installation, and what it records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import apex, deepspeed_switches, torch

Environment = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of installation.

    :ivar gather: what environment_info has to import.
    :ivar problems: from what it returned, and what was installed, to a sentence for each difference.
    """

    gather: Sequence[str]
    problems: Callable[[Environment, Mapping[str, Any]], list[str]]


KINDS: Mapping[str, Kind] = {
    "torch": Kind(
        ("torch", *torch.COMPANIONS), lambda environment, installed: torch.problems(environment, installed["packages"])
    ),
    "apex": Kind(
        ("torch", "apex"), lambda environment, installed: apex.shortcomings(environment, installed["extensions"])
    ),
    "deepspeed": Kind(
        ("torch", "deepspeed"),
        lambda environment, installed: list(
            deepspeed_switches.problems(
                environment, installed["version"], installed["switches"], installed["compatible"]
            )
        ),
    ),
}


def recorded(record: Mapping[str, Any], environment: Environment, packages: Iterable[str]) -> dict[str, Any]:
    """A record with the installed versions of packages in C(found)."""
    installed = environment["packages"]
    return {**record, "found": {name: installed[name] for name in packages if name in installed}}
