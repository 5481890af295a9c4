# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What requested toolkits take on a node, by tables of nodes and options."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import documented_spec
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import CudaError
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_toolkit import (
    all_sources,
    compiler_packages,
    decided,
    gccs,
    sources,
)

GPUS = {"gpus": [{"vendor": "nvidia", "compute_capability": "8.0"}], "driver": {"library": "610.43.02"}}
FACTS: dict[str, Any] = {
    "distribution": "Debian",
    "os_family": "Debian",
    "distribution_version": "12.11",
    "architecture": "x86_64",
    "fromzero_gpus": GPUS,
}
GCC = {"cc": "/usr/bin/gcc", "cxx": "/usr/bin/g++", "version": "12.2.0", "default": True}
NAMED = {"CXX": "/usr/bin/g++-11"}


def options(**given: Any) -> dict[str, Any]:
    """The options of the action, with the defaults of its documentation."""
    spec = documented_spec("cuda_toolkit_decision")
    defaults = {name: option.get("default") for name, option in spec.items()}
    alone = {"versions": ["13.0"], "default": "13.0", "prefix": "/usr/local", "record": "/opt/fromzero/etc/cuda.json"}
    return {**defaults, **alone, **given}


def toolkit(version: str = "13.0", state: str = "present", **more: Any) -> dict[str, Any]:
    home = f"/usr/local/cuda-{version}"
    found = {"version": version, "home": home, "path": home, "at_home": True, "state": state, "reason": ""}
    return {**found, "compiler": GCC, "variables": {}, **more}


