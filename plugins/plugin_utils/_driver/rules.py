# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the GPUs of a node ask of a driver: its versions, and its kernel modules. The only reader of these rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    Row,
    default_branch,
    known_branches,
    module_rule,
)

FLAVOURS = ("open", "proprietary")


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU; what is not known is none. For AMD the capability is the gfx name."""

    vendor: str
    name: str
    architecture: str | None
    capability: str | None


@dataclass(frozen=True)
class Rules:
    """What a driver must be.

    :ivar first, last: branches. flavours: the kernel modules that all GPUs run with.
    :ivar least: the oldest sufficient version, empty where any is. cuda: what needs it, empty where a user does.
    :ivar conflict: why no driver serves these GPUs together, empty where one does.
    """

    first: str | None
    last: str | None
    first_gpu: str
    last_gpu: str
    flavours: tuple[str, ...]
    modules: tuple[Row, ...]
    conflict: str = ""
    least: str = ""
    cuda: str = ""

    def faults(self, driver: str, flavour: str | None) -> list[str]:
        """Why a driver cannot be used; driver is a version, or a branch, which stands for its newest version."""
        least = self.least if "." in driver else major(self.least)
        branch = major(driver)
        found = []
        if least and numbers(driver) < numbers(least):
            needs = f"CUDA {self.cuda} needs" if self.cuda else "it must be"
            found.append(f"{needs} {self.least} or newer")
        if self.first and numbers(branch) < numbers(self.first):
            found.append(f"{self.first_gpu} needs {self.first} or newer")
        if self.last and numbers(branch) > numbers(self.last):
            found.append(f"{self.last} is the last branch for {self.last_gpu}")
        if flavour and flavour not in self.flavours:
            found.append(
                f"its kernel modules are the {flavour} ones, and its GPUs run only with the {self.flavours[0]} ones"
            )
        return found

    def branch(self) -> str:
        """The branch to install where nobody asks for one."""
        branch = max(default_branch(), self.first or "", major(self.least), key=numbers)
        return self.last if self.last and numbers(branch) > numbers(self.last) else branch

    def flavour(self, branch: str) -> str:
        """The kernel modules that NVIDIA's own packages of a branch take for these GPUs."""
        if len(self.flavours) == 1:
            return self.flavours[0]
        opened = all(numbers(branch) >= numbers(rule["open_default_from"]) for rule in self.modules)
        return "open" if opened else "proprietary"

    def flavour_fault(self, flavour: str, branch: str) -> str | None:
        """Why kernel modules cannot be had, for these GPUs or from a branch."""
        if flavour not in self.flavours:
            return f"its GPUs run only with the {self.flavours[0]} kernel modules"
        begins = [str(rule["open_from"]) for rule in self.modules if rule.get("open_from")]
        ends = [str(rule["proprietary_last_branch"]) for rule in self.modules if rule["proprietary_last_branch"]]
        if flavour == "open" and begins and numbers(branch) < numbers(max(begins, key=numbers)):
            return f"the branch {branch} has no open ones, which begin with {max(begins, key=numbers)}"
        if flavour == "proprietary" and ends and numbers(branch) > numbers(min(ends, key=numbers)):
            return f"the branch {branch} has no proprietary ones, which ended with {min(ends, key=numbers)}"
        return None


def _module_rule(gpu: Gpu, machine: str) -> Row:
    """Grace Hopper is a Hopper in a machine of aarch64, and has a rule of its own."""
    return module_rule("Grace Hopper" if gpu.architecture == "Hopper" and machine == "aarch64" else gpu.architecture)


def _flavours(rule: Row) -> tuple[str, ...]:
    return {"unsupported": ("proprietary",), "required": ("open",)}.get(str(rule["open"]), FLAVOURS)


def rules_of(gpus: Sequence[Gpu], machine: str, least: str = "", cuda: str = "") -> Rules:
    """The rules for the GPUs of one node.

    :param machine: the architecture of the processor. least, cuda: see Rules.
    """
    known = [(gpu, *known_branches(gpu.architecture, gpu.capability)) for gpu in gpus]
    firsts = [(numbers(low), low, gpu.name) for gpu, low, _high in known if low]
    lasts = [(numbers(high), high, gpu.name) for gpu, _low, high in known if high]
    _number, first, first_gpu = max(firsts, default=((), None, ""))
    _number, last, last_gpu = min(lasts, default=((), None, ""))
    modules = [(gpu, _module_rule(gpu, machine)) for gpu in gpus]
    flavours = tuple(kind for kind in FLAVOURS if all(kind in _flavours(rule) for _gpu, rule in modules))
    conflict = ""
    if first and last and numbers(first) > numbers(last):
        conflict = f"no driver knows both {last_gpu} (up to branch {last}) and {first_gpu} (from branch {first})"
    elif not flavours:
        opened = next(gpu.name for gpu, rule in modules if _flavours(rule) == ("open",))
        closed = next(gpu.name for gpu, rule in modules if _flavours(rule) == ("proprietary",))
        conflict = (
            f"{opened} needs the open kernel modules and {closed} the proprietary ones, and a kernel loads one kind"
        )
    rules = tuple(rule for _gpu, rule in modules)
    return Rules(first, last, first_gpu, last_gpu, flavours or FLAVOURS, rules, conflict, least, cuda)
