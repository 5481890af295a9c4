# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to become of the driver of nodes that are alike, for a CUDA that is to run there."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import default_branch
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.bounds import Bounds, bounds_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.node_groups import Group
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark


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
    faults: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """What is wished for on these nodes; the node's own wish goes before that for all."""

    branch: str
    version: str
    flavour: str

    @classmethod
    def of(cls, group: Group, wishes: Wishes) -> _Wanted:
        version = group.version or ("" if group.branch else wishes.driver_version)
        branch = major(version) if version else group.branch or wishes.driver_branch
        return cls(branch, version, group.flavour)

    def asks_more(self, driver: str, flavour: str | None) -> str | None:
        """The variable that a driver does not satisfy."""
        if self.version and driver != self.version:
            return f"nvidia_driver_version asks for {self.version}"
        if self.branch and major(driver) != self.branch:
            return f"nvidia_driver_branch asks for {self.branch}"
        if self.flavour and flavour and flavour != self.flavour:
            return f"nvidia_driver_flavour asks for the {self.flavour} kernel modules"
        return None


def _unmanaged(group: Group, bounds: Bounds) -> Decision:
    driver, version = group.driver, group.driver.settled
    if version is None:
        text = "{hosts} {has|have} GPUs and no driver, which may not be installed (nvidia_driver_manage is false)"
        return Decision("none", "", faults=(Remark("driver_manage", text),))
    text = f"{{hosts}} {{has|have}} the driver {version}, which may not be touched (nvidia_driver_manage is false)"
    faults = tuple(Remark("driver_manage", f"{text}: {fault}") for fault in bounds.faults(version, driver.flavour))
    reason = f"driver {version} may not be touched, and is new enough for CUDA {bounds.cuda} (from {bounds.least})"
    return Decision("keep", reason, driver.now, version, major(version), "", driver.flavour, faults)


def _target(wanted: _Wanted, bounds: Bounds) -> tuple[str, list[Remark]]:
    """The branch to install from, and what is wrong with it."""
    if wanted.branch:
        name = "driver_version" if wanted.version else "driver_branch"
        asked = wanted.version or wanted.branch
        text = f"{VARIABLES[name]} is {asked}, which does not do for {{hosts}}"
        return wanted.branch, [Remark(name, f"{text}: {fault}") for fault in bounds.faults(asked, None)]
    branch = default_branch()
    if bounds.first and numbers(branch) < numbers(bounds.first):
        branch = bounds.first
    if bounds.last and numbers(branch) > numbers(bounds.last):
        branch = bounds.last
    text = f"no driver does for {{hosts}}: {bounds.last} is the last branch for {bounds.last_gpu}, and"
    return branch, [Remark("torch", f"{text} {fault}") for fault in bounds.faults(branch, None)]


def _flavour(wanted: _Wanted, bounds: Bounds, branch: str) -> tuple[str, list[Remark]]:
    """The kernel modules to install: those that are wished for, else those that NVIDIA's own packages take."""
    if not wanted.flavour:
        return bounds.flavour(branch), []
    fault = bounds.flavour_fault(wanted.flavour, branch)
    said = f"nvidia_driver_flavour is {wanted.flavour} on {{hosts}}, and {fault}; set it to auto"
    return wanted.flavour, [Remark("driver_flavour", said)] if fault else []


def _as_it_is(group: Group, bounds: Bounds, version: str) -> Decision:
    """A driver that is good enough: it stays, and is loaded where it is not."""
    driver, branch = group.driver, major(version)
    if driver.loaded and not driver.parted:
        reason = f"driver {version} is new enough for CUDA {bounds.cuda} (from {bounds.least})"
        return Decision("keep", reason, version, version, branch, "", driver.flavour)
    if driver.module is False:
        reason = f"driver {version} is there, but its module is not built for the running kernel"
        flavour = driver.flavour or bounds.flavour(branch)
        return Decision("install", reason, driver.now, branch, branch, "", flavour)
    reason = f"driver {version} is there and not loaded"
    if driver.parted:
        reason = f"the kernel has {driver.loaded} loaded and the libraries are {version}, with which nothing computes"
    return Decision("reload", reason, driver.now, version, branch, "", driver.flavour)


def decide(group: Group, wishes: Wishes, cuda: str) -> Decision:
    """What becomes of the driver of a group.

    :param cuda: minor of the CUDA that torch was built with; any toolkit of the same major needs no newer driver.
    """
    gpus = group.of("cuda")
    if not gpus:
        return Decision("none", "it has no NVIDIA GPU", group.driver.now)
    bounds, impossible = bounds_of(gpus, group.machine, cuda)
    if impossible:
        return Decision("none", "", faults=(impossible,))
    if not group.manage:
        return _unmanaged(group, bounds)
    wanted = _Wanted.of(group, wishes)
    branch, branch_faults = _target(wanted, bounds)
    flavour, flavour_faults = _flavour(wanted, bounds, branch)
    faults = (*branch_faults, *flavour_faults)
    there = group.driver.settled
    wrong = bounds.faults(there, group.driver.flavour) if there else []
    more = wanted.asks_more(there, group.driver.flavour) if there else None
    if there and not wrong and not more:
        return _as_it_is(group, bounds, there)
    if not there:
        action, reason = "install", f"there is no driver, and CUDA {cuda} needs {bounds.least} or newer"
    else:
        action, reason = "upgrade", f"driver {there} cannot stay: {listed(wrong)}" if wrong else str(more)
    then = wanted.version or branch
    return Decision(action, reason, group.driver.now, then, branch, wanted.version, flavour, faults)