def node(*toolkits: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What cuda_toolkit_info returned."""
    link = {"kind": "missing", "target": None, "choices": []}
    return {
        "toolkits": list(toolkits), "compilers": [GCC], "link": link, "environments": [], "record": None, **more
    }  # fmt: skip


def decision(found: dict[str, Any], facts: dict[str, Any] = FACTS, **given: Any) -> dict[str, Any]:
    asked = options(**given)
    return decided(found, facts, "node1", sources(facts, asked), asked)


def test_a_toolkit_that_is_missing_comes_from_packages_by_its_own_name() -> None:
    found = decision(node(toolkit(state="missing")))
    assert (found["due"], found["packages"], found["runfiles"]) == (True, ["cuda-toolkit-13-0"], [])
    assert found["repository"]["url"].endswith("/debian12/x86_64")


@pytest.mark.parametrize(
    ("given", "packages"),
    [
        ({"versions": ["13.0.3"], "default": "13.0.3"}, ["cuda-toolkit-13-0=13.0.3*"]),
        ({"packages": ["my-toolkit"]}, ["my-toolkit"]),
        ({"root": False}, []),
        ({"source": "runfile"}, []),
    ],
)
def test_packages_are_those_of_what_is_missing(given: dict[str, Any], packages: list[str]) -> None:
    version = given.get("default", "13.0")
    assert decision(node(toolkit(version, "missing")), **given)["packages"] == packages


PUBLISHED = (
    "https://developer.download.nvidia.com/compute/cuda/13.0.3/local_installers/cuda_13.0.3_580.126.20_linux.run"
)
# What runfiles has, the path, and what is copied there.
RUNFILES = [
    ({}, PUBLISHED, ""),
    ({"source": "http://m/c.run"}, "http://m/c.run", ""),
    ({"source": "/here/c.run"}, "/usr/local/.cuda-13.0.run", "/here/c.run"),
    ({"source": "/there/c.run", "on_node": True}, "/there/c.run", ""),
]


@pytest.mark.parametrize(("given", "path", "source"), RUNFILES)
def test_a_runfile_is_copied_where_it_is_a_path_on_the_control_node(
    given: dict[str, Any], path: str, source: str
) -> None:
    found = decision(node(toolkit(state="missing")), source="runfile", runfiles={"13.0": given})
    [runfile] = found["runfiles"]
    assert (runfile["path"], runfile["source"], runfile["prefix"]) == (path, source, "/usr/local/cuda-13.0")


def test_what_is_recorded_is_not_due_again() -> None:
    record = decision(node(toolkit()))["record"]
    again = decision(node(toolkit(), record=record))
    assert (again["due"], again["packages"]) == (False, [])
    assert decision(node(toolkit(), record=record), architectures=["9.0"])["due"]


def test_a_driver_that_is_too_old_is_no_reason_where_all_is_proved() -> None:
    old = {**FACTS, "fromzero_gpus": {**GPUS, "driver": {"library": "470.182.03"}}}
    record = decision(node(toolkit()))["record"]
    assert not decision(node(toolkit(), record=record), old)["due"]
    with pytest.raises(CudaError, match=r"^node1: CUDA 13.0 needs driver 580.65.06 or newer"):
        decision(node(toolkit()), old)


# What the node has, the options, words of the sentence.
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (node(), {"versions": ["13.01"], "default": "13.01"}, "CUDA 13.01 is not known; near it are 13.0"),
    (node(), {"default": "12.8"}, "CUDA 12.8 is to be used"),
    (node(toolkit(state="cut off")), {}, "An installation from a runfile was cut off at /usr/local/cuda-13.0 on node1"),
    (
        node(toolkit(state="missing")),
        {"installed": True},
        "node1 has a CUDA toolkit that is not whole, although it was installed: CUDA 13.0 in /usr/local/cuda-13.0: "
        "nothing is there.",
    ),
    (
        node(toolkit(compiler=None)),
        {"root": False, "gcc": {"13.0": "9"}},
        "CUDA 13.0 accepts gcc up to 9, and node1 has gcc 12.2.0. Without root none can be installed: ask for one "
        "there, install one in the training environment (conda_packages: [gxx_linux-64=9]), or request another toolkit",
    ),
    (node(toolkit(compiler=None)), {"gcc": {"13.0": "9"}}, "Its distribution offers none that is known here"),
    (node(toolkit(compiler=None), compilers=[]), {"root": False, "gcc": {"13.0": ""}}, "any gcc, and node1 has none"),
]


@pytest.mark.parametrize(("found", "given", "words"), REFUSED)
def test_what_cannot_be_is_one_sentence(found: dict[str, Any], given: dict[str, Any], words: str) -> None:
    with pytest.raises(CudaError) as refused:
        decision(found, **given)
    assert words in str(refused.value)


def test_missing_facts_are_named() -> None:
    with pytest.raises(CudaError, match=r"^The facts architecture are needed"):
        sources({name: value for name, value in FACTS.items() if name != "architecture"}, options())


def test_a_runfile_goes_on_with_what_one_has_left() -> None:
    assert decision(node(toolkit(state="cut off")), source="runfile")["runfiles"]


# The distribution, its release, the greatest gcc that is accepted, the packages.
COMPILERS = [
    ("Debian", "Debian", "12.11", 15, ["gcc", "g++"]),
    ("Debian", "Debian", "12.11", 11, ["gcc-11", "g++-11"]),
    ("Debian", "Debian", "12.11", 10, []),
    ("Ubuntu", "Debian", "24.04", 12, ["gcc-12", "g++-12"]),
    ("Rocky", "RedHat", "10.0", 13, []),
    ("Rocky", "RedHat", "9.4", 11, ["gcc", "gcc-c++"]),
    ("Rocky", "RedHat", "8.9", 7, []),
    ("Alpine", "Alpine", "3.20", 15, []),
]


@pytest.mark.parametrize(("distribution", "family", "release", "greatest", "packages"), COMPILERS)
def test_a_compiler_is_the_default_one_where_that_is_old_enough(
    distribution: str, family: str, release: str, greatest: int, packages: list[str]
) -> None:
    facts = {"distribution": distribution, "os_family": family, "distribution_version": release}
    assert compiler_packages(facts, greatest) == packages


def test_the_pickiest_toolkit_without_a_compiler_decides_which_is_installed() -> None:
    lacking = [toolkit("12.8", compiler=None), toolkit("13.0", compiler=None)]
    given = {"versions": ["12.8", "13.0"], "gcc": {"12.8": "11"}}
    assert decision(node(*lacking), **given)["compiler_packages"] == ["gcc-11", "g++-11"]
    assert decision(node(*lacking), **given, compiler="never")["compiler_packages"] == []


def test_compilers_are_those_that_are_known_unless_users_say_otherwise() -> None:
    rows = sources(FACTS, options(versions=["12.8", "13.0"])).rows
    assert gccs(rows, options(gcc={"12.8": 11})) == {"12.8": "11", "13.0": "15"}


# The link as it is, the options, how it is changed.
LINKS = [
    ({"kind": "missing", "target": None, "choices": []}, {}, "link"),
    ({"kind": "link", "target": "/usr/local/cuda-12.8", "choices": []}, {}, "link"),
    ({"kind": "link", "target": "/usr/local/cuda-13.0", "choices": []}, {}, ""),
    ({"kind": "folder", "target": None, "choices": []}, {}, ""),
    ({"kind": "alternatives", "target": "/x", "choices": ["/usr/local/cuda-13.0"]}, {}, "alternatives"),
    ({"kind": "alternatives", "target": "/x", "choices": []}, {}, ""),
    ({"kind": "missing", "target": None, "choices": []}, {"link": False}, ""),
    ({"kind": "missing", "target": None, "choices": []}, {"root": False}, ""),
]


@pytest.mark.parametrize(("link", "given", "wanted"), LINKS)
def test_the_systems_own_name_is_pointed_at_the_default(
    link: dict[str, Any], given: dict[str, Any], wanted: str
) -> None:
    assert decision(node(toolkit(), link=link), **given)["link"] == wanted


def test_a_toolkit_that_was_found_elsewhere_is_linked_and_a_compiler_is_used_that_fits() -> None:
    there = toolkit(path="/opt/cuda-13.0", at_home=False, variables=NAMED)
    found = decision(node(there, environments=["/env"]), environments={"/env": "13.0", "/other": "13.0"})
    assert found["links"] == [{"src": "/opt/cuda-13.0", "dest": "/usr/local/cuda-13.0"}]
    assert found["programs"] == [
        {"home": "/usr/local/cuda-13.0", "architectures": ["8.0"], "cxx": "/usr/bin/g++-11"},
    ]
    assert found["hooks"] == [{"environment": "/env", "home": "/usr/local/cuda-13.0", "variables": NAMED}]
    assert found["default"]["variables"] == NAMED
    own = decision(node(there), compiler="never")
    assert (own["default"]["variables"], own["programs"][0]["cxx"]) == ({}, "")


def test_all_sources_are_known_before_anybody_looks_at_the_node() -> None:
    found = all_sources(FACTS, options(versions=["12.8", "13.0"]))
    assert found["way"] == "packages"
    assert [runfile["version"] for runfile in found["runfiles"]] == ["12.8", "13.0"]
