# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to happen to the driver of one node: facts + request -> a step with its reason, or why it cannot be.

Pure functions over plain values. A sufficient driver is left alone, whoever installed it. All that stands against a
change is said before anything changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import digits_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver import packages as table
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Fault, conflict, target, unfit
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.node import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.packages import SOURCES, Driver, Rows, System
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request, unreadable
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import Rules


@dataclass(frozen=True)
class Step:
    """What is done to one node.

    :ivar action: none; reload: the kernel module alone; install: packages or a runfile, then the module.
    :ivar reason: why, in sentences. problems: sentences; where there is one, nothing may be changed.
    :ivar headers, remove: names of packages. install: names, with a pattern of the version as apt writes it.
    :ivar stream: of dnf's modules, enabled before. keep: the pattern of the versions that packages are kept to.
    :ivar fabric: whether a fabric manager has to run. gpus: how many there must be afterwards.
    :ivar uninstall: the version of the driver that NVIDIA's installer has left, and that goes first.
    """

    action: str
    reason: str
    problems: Sequence[str] = ()
    source: str = ""
    branch: str = ""
    version: str = ""
    flavour: str = ""
    headers: Sequence[str] = ()
    install: Sequence[str] = ()
    remove: Sequence[str] = ()
    stream: str = ""
    keep: str = ""
    fabric: bool = False
    gpus: int = 0
    uninstall: str = ""

    def plain(self) -> dict[str, Any]:
        """As a task reads it."""
        return {key: list(value) if isinstance(value, (list, tuple)) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Question:
    """One node with all that its driver depends on.

    :ivar rules: what its GPUs ask of a driver. rows: data/driver_packages.yml.
    """

    node: Node
    system: System
    request: Request
    rules: Rules
    rows: Rows
    problems: list[str] = field(default_factory=list)


def decide(question: Question) -> Step:
    """The step for one node."""
    node, request = question.node, question.request
    problems = unreadable(node.host, request) or _sentences(question, conflict(question.rules))
    lacks = node.lacks(request, question.rules) if node.gpus and not problems else []
    if lacks and request.manage and not node.belongs_elsewhere():
        return _change(question, Step("", " ".join(lacks), fabric=node.wants_fabric(request), gpus=len(node.gpus)))
    if lacks:
        problems = [f"{' '.join(lacks)} {_left_alone(question)}"]
    return Step("none", " ".join(lacks) or _kept(question), problems)


def _kept(question: Question) -> str:
    node = question.node
    if not node.gpus:
        return f"{node.host} has no GPU of NVIDIA."
    unmet = question.request.unmet(str(node.loaded), node.flavour)
    why = f"although {unmet}, since nvidia_driver_manage is false" if unmet else "which is sufficient"
    return f"{node.host} keeps its driver {node.loaded}, {why}."


def _left_alone(question: Question) -> str:
    """Why a driver that is not sufficient cannot be changed."""
    node = question.node
    if question.request.manage:
        return node.belongs_elsewhere()
    return (
        f"nvidia_driver_manage is false for {node.host}, so its driver is left alone; change it by hand, or set "
        "nvidia_driver_manage to true."
    )


def _sentences(question: Question, faults: Sequence[Fault]) -> list[str]:
    return [f"{fault.text.replace('{hosts}', question.node.host)}." for fault in faults]


def _change(question: Question, blank: Step) -> Step:
    node = question.node
    if node.library and not unfit(question.rules, question.request, node.library, node.flavour) and not node.broken:
        if blank.fabric and node.fabric_version != node.library:
            return _fabric_alone(question, blank)
        if node.built == node.library or node.compiled:
            return _reload(question, blank)
    return _installation(question, blank)


def _reload(question: Question, blank: Step) -> Step:
    """The packages are right, and the module that belongs to them is to run; where it is missing DKMS compiles it."""
    node = question.node
    # A module of DKMS that is loaded shows that the firmware knows its key.
    if _secure(question) and not node.loaded and node.compiled:
        branch = table.branch_of("", str(node.library))
        if question.request.source == "auto" and table.signed(
            question.rows, question.system, branch, node.flavour or "proprietary"
        ):
            return _installation(question, blank)
        return replace(blank, action="reload", problems=[_unsigned(question, branch, node.flavour or "compiled")])
    return replace(blank, action="reload", headers=[] if node.built == node.library else _headers(question))


def _headers(question: Question) -> list[str]:
    return [] if question.node.headers else table.headers(question.rows, question.system)


def _fabric_alone(question: Question, blank: Step) -> Step:
    """The fabric manager follows the driver that is there, and not the other way round."""
    node = question.node
    version = str(node.library)
    source = "distribution" if any("-server" in name for name in node.names) else "cuda_repository"
    driver = Driver(source, table.branch_of("", version), node.flavour or "")
    install = table.fabric_manager(question.rows, question.system, driver, node.architectures)
    old = [name for name in node.names if name.startswith("nvidia-fabric") and name not in install]
    return replace(
        blank,
        action="install",
        problems=[] if install else [_no_fabric_manager(question, source)],
        source=source,
        branch=driver.branch,
        version=version,
        flavour=driver.flavour,
        install=_specs(install, f"{version}*"),
        remove=old if question.system.apt else [],
        keep=f"{version}*",
    )


def _installation(question: Question, blank: Step) -> Step:
    wanted = target(question.rules, question.request)
    question.problems.extend(_sentences(question, wanted.faults))
    source = "" if question.problems else _source(question, wanted.branch, wanted.flavour)
    step = replace(
        blank, action="install", source=source, branch=wanted.branch, version=wanted.version, flavour=wanted.flavour
    )
    if not question.problems:
        step = _by_runfile(question, step) if source == "runfile" else _by_packages(question, step)
    return replace(step, problems=question.problems)


def _source(question: Question, branch: str, flavour: str) -> str:
    source = question.request.source
    if not _secure(question):
        return "cuda_repository" if source == "auto" else source
    if source == "auto":
        source = table.signed(question.rows, question.system, branch, flavour)
    if not source or table.packages(question.rows, question.system, Driver(source, branch, flavour, True)) is None:
        question.problems.append(_unsigned(question, branch, flavour))
    return source


def _secure(question: Question) -> bool:
    return question.node.secure_boot and not question.request.own_key


def _unsigned(question: Question, branch: str, flavour: str) -> str:
    host, system = question.node.host, question.system
    key = "/var/lib/shim-signed/mok/MOK.der" if system.distribution == "Ubuntu" else "/var/lib/dkms/mok.pub"
    return (
        f"Secure Boot is on at {host}, and nobody offers the {flavour} kernel modules of branch {branch} signed for "
        f"{system}; the kernel would refuse those that DKMS compiles there. Either switch Secure Boot off in the "
        f"firmware, or enrol the key that DKMS signs with: install dkms, run 'mokutil --import {key}' on {host} and "
        "choose a password, reboot, take 'Enroll MOK' at the console and type the password; then set "
        "nvidia_driver_own_key to true. Nothing was changed."
    )


def _by_runfile(question: Question, step: Step) -> Step:
    node, problems = question.node, question.problems
    if not step.version:
        problems.append(f"A runfile holds one version; set nvidia_driver_version for {node.host}.")
    if not digits_of(question.request.runfile_checksum):
        problems.append(
            f"The runfile for {node.host} is not run without its SHA-256 sum; set nvidia_driver_runfile_checksum to "
            "its 64 hexadecimal digits."
        )
    if node.carriers:
        problems.append(
            f"{node.host} has its driver from packages ({listed(node.carriers, most=3)}); a runfile over them "
            "would leave two drivers. Remove the packages first, or set nvidia_driver_source to auto."
        )
    if step.fabric:
        problems.append(
            f"{node.host} has NVSwitches, and a runfile brings no fabric manager; set nvidia_driver_source to auto."
        )
    return replace(step, headers=_headers(question), install=table.tools(question.rows, question.system))


def _by_packages(question: Question, step: Step) -> Step:
    node, system, request = question.node, question.system, question.request
    driver = Driver(step.source, step.branch, step.flavour, _secure(question))
    chosen = table.packages(question.rows, system, driver)
    if chosen is None:
        question.problems.append(_unavailable(question, driver))
        return step
    if node.runfile and not request.remove_runfile:
        question.problems.append(
            f"NVIDIA's installer has left the driver {node.runfile} on {node.host}, and packages over it would leave "
            "two drivers; run 'nvidia-uninstall --silent' there, or set nvidia_driver_remove_runfile to true."
        )
    install = list(request.packages or chosen.install)
    if step.fabric:
        fabric = table.fabric_manager(question.rows, system, replace(driver, secure_boot=False), node.architectures)
        if not fabric:
            question.problems.append(_no_fabric_manager(question, step.source))
        install += fabric
    keep = f"{step.version}*" if step.version else f"{step.branch}.*"
    compiled = [] if driver.secure_boot else _headers(question)  # what is signed was compiled elsewhere
    removed = table.obsolete(node.names, replace(chosen, install=install), driver) if system.apt else []
    install += _taken_along(node, step, [*install, *removed])
    halves = [name for name in node.broken if name not in (*install, *removed)]
    return replace(
        step,
        headers=[] if node.broken else compiled,
        # Nothing goes in before what is there by half has gone: then the headers come with the rest.
        install=[*(compiled if node.broken else []), *_specs(install, "" if request.packages else keep), *halves],
        remove=removed,
        stream=chosen.stream,
        keep=keep,
        uninstall=node.runfile or "",
    )


def _taken_along(node: Node, step: Step, named: Sequence[str]) -> list[str]:
    """Packages of the branch that a requested version moves by name, since a metapackage is content with newer ones."""
    if not step.version:
        return []
    mine = {
        str(package["name"])
        for package in node.packages
        if table.branch_of(str(package["name"]), str(package.get("version") or "")) == step.branch
    }
    return sorted(mine - set(named))


def _specs(names: Sequence[str], keep: str) -> list[str]:
    """Names with the versions that do; modules for one kernel and the subnet manager count their versions otherwise."""
    return [name if not keep or re.match(r"linux-modules-|nvlsm", name) else f"{name}={keep}" for name in names]


def _no_fabric_manager(question: Question, source: str) -> str:
    return (
        f"{question.node.host} has NVSwitches, and the {SOURCES[source]} has no fabric manager for {question.system}; "
        "set nvidia_driver_source to cuda_repository."
    )


def _unavailable(question: Question, driver: Driver) -> str:
    host, system = question.node.host, question.system
    only = table.only_branches(question.rows, system, driver.source)
    if only and driver.branch not in only:
        return (
            f"The {SOURCES[driver.source]} of {system} has the branch {listed(only)} and no other, so {host} cannot "
            f"get {driver.branch} there; set nvidia_driver_source to cuda_repository, or nvidia_driver_branch to "
            f"{only[-1]}."
        )
    return (
        f"The {SOURCES[driver.source]} has no {driver.flavour} driver of branch {driver.branch} for {system}, which "
        f"{host} runs; set nvidia_driver_source, nvidia_driver_branch or nvidia_driver_flavour to what there is."
    )
