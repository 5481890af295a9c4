# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to become of the driver of nodes that are alike, for a CUDA that is to run there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_nodes import Gpu, Group
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import (
    branch_of,
    branches,
    default_branch,
    key,
    known_branches,
    least_driver,
    module_rule,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import Complaint, Wishes

_FLAVOURS = ("open", "proprietary")


@dataclass(frozen=True)
class Decision:
    """What is done with a driver. action: none, keep, install, upgrade (which may lead to an older one) or reload."""

    action: str
    reason: str
    now: str | None = None
    then: str | None = None
    branch: str | None = None
    version: str = ""
    flavour: str | None = None
    complaints: tuple[Complaint, ...] = ()


@dataclass(frozen=True)
class _Bounds:
    """What GPUs and a CUDA ask of a driver. first, last: branches; least: a version; flavours: those that all run."""

    cuda: str
    least: str
    first: str | None
    last: str | None
    first_gpu: str
    last_gpu: str
    flavours: tuple[str, ...]

    def faults(self, driver: str, flavour: str | None) -> list[str]:
        """Why a driver cannot be used; driver is a version, or a branch, which stands for its newest version."""
        branch = branch_of(driver)
        whole = "." in driver
        found = []
        if key(driver) < (key(self.least) if whole else key(branch_of(self.least))):
            found.append(f"CUDA {self.cuda} needs {self.least} or newer")
        if self.first and key(branch) < key(self.first):
            found.append(f"{self.first_gpu} needs {self.first} or newer")
        if self.last and key(branch) > key(self.last):
            found.append(f"{self.last} is the last branch for {self.last_gpu}")
        if flavour and flavour not in self.flavours:
            found.append(f"its GPUs need the {self.flavours[0]} kernel modules, and these are the {flavour} ones")
        return found


def architecture_of(gpu: Gpu, machine: str) -> str | None:
    """Grace Hopper is a Hopper in a machine of aarch64, and has rules of its own."""
    return "Grace Hopper" if gpu.architecture == "Hopper" and machine == "aarch64" else gpu.architecture


def flavours_of(gpu: Gpu, machine: str) -> tuple[str, ...]:
    """The kernel modules that run a GPU."""
    rule = module_rule(architecture_of(gpu, machine))
    return {"unsupported": ("proprietary",), "required": ("open",)}.get(str(rule["open"]), _FLAVOURS)


def _bounds(group: Group, gpus: Sequence[Gpu], cuda: str) -> tuple[_Bounds, list[Complaint]]:
    known = [(gpu, *known_branches(gpu.architecture, gpu.capability)) for gpu in gpus]
    first = max(((key(low), low, gpu.name) for gpu, low, _high in known if low), default=((), None, ""))
    last = min(((key(high), high, gpu.name) for gpu, _low, high in known if high), default=((), None, ""))
    flavours = tuple(kind for kind in _FLAVOURS if all(kind in flavours_of(gpu, group.machine) for gpu in gpus))
    faults = []
    if first[1] and last[1] and first[0] > last[0]:
        text = (
            f"{{hosts}}: no driver knows both {last[2]} (up to branch {last[1]}) and {first[2]} (from branch "
            f"{first[1]}); "
            "take the cards apart, or take the node out of group 'nodes'."
        )
        faults.append(Complaint("driver", text))
    elif not flavours:
        opened = next(gpu.name for gpu in gpus if flavours_of(gpu, group.machine) == ("open",))
        closed = next(gpu.name for gpu in gpus if flavours_of(gpu, group.machine) == ("proprietary",))
        text = (
            f"{{hosts}}: {opened} needs the open kernel modules and {closed} the proprietary ones, and a kernel loads "
            "one kind; take the cards apart, or take the node out of group 'nodes'."
        )
        faults.append(Complaint("driver", text))
    bounds = _Bounds(cuda, least_driver(cuda), first[1], last[1], first[2], last[2], flavours or _FLAVOURS)
    return bounds, faults


def _flavour(bounds: _Bounds, gpus: Sequence[Gpu], machine: str, branch: str) -> str:
    """The kernel modules to install where none are wished for: what NVIDIA's own packages take."""
    if len(bounds.flavours) == 1:
        return bounds.flavours[0]
    rules = [module_rule(architecture_of(gpu, machine)) for gpu in gpus]
    return "open" if all(key(branch) >= key(rule["open_default_from"]) for rule in rules) else "proprietary"


def _unmanaged(group: Group, bounds: _Bounds) -> Decision:
    driver = group.driver
    version = driver.settled
    if version is None:
        text = "{hosts} has GPUs and no driver, and nvidia_driver_manage is false; allow it, or install one by hand."
        return Decision("none", "", complaints=(Complaint("driver_manage", text),))
    faults = tuple(
        Complaint(
            "driver_manage",
            f"{{hosts}} has the driver {version}, which may not be touched (nvidia_driver_manage is false): {fault}.",
        )
        for fault in bounds.faults(version, driver.flavour)
    )
    reason = f"driver {version} may not be touched and is new enough for CUDA {bounds.cuda} (from {bounds.least})"
    return Decision("keep", reason, driver.now, version, branch_of(version), "", driver.flavour, faults)


def _target(group: Group, wishes: Wishes, bounds: _Bounds) -> tuple[str, str, list[Complaint]]:
    """Branch and version to install, and what is wrong with them."""
    version = group.version or ("" if group.branch else wishes.driver_version)
    branch = group.branch or (branch_of(version) if version else wishes.driver_branch)
    wished = version or branch
    if wished:
        name = "driver_version" if version else "driver_branch"
        faults = [
            Complaint(name, f"nvidia_{name} is {wished}, which cannot be on {{hosts}}: {fault}.")
            for fault in bounds.faults(wished, None)
        ]
        return branch, version, faults
    branch = default_branch()
    if bounds.first and key(branch) < key(bounds.first):
        branch = bounds.first
    if bounds.last and key(branch) > key(bounds.last):
        branch = bounds.last
    faults = [
        Complaint(
            "driver", f"No driver does it on {{hosts}}: {fault}, and {bounds.last} is the last for {bounds.last_gpu}."
        )
        for fault in bounds.faults(branch, None)
    ]
    return branch, "", faults


def _unloaded(group: Group, version: str) -> Decision:
    """A driver that is there and does not run."""
    driver = group.driver
    branch = branch_of(version)
    if driver.module is False:
        reason = f"driver {version} is there, but its module is not built for the running kernel"
        return Decision("install", reason, driver.now, version, branch, "", driver.flavour)
    if driver.parted:
        reason = f"the kernel has {driver.loaded} loaded and the libraries are {version}, with which nothing computes"
    else:
        reason = f"driver {version} is there and not loaded"
    return Decision("reload", reason, driver.now, version, branch, "", driver.flavour)


def decide(group: Group, gpus: Sequence[Gpu], wishes: Wishes, cuda: str) -> Decision:
    """
    :param gpus: the kinds of NVIDIA GPUs of the group.
    :param cuda: minor of the CUDA that torch was built with, or of a newer toolkit.
    """
    if not gpus:
        return Decision("none", "it has no NVIDIA GPU", group.driver.now)
    bounds, faults = _bounds(group, gpus, cuda)
    if faults:
        return Decision("none", "", complaints=tuple(faults))
    if not group.manage:
        return _unmanaged(group, bounds)
    branch, version, faults = _target(group, wishes, bounds)
    flavour = _flavour(bounds, gpus, group.machine, branch)
    if group.flavour in _FLAVOURS:
        if group.flavour not in bounds.flavours:
            text = (
                f"nvidia_driver_flavour is {group.flavour} on {{hosts}}, and {gpus[0].name} runs only with the "
                f"{bounds.flavours[0]} kernel modules; set it to auto."
            )
            faults = [*faults, Complaint("driver_flavour", text)]
        flavour = group.flavour
    there = group.driver.settled
    wrong = bounds.faults(there, group.driver.flavour) if there else []
    wished = version or (branch if group.branch or wishes.driver_branch else "")
    as_wished = not there or not wished or there == wished or branch_of(there) == wished
    as_flavoured = group.flavour not in _FLAVOURS or group.driver.flavour in (None, group.flavour)
    if there and not wrong and as_wished and as_flavoured:
        if group.driver.parted or not group.driver.loaded:
            return _unloaded(group, there)
        reason = f"driver {there} is new enough for CUDA {cuda} (from {bounds.least})"
        return Decision("keep", reason, there, there, branch_of(there), "", group.driver.flavour, tuple(faults))
    now = group.driver.now
    if not there:
        action, reason = "install", f"there is no driver; CUDA {cuda} needs {bounds.least} or newer"
    elif wrong:
        action, reason = "upgrade", f"driver {there} cannot stay: {' and '.join(wrong)}"
    elif not as_wished:
        action, reason = "upgrade", f"nvidia_driver_{'version' if version else 'branch'} asks for {wished}"
    else:
        action, reason = "upgrade", f"nvidia_driver_flavour asks for the {group.flavour} kernel modules"
    return Decision(action, reason, now, version or branch, branch, version, flavour, tuple(faults))


def past_life(branch: str | None, today: str) -> str | None:
    """The month in which a branch ended, where that is over. today: 2026-11."""
    end = branches().get(branch or "", {}).get("end_of_life")
    return str(end) if end and str(end) < today else None
