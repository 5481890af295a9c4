# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import (
    Needs,
    Node,
    accelerator,
    accelerator_problems,
    home_problems,
    lost_problems,
    node_problems,
    warnings,
    way_without,
)

NEEDS = Needs(
    systems={"Debian": ["12"], "Ubuntu": ["24.04"], "Rocky": ["9"]},
    python="3.9",
    disk={"cpu": 4, "cuda": 25},
    clock_skew=60,
)
A100 = {"index": 0, "vendor": "nvidia", "name": "A100", "uuid": "GPU-0", "memory_mib": 81920}
MI210 = {"index": 0, "vendor": "amd", "name": "AMD Instinct MI210", "gfx": "gfx90a"}
# Graphics inside a processor: nothing knows what it could compute.
RYZEN = {"index": 0, "vendor": "amd", "name": None, "gfx": None}


def node(name: str = "a", gpus: int = 0, values: dict[str, Any] | None = None, **changes: Any) -> Node:
    """A node on which all is well, but for the changes."""
    report: dict[str, Any] = {
        "clock_offset": 0.3,
        "disk": {"path": "/opt", "free_bytes": 50_000_000_000, "writable": True, "held_by": None},
        "installed": False,
        "account": {"name": "trainer", "exists": True, "home": "/home/trainer"},
        "machine": f"boot-{name}",
    }
    facts: dict[str, Any] = {
        "distribution": "Debian",
        "distribution_version": "12.11",
        "python_version": "3.11.2",
        "user_id": "trainer",
        "user_dir": "/home/trainer",
        "env": {},
        "fromzero_network": {"link": {"address": f"10.0.0.{ord(name[0])}"}, "problem": None},
        "fromzero_gpus": {"gpus": [A100] * gpus, "source": "pci", "error": None},
    }
    report |= {key: value for key, value in changes.items() if key in report}
    facts |= {key: value for key, value in changes.items() if key in facts}
    return Node(name, {**facts, "fromzero_node": report}, {"cluster_accelerator": "cpu"} if values is None else values)


def with_gpus(*gpus: dict[str, Any], **report: Any) -> Node:
    """A node that reports GPUs and what else is given of them."""
    return node(values={}, fromzero_gpus={"gpus": list(gpus), "source": "pci", "error": None, **report})


def full(free: int, writable: bool = True) -> dict[str, Any]:
    return {"path": "/opt", "free_bytes": free, "writable": writable, "held_by": None}


def held(by: str) -> dict[str, Any]:
    return {"path": "/data", "free_bytes": 9**12, "writable": True, "held_by": by}


NOT_WELL: list[tuple[str, Callable[[], list[Node]], list[str]]] = [
    (
        "an unsupported system",
        lambda: [node(distribution="Fedora", distribution_version="43")],
        ["a runs Fedora 43", "Debian 12"],
    ),
    ("an old release", lambda: [node(distribution_version="11.9")], ["a runs Debian 11.9"]),
    ("a release that only begins alike", lambda: [node(distribution_version="120")], ["a runs Debian 120"]),
    ("an old python", lambda: [node(python_version="3.8.10")], ["a has Python 3.8.10", "3.9"]),
    (
        "no interface in the network",
        lambda: [node(fromzero_network={"link": None, "problem": "cluster_network 10.9.0.0/24 is on no interface"})],
        ["a: cluster_network 10.9.0.0/24"],
    ),
    (
        "a folder of somebody else's",
        lambda: [node(disk=held("ann"))],
        ["cluster_prefix /data is there already, holds files, and belongs to ann, not to trainer"],
    ),
    ("a full disk", lambda: [node(disk=full(3_900_000_000))], ["a has 3.9 GB free at /opt and needs 4 GB"]),
    (
        "a disk too small for cuda",
        lambda: [node(gpus=1, values={}, disk=full(20_000_000_000))],
        ["needs 25 GB", "cluster_prefix"],
    ),
    (
        "a prefix that cannot be written",
        lambda: [node(disk=full(9**12, writable=False))],
        ["a: nothing can be written"],
    ),
    (
        "no account",
        lambda: [node(account={"name": "ghost", "exists": False, "home": None})],
        ["a has no account 'ghost'", "cluster_user"],
    ),
    (
        "another account without root",
        lambda: [
            node(
                values={"cluster_accelerator": "cpu", "cluster_become": "false", "cluster_user": "other"},
                account={"name": "other", "exists": True, "home": "/home/other"},
            )
        ],
        ["cluster_user is 'other' but Ansible connects as 'trainer'"],
    ),
    ("a clock ahead", lambda: [node("a"), node("b"), node("c", clock_offset=3600.0)], ["c's clock is 3600 s ahead of"]),
    ("a clock behind, of two", lambda: [node("a", clock_offset=-90.0), node("b")], ["a's clock is 90 s behind b's"]),
    ("one machine twice", lambda: [node("a", machine="m"), node("b", machine="m")], ["a and b are one machine"]),
    (
        "one address twice",
        lambda: [
            node(name, fromzero_network={"link": {"address": "10.0.2.15"}, "problem": None}) for name in ("a", "b")
        ],
        ["a and b have one address between nodes, 10.0.2.15", "cluster_network"],
    ),
    (
        "accounts that differ",
        lambda: [node("a"), node("b", user_id="ubuntu")],
        ["cluster_user comes to 'trainer' on a, 'ubuntu' on b"],
    ),
    (
        "homes that differ without root",
        lambda: [
            node(name, values={"cluster_accelerator": "cpu", "cluster_become": False}, user_dir=f"/home/{name}")
            for name in ("a", "b")
        ],
        ["cluster_environment comes to '/home/a/fromzero/envs/train' on a"],
    ),
]
HEADLESS: list[tuple[list[Node], list[str]]] = [
    ([node("a", values={}), node("b", values={})], ["No NVIDIA or AMD GPU to compute on was found on any node"]),
    ([node(values={"cluster_accelerator": "cuda"})], ["'cuda' but no NVIDIA GPU", "a;"]),
    ([node(gpus=2, values={"cluster_accelerator": "rocm"})], ["'rocm' but no AMD GPU was found on a;"]),
]

