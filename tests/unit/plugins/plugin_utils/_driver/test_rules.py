# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plan and role decide alike about a driver, in cases in which each had rules of its own and they differed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.choice import Choice, State, choose
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import Step, decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import question
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.rules import Gpu, rules_of
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import branches
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import ARCHITECTURES, gpu, node

JAMMY = {
    "distribution": "Ubuntu",
    "os_family": "Debian",
    "distribution_version": "22.04",
    "kernel": "5.15.0-105-generic",
}


def step(name: str, machine: str, driver: str | None = None, **given: Any) -> Step:
    """What the role does on a node of Ubuntu."""
    there = {"loaded": driver, "library": driver, "flavour": "proprietary" if driver else None, "packages": []}
    report = {
        "gpus": [gpu(name)], "driver": {**there, "built": {"version": driver}, "origin": "packages"},
        "source": "nvidia-smi", "kernel": {"headers": True}, "secure_boot": False, "nvswitch": 0,
    }  # fmt: skip
    return decide(question({**JAMMY, "architecture": machine, "fromzero_gpus": report}, "node1", given))


# The GPU, the processor, what is requested, why it cannot be.
REFUSED = [
    ("a100", "x86_64", {"branch": "470", "flavour": "open"}, "the branch 470 has no open ones, which begin with 515"),
    ("t4", "x86_64", {"branch": "510", "flavour": "open"}, "the branch 510 has no open ones, which begin with 515"),
    ("a100", "x86_64", {"branch": "620", "flavour": "proprietary"}, "no proprietary ones, which ended with 615"),
    ("gh200", "aarch64", {"branch": "535", "flavour": "proprietary"}, "run only with the open kernel modules"),
    ("b200", "x86_64", {"branch": "580", "flavour": "proprietary"}, "run only with the open kernel modules"),
    ("v100", "x86_64", {"branch": "580", "flavour": "open"}, "run only with the proprietary kernel modules"),
    ("v100", "x86_64", {"branch": "590"}, "580 is the last branch for Tesla V100"),
    ("b200", "x86_64", {"branch": "550"}, "NVIDIA B200 needs 570 or newer"),
    ("3090", "x86_64", {"branch": "450"}, "NVIDIA GeForce RTX 3090 needs 455 or newer"),
]


@pytest.mark.parametrize(("name", "machine", "asked", "words"), REFUSED)
def test_what_the_plan_knows_cannot_be_is_not_proposed_by_the_role(
    name: str, machine: str, asked: dict[str, str], words: str
) -> None:
    # Names of one's own, and a runfile, are held to the same rules as the packages that are known.
    for more in ({}, {"packages": ["my-driver"]}, {"source": "runfile"}):
        assert words in " ".join(step(name, machine, **asked, **more).problems)
    wishes = {f"driver_{key}": value for key, value in asked.items()}
    planned = resolve_stack({}, {"node1": node(name, machine=machine, **wishes)})
    assert words in " ".join(conflict["reason"] for conflict in planned["conflicts"])


# The GPU, the processor, what is requested, the branch and the kernel modules that are installed.
CHOSEN = [
    ("gh200", "aarch64", {"branch": "535"}, ("535", "open")),
    ("h100", "x86_64", {"branch": "535"}, ("535", "proprietary")),
    ("h100", "x86_64", {"branch": "570"}, ("570", "open")),
    ("k80", "x86_64", {"least": "450.80.02"}, ("470", "proprietary")),
    ("rubin", "x86_64", {}, ("615", "open")),
    ("a100", "x86_64", {"least": "595.58.03"}, ("595", "open")),
]


@pytest.mark.parametrize(("name", "machine", "asked", "wanted"), CHOSEN)
def test_a_branch_is_one_that_serves_the_gpus(
    name: str, machine: str, asked: dict[str, str], wanted: tuple[str, str]
) -> None:
    found = step(name, machine, **asked)
    assert (found.branch, found.flavour, list(found.problems)) == (*wanted, [])


def test_modules_that_do_not_run_the_gpus_are_replaced_though_a_driver_is_loaded() -> None:
    found = step("gh200", "aarch64", "580.65.06")
    assert (found.action, found.flavour) == ("install", "open")


def test_a_driver_that_may_not_be_changed_is_not_held_to_a_branch_that_is_asked_for() -> None:
    found = step("a100", "x86_64", "580.65.06", branch="595", manage=False)
    assert (found.action, list(found.problems)) == ("none", [])
    assert found.reason == (
        "node1 keeps its driver 580.65.06, although nvidia_driver_branch asks for 595, since nvidia_driver_manage is "
        "false."
    )


def planned(name: str, machine: str, driver: str | None, **given: Any) -> Choice:
    one = gpu(name)
    kind = Gpu("nvidia", one["name"], one["architecture"], one["compute_capability"])
    request = Request(**given)
    state = State(driver, driver, "proprietary" if driver else None, driver is not None)
    return choose(rules_of([kind], machine, request.bound), state, request)


@pytest.mark.parametrize("driver", [None, "470.182.03", "580.65.06"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_plan_and_role_agree_on_every_branch_and_flavour(name: str, machine: str, driver: str | None) -> None:
    for branch in ["", *branches()]:
        for flavour in ("auto", "open", "proprietary"):
            # A name of one's own, so that what a repository has decides nothing.
            asked = {"branch": branch, "flavour": flavour}
            role = step(name, machine, driver, **asked, source="cuda_repository", packages=["my-driver"])
            plan = planned(name, machine, driver, **asked)
            kept = plan.action == "keep"
            assert (role.action == "none") is kept or role.problems or plan.faults, (branch, flavour, role, plan)
            if not kept and not plan.faults:
                unavailable = [text for text in role.problems if "CUDA repository has no" not in text]
                assert (role.branch, role.flavour, unavailable) == (plan.branch, plan.flavour, [])
            assert not plan.faults or role.problems, (branch, flavour, role, plan)
