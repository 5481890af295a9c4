# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the GPUs of a node and a CUDA ask of a driver: its versions, and its kernel modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    Row,
    known_branches,
    least_driver,
    module_rule,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import FLAVOURS, Gpu
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark


@dataclass(frozen=True)
class Bounds:
    """What a driver must be. first, last: branches; least: a version; flavours: those that all GPUs run with."""

    cuda: str
    least: str
    first: str | None
    last: str | None
    first_gpu: str
    last_gpu: str
    flavours: tuple[str, ...]
    rules: tuple[Row, ...]

    def faults(self, driver: str, flavour: str | None) -> list[str]:
        """Why a driver cannot be used; driver is a version, or a branch, which stands for its newest version."""
        least = self.least if "." in driver else major(self.least)
        branch = major(driver)
        found = []
        if numbers(driver) < numbers(least):
            found.append(f"CUDA {self.cuda} needs {self.least} or newer")
        if self.first and numbers(branch) < numbers(self.first):
            found.append(f"{self.first_gpu} needs {self.first} or newer")
        if self.last and numbers(branch) > numbers(self.last):
            found.append(f"{self.last} is the last branch for {self.last_gpu}")
        if flavour and flavour not in self.flavours:
            found.append(
                f"its kernel modules are the {flavour} ones, and its GPUs run only with the {self.flavours[0]} ones"
            )
        return found

    def flavour(self, branch: str) -> str:
        """The kernel modules that NVIDIA's own packages of a branch take for these GPUs."""
        if len(self.flavours) == 1:
            return self.flavours[0]
        return (
            "open"
            if all(numbers(branch) >= numbers(rule["open_default_from"]) for rule in self.rules)
            else "proprietary"
        )

    def flavour_fault(self, flavour: str, branch: str) -> str | None:
        """Why kernel modules cannot be had, for these GPUs or from a branch."""
        if flavour not in self.flavours:
            return f"its GPUs run only with the {self.flavours[0]} kernel modules"
        begins = [str(rule["open_from"]) for rule in self.rules if rule.get("open_from")]
        ends = [str(rule["proprietary_last_branch"]) for rule in self.rules if rule["proprietary_last_branch"]]
        if flavour == "open" and begins and numbers(branch) < numbers(max(begins, key=numbers)):
            return f"the branch {branch} has no open ones, which begin with {max(begins, key=numbers)}"
        if flavour == "proprietary" and ends and numbers(branch) > numbers(min(ends, key=numbers)):
            return f"the branch {branch} has no proprietary ones, which ended with {min(ends, key=numbers)}"
        return None


def _rule(gpu: Gpu, machine: str) -> Row:
    """Grace Hopper is a Hopper in a machine of aarch64, and has a rule of its own."""
    return module_rule("Grace Hopper" if gpu.architecture == "Hopper" and machine == "aarch64" else gpu.architecture)


def _flavours(rule: Row) -> tuple[str, ...]:
    return {"unsupported": ("proprietary",), "required": ("open",)}.get(str(rule["open"]), FLAVOURS)


def bounds_of(gpus: Sequence[Gpu], machine: str, cuda: str) -> tuple[Bounds, Remark | None]:
    """What a driver must be, and why there is none for these GPUs together."""
    known = [(gpu, *known_branches(gpu.architecture, gpu.capability)) for gpu in gpus]
    firsts = [(numbers(low), low, gpu.name) for gpu, low, _high in known if low]
    lasts = [(numbers(high), high, gpu.name) for gpu, _low, high in known if high]
    _number, first, first_gpu = max(firsts, default=((), None, ""))
    _number, last, last_gpu = min(lasts, default=((), None, ""))
    rules = [(gpu, _rule(gpu, machine)) for gpu in gpus]
    flavours = tuple(kind for kind in FLAVOURS if all(kind in _flavours(rule) for _gpu, rule in rules))
    why = None
    if first and last and numbers(first) > numbers(last):
        why = f"no driver knows both {last_gpu} (up to branch {last}) and {first_gpu} (from branch {first})"
    elif not flavours:
        opened = next(gpu.name for gpu, rule in rules if _flavours(rule) == ("open",))
        closed = next(gpu.name for gpu, rule in rules if _flavours(rule) == ("proprietary",))
        why = f"{opened} needs the open kernel modules and {closed} the proprietary ones, and a kernel loads one kind"
    bounds = Bounds(
        cuda,
        least_driver(cuda),
        first,
        last,
        first_gpu,
        last_gpu,
        flavours or FLAVOURS,
        tuple(rule for _gpu, rule in rules),
    )
    remedy = "give one kind of them a machine of its own, or take the node out of group 'nodes'"
    return bounds, Remark("driver", f"{{hosts}}: {why}; {remedy}") if why else None