WELL: list[tuple[str, Callable[[], list[Node]]]] = [
    ("two ordinary nodes", lambda: [node("a"), node("b")]),
    ("a small disk that holds the environment already", lambda: [node(disk=full(1), installed=True)]),
    ("the folder of an earlier run", lambda: [node(disk=held("trainer"))]),
    ("clocks a minute apart", lambda: [node("a", clock_offset=-30.0), node("b", clock_offset=30.0)]),
    (
        "clocks that agree and the controller's is wrong",
        lambda: [node("a", clock_offset=9e5), node("b", clock_offset=9e5)],
    ),
    ("machines that cannot be told apart", lambda: [node("a", machine=None), node("b", machine=None)]),
    ("a dot release", lambda: [node(distribution="Rocky", distribution_version="9.4")]),
    ("a release whose name has a dot", lambda: [node(distribution="Ubuntu", distribution_version="24.04")]),
    ("GPUs that cannot be seen", lambda: [node(values={"cluster_accelerator": "cuda", "hostfile_slots": 2})]),
    ("GPUs on one of two nodes", lambda: [node("a", gpus=2, values={}), node("b", values={})]),
]

ACCELERATORS: list[tuple[list[Node], str]] = [
    ([node("a", values={}), node("b", gpus=1, values={})], "cuda"),
    ([node("a", gpus=1, values={"cluster_accelerator": "cpu"})], "cpu"),
    ([node("a", values={"cluster_accelerator": "rocm"})], "rocm"),
    ([node("a", values={"cluster_accelerator": "auto"})], "auto"),
    ([node("a", gpus=1, values={"cluster_accelerator": "auto"})], "cuda"),
    ([with_gpus(MI210, MI210)], "rocm"),
    ([with_gpus(RYZEN, A100)], "cuda"),
    ([with_gpus(RYZEN)], "auto"),
    ([with_gpus(MI210), node("b", gpus=1, values={})], "cuda"),
]
# What a node has, what the cluster computes on, and how many slots that makes.
COUNTS: list[tuple[list[dict[str, Any]], str, int]] = [
    ([A100, A100], "cuda", 2),
    ([RYZEN, A100], "cuda", 1),
    ([RYZEN, A100], "auto", 1),
    ([MI210, MI210, RYZEN], "rocm", 2),
    ([MI210, MI210], "cuda", 0),
    ([MI210, A100], "rocm", 1),
    ([A100], "cpu", 0),
    ([{"index": 0, "name": "as 0.1.0 told it"}], "cuda", 1),
]


@pytest.mark.parametrize(("nodes", "said"), [case[1:] for case in NOT_WELL], ids=[case[0] for case in NOT_WELL])
def test_what_cannot_work_is_told_in_one_sentence(nodes: Callable[[], list[Node]], said: list[str]) -> None:
    problems = node_problems(nodes(), NEEDS)
    assert len(problems) == 1, problems
    assert all(part in problems[0] for part in said), problems[0]


@pytest.mark.parametrize("nodes", [case[1] for case in WELL], ids=[case[0] for case in WELL])
def test_what_can_work_is_left_alone(nodes: Callable[[], list[Node]]) -> None:
    assert node_problems(nodes(), NEEDS) == accelerator_problems(nodes()) == []


@pytest.mark.parametrize(("nodes", "said"), HEADLESS)
def test_no_gpu_where_one_is_needed_is_told_in_one_sentence(nodes: list[Node], said: list[str]) -> None:
    problems = accelerator_problems(nodes)
    assert len(problems) == 1, problems
    assert all(part in problems[0] for part in said), problems[0]


def test_all_problems_come_at_once() -> None:
    nodes = [node("a", python_version="3.8.1", disk=full(1)), node("b", clock_offset=99.0)]
    assert len(node_problems(nodes, NEEDS)) == 3


@pytest.mark.parametrize(("nodes", "wanted"), ACCELERATORS)
def test_auto_is_cuda_where_any_node_has_a_gpu(nodes: list[Node], wanted: str) -> None:
    assert accelerator(nodes) == wanted


