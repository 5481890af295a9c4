"""What happens to a node's driver, by tables of nodes and wishes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import Step, decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import DriverRequestError, question
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request

DEBIAN = {
    "distribution": "Debian",
    "os_family": "Debian",
    "distribution_version": "12.9",
    "kernel": "6.1.0-28-amd64",
}
JAMMY = {
    "distribution": "Ubuntu",
    "os_family": "Debian",
    "distribution_version": "22.04",
    "kernel": "5.15.0-105-generic",
}
ROCKY = {
    "distribution": "Rocky",
    "os_family": "RedHat",
    "distribution_version": "9.4",
    "kernel": "5.14.0-427.13.1.el9_4.x86_64",
}
V100S = {"vendor": "nvidia", "name": "Tesla V100S-PCIE-32GB", "architecture": "Volta", "compute_capability": "7.0"}
K80 = {"vendor": "nvidia", "name": "Tesla K80", "architecture": "Kepler", "compute_capability": "3.7"}
A100 = {"vendor": "nvidia", "name": "NVIDIA A100-SXM4-80GB", "architecture": "Ampere", "compute_capability": "8.0"}
B200 = {"vendor": "nvidia", "name": "NVIDIA B200", "architecture": "Blackwell", "compute_capability": "10.0"}
MI250 = {"vendor": "amd", "name": "AMD Instinct MI250X", "architecture": "CDNA2"}
LEAST = {"least": "580.65.06"}


def gpus_of(*gpus: dict[str, Any], driver: str | None = None, **more: Any) -> dict[str, Any]:
    """The fact fromzero_gpus of a node whose driver, where it has one, is whole."""
    facts: dict[str, Any] = {
        "gpus": list(gpus),
        "source": "nvidia-smi" if driver else "pci",
        "error": None,
        "driver": {
            "loaded": driver,
            "library": driver,
            "flavour": "proprietary" if driver else None,
            "packages": [],
            "built": {"version": driver, "kernels": []},
            "runfile": None,
            "origin": "packages" if driver else "none",
            "users": [],
        },
        "nvswitch": 0,
        "fabric_manager": {"version": None, "package": None, "active": None},
        "secure_boot": False,
        "blockers": {"loaded": [], "blocked": False, "initramfs": None},
        "kernel": {"release": "6.1.0-28-amd64", "headers": True, "newest": None},
    }
    changed = deepcopy(facts)
    for place, value in more.items():
        if place in changed["driver"]:
            changed["driver"][place] = value
        else:
            changed[place] = value
    return changed


def installed(*names: str, version: str, broken: bool = False) -> list[dict[str, Any]]:
    return [{"name": name, "version": version, "held": False, "broken": broken} for name in names]


def step(gpus: dict[str, Any], wishes: dict[str, Any] | None = None, system: dict[str, str] | None = None) -> Step:
    facts = {**(system or DEBIAN), "fromzero_gpus": gpus}
    return decide(question(facts, "node1", {**LEAST, **(wishes or {})}))


KEPT = [
    ("no GPU", gpus_of(), {}),
    ("only AMD's", gpus_of(MI250), {}),
    ("newer than the least", gpus_of(A100, driver="595.58.03"), {}),
    ("the least itself", gpus_of(A100, driver="580.65.06"), {}),
    ("the wished branch", gpus_of(A100, driver="535.54.03"), {"branch": "535", "least": "525.60.13"}),
    ("the wished branch, its bound of another", gpus_of(A100, driver="535.54.03"), {"branch": "535"}),
    ("the wished version", gpus_of(A100, driver="535.54.03"), {"version": "535.54.03"}),
    ("nothing to manage", gpus_of(A100, driver="595.58.03"), {"manage": False}),
    ("of the wished flavour", gpus_of(A100, driver="580.65.06", flavour="open"), {"flavour": "open"}),
    ("a runfile's", gpus_of(A100, driver="595.58.03", runfile="595.58.03", origin="runfile"), {}),
    (
        "a container's, whose fabric manager runs below",
        gpus_of(A100, driver="580.65.06", origin="none", nvswitch=6),
        {},
    ),
    ("under Secure Boot", gpus_of(A100, driver="595.58.03", secure_boot=True), {}),
    (
        "with its fabric manager",
        gpus_of(A100, driver="580.65.06", nvswitch=6, fabric_manager={"version": "580.65.06", "active": True}),
        {},
    ),
]


@pytest.mark.parametrize(("case", "gpus", "wishes"), KEPT)
def test_a_driver_that_does_is_left_alone(case, gpus, wishes):
    found = step(gpus, wishes)
    assert (found.action, list(found.problems), list(found.install)) == ("none", [], [])
    assert "node1" in found.reason


INSTALLED = [
    ("none yet", (gpus_of(A100), {}, DEBIAN), ["nvidia-open=580.*"], "open"),
    ("Volta has no open modules", (gpus_of(V100S), {}, DEBIAN), ["cuda-drivers=580.*"], "proprietary"),
    ("Blackwell has no others", (gpus_of(B200), {"branch": "570"}, JAMMY), ["nvidia-open-570=570.*"], "open"),
    ("an old branch", (gpus_of(A100), {"branch": "535"}, JAMMY), ["cuda-drivers-535=535.*"], "proprietary"),
    ("a wished version", (gpus_of(A100), {"version": "580.65.06"}, DEBIAN), ["nvidia-open=580.65.06*"], "open"),
    ("too old", (gpus_of(A100, driver="470.182.03"), {}, DEBIAN), ["nvidia-open=580.*"], "open"),
    ("older is wished", (gpus_of(A100, driver="595.58.03"), {"branch": "580"}, DEBIAN), ["nvidia-open=580.*"], "open"),
    (
        "other modules are wished",
        (gpus_of(A100, driver="580.65.06"), {"flavour": "open"}, DEBIAN),
        ["nvidia-open=580.*"],
        "open",
    ),
    (
        "by half",
        (
            gpus_of(A100, driver="580.65.06", packages=installed("nvidia-open", version="580.65.06-1", broken=True)),
            {},
            DEBIAN,
        ),
        ["nvidia-open=580.*"],
        "open",
    ),
    (
        "the archive's",
        (gpus_of(A100), {"source": "distribution"}, JAMMY),
        ["nvidia-driver-580-server-open=580.*"],
        "open",
    ),
    ("one's own names", (gpus_of(A100), {"packages": ["my-driver"]}, DEBIAN), ["my-driver"], "open"),
    (
        "a driver that does not answer",
        (gpus_of(A100, driver="580.65.06", error="ERR!"), {"version": "580.95.05"}, DEBIAN),
        ["nvidia-open=580.95.05*"],
        "open",
    ),
]


@pytest.mark.parametrize(
    ("node", "install", "flavour"), [case[1:] for case in INSTALLED], ids=[case[0] for case in INSTALLED]
)
def test_a_driver_that_does_not_do_is_replaced(node, install, flavour):
    found = step(*node)
    assert (found.action, list(found.problems)) == ("install", [])
    assert (list(found.install), found.flavour) == (install, flavour)


def test_the_story_of_the_seed_old_and_mixed_branches_go_in_the_same_transaction():
    """libnvidia-*-440 that depend on -450: apt refuses any install, and the story ends with apt autoremove."""
    old = installed(
        "libnvidia-encode-440",
        "libnvidia-decode-440",
        "libnvidia-compute-450",
        "nvidia-driver-450",
        version="450.119.03-0ubuntu1",
    )
    found = step(gpus_of(V100S, V100S, driver="450.119.03", packages=old), {}, JAMMY)
    assert found.install == ["cuda-drivers-580=580.*"]
    assert found.remove == [
        "libnvidia-compute-450",
        "libnvidia-decode-440",
        "libnvidia-encode-440",
        "nvidia-driver-450",
    ]
    assert found.gpus == 2


def test_rpm_names_have_no_branch_and_the_stream_has():
    found = step(gpus_of(V100S, driver="535.54.03"), {}, ROCKY)
    assert (found.stream, list(found.remove)) == ("nvidia-driver:580-dkms", [])


def test_a_wished_version_takes_all_packages_of_its_branch_along():
    there = installed("cuda-drivers", "nvidia-driver-cuda", version="580.95.05-1")
    found = step(gpus_of(V100S, driver="580.95.05", packages=there), {"version": "580.65.06"})
    assert found.install == ["cuda-drivers=580.65.06*", "nvidia-driver-cuda=580.65.06*"]


def test_what_is_installed_by_half_is_asked_for_by_name():
    half = installed("libcuda1", "nvidia-dkms-580", version="580.65.06-1", broken=True)
    bare = {"release": "6.1.0-28-amd64", "headers": False}
    found = step(gpus_of(A100, driver="580.65.06", packages=half, kernel=bare))
    assert found.install == ["linux-headers-6.1.0-28-amd64", "nvidia-open=580.*", "libcuda1"]
    assert (found.headers, found.remove) == ([], ["nvidia-dkms-580"])


def test_headers_come_first_where_they_are_missing():
    bare = gpus_of(A100, kernel={"release": "6.1.0-28-amd64", "headers": False})
    assert step(bare).headers == ["linux-headers-6.1.0-28-amd64"]
    assert step(gpus_of(A100)).headers == []


RELOADED = [
    (
        "module and library differ",
        {"loaded": "550.54.14", "library": "580.65.06", "built": {"version": "580.65.06"}},
        [],
    ),
    ("it is not loaded", {"loaded": None}, []),
    (
        "DKMS has not compiled it",
        {
            "loaded": "550.54.14",
            "library": "580.65.06",
            "built": {"version": None},
            "packages": installed("nvidia-kernel-open-dkms", "nvidia-open", version="580.65.06-1"),
            "kernel": {"headers": False},
        },
        ["linux-headers-6.1.0-28-amd64"],
    ),
    ("the library does not answer", {"error": "Failed to initialize NVML: Unknown Error"}, []),
    (
        "the fabric manager stands still",
        {"nvswitch": 6, "fabric_manager": {"version": "580.65.06", "active": False}},
        [],
    ),
]


@pytest.mark.parametrize(("case", "more", "headers"), RELOADED)
def test_packages_that_do_need_no_transaction(case, more, headers):
    found = step(gpus_of(A100, driver="580.65.06", **more))
    assert (found.action, list(found.problems), list(found.install)) == ("reload", [], [])
    assert list(found.headers) == headers


HALVES = [
    # nvidia-driver-535 stayed, and an upgrade that broke off brought a library of 550.
    (
        "two branches",
        installed("nvidia-driver-535", "nvidia-dkms-535", version="535.183.01-0ubuntu1")
        + installed("libnvidia-compute-550", version="550.120-0ubuntu1"),
        {"loaded": "535.183.01", "library": "550.120", "built": {"version": "535.183.01"}},
    ),
    (
        "two versions of a branch",
        installed("nvidia-dkms-550", version="550.54.14-0ubuntu1")
        + installed("libnvidia-compute-550", version="550.120-0ubuntu1"),
        {"loaded": "550.54.14", "library": "550.120", "built": {"version": "550.54.14"}},
    ),
    (
        "a module that somebody else compiled, for another kernel",
        installed("kmod-nvidia", version="550.120-1.el9_4.elrepo"),
        {"loaded": None, "library": "550.120", "built": {"version": None}},
    ),
]


@pytest.mark.parametrize(("packages", "more"), [case[1:] for case in HALVES], ids=[case[0] for case in HALVES])
def test_a_library_without_the_source_of_its_module_is_left_to_packages_and_not_to_dkms(packages, more):
    found = step(gpus_of(A100, driver="550.120", packages=packages, **more), {"branch": "550"}, JAMMY)
    assert (found.action, list(found.problems)) == ("install", [])
    assert found.install == ["cuda-drivers-550=550.*"]


P40 = {"vendor": "nvidia", "name": "Tesla P40", "architecture": "Pascal", "compute_capability": "6.1"}
NONE_FOUND = "nvidia-smi ended with 6: No devices were found"
UNFIT = [
    ("open modules on Pascal", gpus_of(P40, driver="580.95.05", flavour="open", error=NONE_FOUND), "proprietary"),
    ("proprietary ones on Blackwell", gpus_of(B200, driver="580.95.05", error=NONE_FOUND), "open"),
    ("a branch before the GPU", gpus_of(A100, driver="418.226.00", error=NONE_FOUND), "open"),
]


@pytest.mark.parametrize(("facts", "flavour"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_a_driver_that_does_not_know_the_gpus_is_exchanged_and_not_loaded_again(facts, flavour):
    found = step(facts, {"least": ""})
    assert (found.action, found.flavour, list(found.problems)) == ("install", flavour, [])


def test_a_module_that_secure_boot_refuses_gives_way_to_one_that_the_distribution_has_signed():
    compiled = installed("nvidia-dkms-550-open", version="550.54.14-0ubuntu1")
    facts = gpus_of(A100, driver="550.54.14", loaded=None, flavour="open", packages=compiled, secure_boot=True)
    found = step(facts, {"branch": "550"}, JAMMY)
    assert (found.action, found.source, list(found.problems)) == ("install", "distribution", [])
    assert found.install[0] == "linux-modules-nvidia-550-server-5.15.0-105-generic"
    assert found.remove == ["nvidia-dkms-550-open"]


def test_a_tool_beside_the_driver_is_no_driver_that_a_runfile_would_overwrite():
    tool = installed("libxnvctrl0", version="510.47.03-0ubuntu1")
    wishes = {"source": "runfile", "version": "580.95.05", "runfile_checksum": "0" * 64}
    assert step(gpus_of(A100, packages=tool), wishes, JAMMY).problems == []


def test_modules_that_others_compiled_are_not_left_to_dkms():
    there = installed("linux-modules-nvidia-580-server-open-5.15.0-105-generic", version="5.15.0-105.115")
    facts = gpus_of(A100, driver="580.65.06", loaded=None, built={"version": None}, packages=there, secure_boot=True)
    found = step(facts, {}, JAMMY)
    assert found.action == "install"
    assert "linux-modules-nvidia-580-server-open-5.15.0-105-generic" in found.install
    assert "nvidia-utils-580-server=580.*" in found.install
    assert found.headers == []


def test_nvswitches_get_a_fabric_manager_beside_the_driver():
    assert step(gpus_of(A100, nvswitch=6)).install == ["nvidia-open=580.*", "nvidia-fabricmanager=580.*"]
    blackwell = step(gpus_of(B200, nvswitch=2)).install
    assert blackwell == ["nvidia-open=580.*", "nvidia-fabricmanager=580.*", "nvlsm"]
    assert step(gpus_of(A100, nvswitch=6), {"fabric_manager": "never"}).install == ["nvidia-open=580.*"]
    assert step(gpus_of(A100), {"fabric_manager": "always"}).fabric


def test_a_fabric_manager_follows_the_driver_that_is_kept():
    there = installed("nvidia-driver-550-server", "nvidia-fabricmanager-535", version="550.54.15-0ubuntu1")
    facts = gpus_of(
        A100, driver="550.54.15", packages=there, nvswitch=6, fabric_manager={"version": "535.247.01", "active": False}
    )
    found = step(facts, {"branch": "550"}, JAMMY)
    assert (found.install, found.remove) == (["nvidia-fabricmanager-550=550.54.15*"], ["nvidia-fabricmanager-535"])
    assert found.source == "distribution"


REFUSED = [
    ("branch", gpus_of(A100), {"branch": "58"}, DEBIAN, "nvidia_driver_branch is '58'"),
    ("version", gpus_of(A100), {"version": "latest"}, DEBIAN, "nvidia_driver_version is 'latest'"),
    ("both", gpus_of(A100), {"branch": "580", "version": "570.124.06"}, DEBIAN, "is not of nvidia_driver_branch 580"),
    (
        "not to be managed",
        gpus_of(A100, driver="470.182.03"),
        {"manage": False},
        DEBIAN,
        "nvidia_driver_manage is false",
    ),
    (
        "no driver, not to be managed",
        gpus_of(A100),
        {"manage": False},
        DEBIAN,
        "has no driver for its GPUs (1 x NVIDIA A",
    ),
    ("two kinds", gpus_of(V100S, B200), {}, DEBIAN, "a kernel loads one kind"),
    (
        "open on Volta",
        gpus_of(V100S),
        {"flavour": "open"},
        DEBIAN,
        "nvidia_driver_flavour is open on node1, and its GPUs run only with the proprietary kernel modules",
    ),
    (
        "closed on Blackwell",
        gpus_of(B200),
        {"flavour": "proprietary"},
        DEBIAN,
        "its GPUs run only with the open kernel modules; set it to auto.",
    ),
    ("Volta after 580", gpus_of(V100S), {"branch": "590"}, DEBIAN, "580 is the last branch for Tesla V100S"),
    (
        "Kepler after 470",
        gpus_of(K80),
        {},
        DEBIAN,
        "470 is the last branch for Tesla K80, and it must be 580.65.06 or newer",
    ),
    ("Blackwell before 570", gpus_of(B200), {"branch": "550"}, DEBIAN, "NVIDIA B200 needs 570 or newer"),
    ("Debian's archive", gpus_of(A100), {"source": "distribution"}, DEBIAN, "has the branch 535 and no other"),
    (
        "RHEL's archive",
        gpus_of(A100),
        {"source": "distribution"},
        ROCKY,
        "has no open driver of branch 580 for Rocky 9.4",
    ),
    ("Secure Boot", gpus_of(A100, secure_boot=True), {}, DEBIAN, "mokutil --import /var/lib/dkms/mok.pub"),
    (
        "Secure Boot, a source without signatures",
        gpus_of(A100, secure_boot=True),
        {"source": "cuda_repository"},
        JAMMY,
        "mokutil --import /var/lib/shim-signed/mok/MOK.der",
    ),
    (
        "Secure Boot, compiled and not loaded",
        gpus_of(
            A100,
            driver="580.65.06",
            loaded=None,
            secure_boot=True,
            packages=installed("nvidia-kernel-open-dkms", "nvidia-open", version="580.65.06-1"),
        ),
        {},
        DEBIAN,
        "nvidia_driver_own_key",
    ),
    (
        "packages over a runfile",
        gpus_of(A100, driver="470.182.03", runfile="470.182.03", origin="runfile"),
        {},
        DEBIAN,
        "run 'nvidia-uninstall --silent' there",
    ),
    (
        "a runfile over packages",
        gpus_of(A100, driver="470.182.03", packages=installed("nvidia-driver-470", version="470.182.03-1")),
        {"source": "runfile", "version": "580.95.05", "runfile_checksum": "0" * 64},
        DEBIAN,
        "a runfile over them would leave two drivers",
    ),
    (
        "a runfile of no version",
        gpus_of(A100),
        {"source": "runfile", "runfile_checksum": "0" * 64},
        DEBIAN,
        "one version",
    ),
    ("a runfile without a sum", gpus_of(A100), {"source": "runfile", "version": "580.95.05"}, DEBIAN, "SHA-256 sum"),
    (
        "a runfile and NVSwitches",
        gpus_of(A100, nvswitch=6),
        {"source": "runfile", "version": "580.95.05", "runfile_checksum": "0" * 64},
        DEBIAN,
        "brings no fabric manager",
    ),
    (
        "a driver that WSL lends",
        gpus_of(A100, driver="560.94", flavour=None, origin="none", built={"version": None}),
        {},
        JAMMY,
        "WSL, or the engine of a container",
    ),
    (
        "a virtual GPU",
        gpus_of({**A100, "name": "NVIDIA A100-4-20C"}, driver="550.127.05"),
        {},
        JAMMY,
        "virtual (NVIDIA A100-4-20C)",
    ),
    (
        "no fabric manager in the archive",
        gpus_of(A100, nvswitch=6),
        {"source": "distribution", "branch": "535"},
        DEBIAN,
        "has no fabric manager for Debian 12.9",
    ),
]


@pytest.mark.parametrize(("case", "gpus", "wishes", "system", "words"), REFUSED)
def test_what_cannot_be_is_said_before_anything_changes(case, gpus, wishes, system, words):
    problems = step(gpus, wishes, system).problems
    assert words in " ".join(problems), problems
    assert all("node1" in problem and problem.endswith(".") for problem in problems)


def test_a_runfile_that_is_left_goes_first_where_that_is_allowed():
    facts = gpus_of(A100, driver="470.182.03", runfile="470.182.03", origin="both")
    found = step(facts, {"remove_runfile": True})
    assert (found.problems, found.uninstall) == ([], "470.182.03")


def test_a_key_of_ones_own_makes_dkms_do_under_secure_boot():
    found = step(gpus_of(A100, secure_boot=True), {"own_key": True})
    assert (found.action, found.problems, found.source) == ("install", [], "cuda_repository")


def test_secure_boot_takes_the_distributions_modules():
    found = step(gpus_of(A100, secure_boot=True), {}, JAMMY)
    assert found.source == "distribution"
    assert "linux-modules-nvidia-580-server-open-5.15.0-105-generic" in found.install


def test_a_runfile_brings_the_tools_that_it_calls():
    found = step(gpus_of(A100), {"source": "runfile", "version": "580.95.05", "runfile_checksum": "a" * 64})
    assert (found.problems, list(found.install), found.flavour) == ([], ["dkms", "gcc", "make"], "open")


def test_all_that_stands_against_a_wish_is_said_at_once():
    problems = step(gpus_of(V100S), {"branch": "595", "flavour": "open"}).problems
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("version", "request_", "words"),
    [
        ("580.95.05", Request(version="580.95.05"), ""),
        ("580.95.05", Request(version="580.65.06"), "nvidia_driver_version asks for 580.65.06"),
        ("535.54.03", Request(branch="580"), "nvidia_driver_branch asks for 580"),
        ("470.182.03", Request(), ""),
    ],
)
def test_what_is_requested_is_named_by_its_variable(version, request_, words):
    assert request_.unmet(version, None) == words


def test_a_bound_of_another_branch_says_nothing():
    assert Request(branch="580", least="580.95.05").bound == "580.95.05"
    assert Request(branch="535", least="580.95.05").bound == ""
    assert Request(version="580.65.06", least="580.95.05").bound == ""


@pytest.mark.parametrize(("version", "does"), [("535.104.05", True), ("535.86.10", True), ("535.54.03", False)])
def test_versions_are_numbers_and_not_texts(version, does):
    assert (step(gpus_of(A100, driver=version), {"least": "535.86.10"}).action == "none") is does


def test_missing_facts_are_named():
    with pytest.raises(DriverRequestError, match="kernel, fromzero_gpus of node1"):
        question({key: value for key, value in DEBIAN.items() if key != "kernel"}, "node1", {})


def test_an_unknown_wish_is_named():
    with pytest.raises(DriverRequestError, match="'brunch' is no request"):
        question({**DEBIAN, "fromzero_gpus": gpus_of()}, "node1", {"brunch": "580"})


UNPROVEN = [
    ("silent", gpus_of(A100, driver="580.65.06", source="proc", error="nvidia-smi ended with 18"), "does not answer"),
    (
        "another version",
        gpus_of(A100, driver="570.124.06"),
        "node1 has the driver 570.124.06, but it must be 580.65.06 or newer.",
    ),
    ("a GPU is lost", gpus_of(driver="580.65.06"), "sees 0 of 1 GPUs"),
    ("gone at the next start", gpus_of(A100, driver="580.65.06", built={"version": None}), "no module on disk"),
    ("no fabric", gpus_of(A100, driver="580.65.06", nvswitch=6), "no fabric manager"),
]


@pytest.mark.parametrize(("case", "gpus", "words"), UNPROVEN)
def test_a_changed_driver_has_to_prove_itself(case, gpus, words):
    asked = question({**DEBIAN, "fromzero_gpus": gpus}, "node1", LEAST)
    assert words in " ".join(asked.node.unproven(asked.request, asked.rules, 1))


def test_a_driver_that_does_all_has_proved_itself():
    asked = question({**DEBIAN, "fromzero_gpus": gpus_of(A100, driver="580.65.06")}, "node1", LEAST)
    assert asked.node.unproven(asked.request, asked.rules, 1) == []
