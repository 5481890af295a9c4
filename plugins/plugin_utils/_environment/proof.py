# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the proof of an environment looks at for each kind of installation, and what it records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import apex, deepspeed_switches, torch

Environment = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of installation.

    :ivar gather: what environment_info has to import.
    :ivar problems: from what it returned, and what was installed, to a sentence for each difference.
    :ivar imports: the further modules that must import.
    """

    gather: Sequence[str]
    problems: Callable[[Environment, Mapping[str, Any]], list[str]]
    imports: Callable[[Mapping[str, Any]], list[str]] = lambda _installed: []


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
    "training_libs": Kind(
        ("packages",), lambda _environment, _installed: [], lambda installed: list(installed["imports"])
    ),
}


def import_command(prefix: str, modules: Iterable[str]) -> list[str]:
    """A command that imports modules in an environment, and ends with the error of the first that does not import."""
    script = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    return [f"{prefix}/bin/python", "-I", "-c", script, *modules]


def import_problem(prefix: str, modules: Iterable[str], errors: str) -> str:
    """The sentence about modules that do not import.

    :param errors: what the command wrote on its standard error.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    reason = lines[-1] if lines else "the interpreter was ended without a word"
    return f"{listed(modules)} are installed in {prefix}, and do not all import: {reason.rstrip('.')}."


def recorded(record: Mapping[str, Any], environment: Environment, packages: Iterable[str]) -> dict[str, Any]:
    """A record with the installed versions of packages in C(found)."""
    installed = environment["packages"]
    return {**record, "found": {name: installed[name] for name in sorted(packages) if name in installed}}