def test_a_node_without_gpu_among_nodes_with_one_is_a_warning() -> None:
    nodes = [node("a", gpus=1, values={}), node("b", values={}), node("c", values={"hostfile_slots": 1})]
    assert warnings(nodes) == ["b: no NVIDIA GPU was found, so the hostfile will give no slot there."]


@pytest.mark.parametrize(("gpus", "settled", "count"), COUNTS)
def test_slots_are_the_gpus_of_the_accelerators_vendor(gpus: list[dict[str, Any]], settled: str, count: int) -> None:
    assert with_gpus(*gpus).gpus_for(settled) == count


def test_what_nvidia_smi_said_when_it_failed_is_a_warning() -> None:
    said = "nvidia-smi ended with 18: Driver/library version mismatch"
    assert warnings([with_gpus(A100, error=said)]) == [f"a: {said}"]


def test_what_is_wrong_with_a_driver_is_a_warning_and_alike_nodes_share_it() -> None:
    broken = {"fromzero_gpus": {"gpus": [A100], "error": "cryptic", "findings": ["The module is not the library's."]}}
    nodes = [node(name, values={}, **broken) for name in ("a", "b")]
    assert warnings(nodes) == ["a and b: The module is not the library's."]


def test_what_is_wrong_with_gpus_that_nobody_uses_is_no_warning() -> None:
    gpus = {"gpus": [A100], "error": None, "findings": ["nouveau has the GPUs."]}
    assert warnings([node(fromzero_gpus=gpus)]) == []


@pytest.mark.parametrize(
    ("said", "judged"),
    [
        ("ansible-core requires a minimum of Python version 3.8. Current version: 3.6.8", True),
        ("/bin/sh: 1: /usr/bin/python3: not found", True),
        ("The module interpreter '/usr/bin/python3' was not found.", True),
        ("No space left on device", False),
    ],
)
def test_a_node_without_a_usable_python_stops_the_run_and_other_losses_do_not(said: str, judged: bool) -> None:
    assert bool(lost_problems({"a": said}, NEEDS)) is judged


WITHOUT_ROOT = {"cluster_become": False, "cluster_accelerator": "cpu"}


def at_home(name: str, interface: str, home: str | None = "nfs4 10.0.0.5:/home 7", become: bool = False) -> Node:
    """A node with an interface, and a home that others may have too."""
    found = node(name, values={**WITHOUT_ROOT, "cluster_become": become})
    link = {"link": {"address": "10.0.0.1", "interface": interface}, "problem": None}
    return Node(
        name,
        {**found.facts, "fromzero_network": link, "fromzero_node": {**found.report, "home": home}},
        found.values,
    )


# nodes, the variables of roles, whether they are refused
HOMES = {
    "one home, two names": ([at_home("a", "eth0"), at_home("b", "ens5")], {}, True),
    "one home, one name": ([at_home("a", "eth0"), at_home("b", "eth0")], {}, False),
    "two homes": ([at_home("a", "eth0"), at_home("b", "ens5", "nfs4 10.0.0.5:/home 8")], {}, False),
    "nobody knows": ([at_home("a", "eth0", None), at_home("b", "ens5", None)], {}, False),
    "with root": ([at_home("a", "eth0", become=True), at_home("b", "ens5", become=True)], {}, False),
    "a name by hand": (
        [at_home("a", "eth0"), at_home("b", "ens5")],
        {name: {"nccl_interface": "bond0"} for name in "ab"},
        False,
    ),
    "other files": (
        [at_home("a", "eth0"), at_home("b", "ens5")],
        {name: {"nccl_path": "/x", "nccl_environment_path": "/y"} for name in "ab"},
        False,
    ),
}


@pytest.mark.parametrize(("nodes", "given", "refused"), HOMES.values(), ids=HOMES.keys())
def test_a_home_that_nodes_share_cannot_name_two_interfaces(
    nodes: list[Node], given: dict[str, dict[str, Any]], refused: bool
) -> None:
    problems = home_problems(nodes, given)
    assert bool(problems) is refused
    assert not refused or problems[0].startswith("a and b share the home /home/trainer, whose .nccl.conf can name one")
    assert not refused or "it is eth0 on a, ens5 on b; set cluster_become: true" in problems[0]


# broken nodes, all, the limit, what to run with
WITHOUT = [
    (["b"], ["a", "b"], "", "without b until it is repaired, run with --limit '!b'."),
    (["b", "c"], ["a", "b", "c"], "nodes", "without b and c until they are repaired, run with --limit 'nodes:!b:!c'."),
]


@pytest.mark.parametrize(("broken", "everyone", "limit", "said"), WITHOUT)
def test_a_broken_node_comes_with_the_way_to_go_on_without_it(
    broken: list[str], everyone: list[str], limit: str, said: str
) -> None:
    assert way_without(broken, everyone, "a", limit)[0].endswith(said)


@pytest.mark.parametrize(("broken", "head"), [([], "a"), (["a"], "a"), (["a", "b"], "c")])
def test_nobody_goes_on_without_the_head_or_any_node(broken: list[str], head: str) -> None:
    assert way_without(broken, ["a", "b"], head, "") == []
