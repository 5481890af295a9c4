# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to happen to the driver of a node, before it is known how: for the plan, and for the role that does it.

Pure functions over plain values.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import Rules

_REMEDY = "give one kind of them a machine of its own, or take the node out of group 'nodes'"


@dataclass(frozen=True)
class Fault:
    """What stands against a driver. subject: the request it concerns. text: a sentence about C({hosts})."""

    subject: str
    text: str


@dataclass(frozen=True)
class State:
    """What there is of a driver. module: whether the running kernel has its module, none where unknown."""

    loaded: str | None = None
    library: str | None = None
    flavour: str | None = None
    module: bool | None = None

    @property
    def now(self) -> str | None:
        """What runs, or would."""
        return self.loaded or self.library

    @property
    def settled(self) -> str | None:
        """What runs once the module is that of the libraries."""
        return self.library or self.loaded

    @property
    def parted(self) -> bool:
        """Whether the loaded module is not that of the libraries, with which nothing computes."""
        return bool(self.loaded and self.library and self.loaded != self.library)


@dataclass(frozen=True)
class Target:
    """The driver to install where the one that is there cannot stay, and what is wrong with it."""

    branch: str
    version: str
    flavour: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What is done with a driver. action: none, keep, install, upgrade (which may lead to an older one) or reload."""

    action: str
    reason: str
    now: str | None = None
    then: str | None = None
    branch: str | None = None
    version: str = ""
    flavour: str | None = None
    faults: tuple[Fault, ...] = ()


def conflict(rules: Rules) -> tuple[Fault, ...]:
    """Why no driver serves the GPUs of a node together; nothing where one does."""
    return (Fault("driver", f"{{hosts}}: {rules.conflict}; {_REMEDY}"),) if rules.conflict else ()


def target(rules: Rules, request: Request) -> Target:
    """The driver to install: the one that is asked for, else the one that serves these GPUs the longest."""
    asked = request.version or request.branch
    branch = major(asked) if asked else rules.branch()
    if asked:
        subject = "driver_version" if request.version else "driver_branch"
        wrong = f"nvidia_{subject} is {asked}, which does not do for {{hosts}}: "
    else:
        subject = "torch"
        wrong = f"no driver does for {{hosts}}: {rules.last} is the last branch for {rules.last_gpu}, and "
    faults = [Fault(subject, f"{wrong}{fault}") for fault in rules.faults(asked or branch, None)]
    fault = rules.flavour_fault(request.flavour, branch) if request.flavour != "auto" else None
    if fault:
        text = f"nvidia_driver_flavour is {request.flavour} on {{hosts}}, and {fault}; set it to auto"
        faults.append(Fault("driver_flavour", text))
    flavour = rules.flavour(branch) if request.flavour == "auto" else request.flavour
    return Target(branch, request.version, flavour, tuple(faults))


def unfit(rules: Rules, request: Request, version: str, flavour: str | None) -> list[str]:
    """Why a driver that is there cannot stay. One that may not be changed is not held to what is requested."""
    unmet = request.unmet(version, flavour) if request.manage else ""
    return rules.faults(version, flavour) or ([unmet] if unmet else [])


def _unmanaged(rules: Rules, state: State) -> Choice:
    version = state.settled
    if version is None:
        text = "{hosts} {has|have} GPUs and no driver, which may not be installed (nvidia_driver_manage is false)"
        return Choice("none", "", faults=(Fault("driver_manage", text),))
    text = f"{{hosts}} {{has|have}} the driver {version}, which may not be touched (nvidia_driver_manage is false)"
    faults = tuple(Fault("driver_manage", f"{text}: {fault}") for fault in rules.faults(version, state.flavour))
    reason = f"driver {version} may not be touched, and is new enough for CUDA {rules.cuda} (from {rules.least})"
    return Choice("keep", reason, state.now, version, major(version), "", state.flavour, faults)


def _as_it_is(rules: Rules, state: State, version: str) -> Choice:
    """A driver that is good enough: it stays, and is loaded where it is not."""
    branch = major(version)
    if state.loaded and not state.parted:
        reason = f"driver {version} is new enough for CUDA {rules.cuda} (from {rules.least})"
        return Choice("keep", reason, version, version, branch, "", state.flavour)
    if state.module is False:
        reason = f"driver {version} is there, but its module is not built for the running kernel"
        return Choice("install", reason, state.now, branch, branch, "", state.flavour or rules.flavour(branch))
    reason = f"driver {version} is there and not loaded"
    if state.parted:
        reason = f"the kernel has {state.loaded} loaded and the libraries are {version}, with which nothing computes"
    return Choice("reload", reason, state.now, version, branch, "", state.flavour)


def choose(rules: Rules, state: State, request: Request) -> Choice:
    """What becomes of the driver of nodes that are alike, for a CUDA that is to run there."""
    apart = conflict(rules)
    if apart:
        return Choice("none", "", faults=apart)
    if not request.manage:
        return _unmanaged(rules, state)
    wanted, there = target(rules, request), state.settled
    if not there:
        action, reason = "install", f"there is no driver, and CUDA {rules.cuda} needs {rules.least} or newer"
    elif why := unfit(rules, request, there, state.flavour):
        cannot = f"driver {there} cannot stay: " if rules.faults(there, state.flavour) else ""
        action, reason = "upgrade", f"{cannot}{listed(why)}"
    else:
        return _as_it_is(rules, state, there)
    then = wanted.version or wanted.branch
    return Choice(action, reason, state.now, then, wanted.branch, wanted.version, wanted.flavour, wanted.faults)
