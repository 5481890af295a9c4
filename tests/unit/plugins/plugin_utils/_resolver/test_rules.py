# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds of every plan, checked apart from the resolver, with the tables read as plain YAML."""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack
from tests.unit.plugins.plugin_utils._resolver.nodes import ARCHITECTURES, cluster, fixed, node

DATA = Path(__file__).parents[5] / "data"
TORCH = yaml.safe_load((DATA / "torch.yml").read_text(encoding="utf-8"))
CUDA = yaml.safe_load((DATA / "cuda.yml").read_text(encoding="utf-8"))
STACKS = yaml.safe_load((DATA / "stacks.yml").read_text(encoding="utf-8"))["stacks"]
DRIVERS = ["", "450.80.02", "470.182.03", "535.104.05", "570.86.15", "580.65.06", "590.48.01"]


def numbers(version: str) -> list[int]:
    """580.65.06 as numbers."""
    return [int(part) for part in version.split(".")]


def runs(capability: str, torch: str, build: str) -> bool:
    """Whether a GPU runs a build, by the rule at the top of the kernels in torch.yml."""
    minor = ".".join(torch.split(".")[:2])
    rows = [row for row in TORCH["kernels"] if row["build"] == build and minor in row["torch"] and "machine" not in row]
    own = numbers(capability)
    return any(
        any(numbers(cubin)[0] == own[0] and numbers(cubin) <= own for cubin in row["capabilities"])
        or ("ptx" in row and numbers(row["ptx"]) <= own)
        for row in rows
    )


def driver_faults(gpu: dict[str, Any], driver: dict[str, Any]) -> list[str]:
    """What the driver of a plan breaks for a GPU."""
    last = {"Kepler": 470, "Maxwell": 580, "Pascal": 580, "Volta": 580}.get(gpu["architecture"])
    found = []
    if last and numbers(driver["then"])[0] > last:
        found.append(f"{gpu['name']} is not known to driver {driver['then']}")
    changed = driver["action"] in ("install", "upgrade")
    if changed and last and driver["flavour"] == "open":
        found.append(f"open modules for {gpu['name']}")
    if changed and gpu["architecture"] in ("Blackwell", "Rubin") and driver["flavour"] != "open":
        found.append(f"proprietary modules for {gpu['name']}")
    return found


def faults(plan: dict[str, Any], nodes: dict[str, Any]) -> list[str]:
    """What a plan with CUDA breaks."""
    torch, build = plan["torch"]["version"], plan["torch"]["build"]
    row = next(row for row in TORCH["releases"] if row["torch"] == torch)
    cuda = f"{build[2:-1]}.{build[-1]}"
    least = next(major["driver"] for major in CUDA["majors"] if major["cuda"] == cuda.split(".", maxsplit=1)[0])
    toolkit = next(minor for minor in CUDA["minors"] if minor["cuda"] == plan["cuda"]["version"])
    broken = {
        "python": plan["python"] not in row["python"],
        "build": build not in row["builds"],
        "apex with another toolkit than torch's CUDA": plan["apex"] and toolkit["cuda"] != cuda,
        "nvcc": not set(plan["cuda"]["architectures"]) <= set(toolkit["capabilities"]),
    }
    found = [name for name, is_so in broken.items() if is_so]
    for name, entry in plan["nodes"].items():
        then = numbers(entry["driver"]["then"])
        # A branch alone stands for its newest version.
        if then < numbers(least)[: 1 if len(then) == 1 else None]:
            found.append(f"driver {entry['driver']['then']} is too old for CUDA {cuda}")
        if not nodes[name]["driver_manage"] and entry["driver"]["then"] != nodes[name]["driver"]["library"]:
            found.append(f"the driver of {name} is touched")
        for gpu in nodes[name]["gpus"]:
            found += driver_faults(gpu, entry["driver"])
            if not runs(gpu["compute_capability"], torch, build):
                found.append(f"{gpu['name']} does not run {torch}+{build}")
    return found


@pytest.mark.parametrize("gpu", ARCHITECTURES)
@pytest.mark.parametrize("driver", DRIVERS)
def test_no_plan_of_auto_breaks_a_rule(gpu: str, driver: str) -> None:
    for make in (node, fixed):
        nodes = cluster(make(gpu, driver or None))
        found = resolve_stack({}, nodes, "2026-11")
        assert bool(found["plan"]) != bool(found["conflicts"])
        assert found["plan"] or make is fixed
        if found["plan"]:
            assert faults(found["plan"], nodes) == []


@pytest.mark.parametrize(
    "stack", [row for row in STACKS if row["build"].startswith("cu")], ids=lambda row: row["stack"]
)
def test_no_stack_breaks_a_rule_on_the_architectures_that_it_has_kernels_for(stack: dict[str, Any]) -> None:
    planned = 0
    for gpu in ARCHITECTURES:
        for driver in DRIVERS:
            nodes = cluster(node(gpu, driver or None))
            if runs(nodes["node1"]["gpus"][0]["compute_capability"], stack["torch"], stack["build"]):
                found = resolve_stack({"stack": stack["stack"]}, nodes, "2026-11")
                planned += bool(found["plan"])
                # Kepler's last driver runs nothing newer than CUDA 11.
                assert found["plan"] or gpu == "k80"
                assert found["plan"] is None or faults(found["plan"], nodes) == []
    assert planned > len(DRIVERS)


def test_auto_has_a_plan_for_every_pair_that_some_torch_runs_on() -> None:
    pairs = [(row["torch"], build) for row in TORCH["releases"] for build in row["builds"] if build.startswith("cu")]
    planned = 0
    for one, other in combinations(ARCHITECTURES, 2):
        nodes = cluster(node(one), node(other))
        capabilities = [each["gpus"][0]["compute_capability"] for each in nodes.values()]
        known = [(torch, build) for torch, build in pairs if all(runs(each, torch, build) for each in capabilities)]
        found = resolve_stack({}, nodes, "2026-11")
        if found["plan"]:
            assert faults(found["plan"], nodes) == []
            planned += 1
        else:
            # Kernels alone are not enough: Kepler's last driver runs nothing newer than CUDA 11.
            assert not known or "k80" in (one, other), (one, other)
            assert found["conflicts"][0]["reason"].startswith("No torch has kernels for both") or known
    assert planned > 100


@pytest.mark.parametrize("gpus", ["", "v100s", "a100", "b200", "p100 v100", "k80", "mi210"])
@pytest.mark.parametrize(
    "wishes", [{}, {"torch": "2.2.1"}, {"cuda": "11.8"}, {"python": "3.10"}, {"apex": True}], ids=str
)
def test_a_plan_fed_back_as_wishes_is_itself(gpus: str, wishes: dict[str, Any]) -> None:
    wishes = wishes if gpus else {"accelerator": "cpu", "torch": wishes.get("torch")}
    plan = resolve_stack(wishes, cluster(node(gpus)), "2026-11")["plan"]
    if plan is None:
        return
    named = {"stack": plan["stack"], "python": plan["python"], "deepspeed": plan["deepspeed"]}
    spelt = {
        "accelerator": plan["accelerator"],
        "python": plan["python"],
        "torch": f"{plan['torch']['version']}+{plan['torch']['build']}",
        "torch_build": plan["torch"]["build"],
        "cuda": (plan["cuda"] or {}).get("version"),
        "deepspeed": plan["deepspeed"],
        "apex": (plan["apex"] or {}).get("ref", False),
    }
    for again in (named, spelt):
        assert resolve_stack(again, cluster(node(gpus)), "2026-11")["plan"] == plan


def test_a_thousand_nodes_cost_less_than_a_second() -> None:
    kinds = ["a100 a100", "v100s", "h100", "p100", "", "t4 t4 t4 t4"]
    drivers = ["450.80.02", "470.182.03", "535.104.05", "580.95.05", None]
    nodes = cluster(*(node(kinds[at % len(kinds)], drivers[at % len(drivers)]) for at in range(1000)))
    resolve_stack({}, cluster(node("a100")), "2026-11")
    for wishes in ({}, {"torch": "2.13.0+cu130", "python": "3.8", "cuda": "11.8", "bf16": True, "deepspeed": "0.13.5"}):
        begin = time.process_time()
        found = resolve_stack(wishes, nodes, "2026-11")
        assert time.process_time() - begin < 1
        assert bool(found["plan"]) == (not wishes)
    assert len(resolve_stack({}, nodes, "2026-11")["plan"]["nodes"]) == 1000


def test_what_is_said_does_not_grow_with_the_nodes() -> None:
    few, many = (
        resolve_stack({"torch": "2.13.0+cu130"}, cluster(*[fixed("v100", "450.80.02")] * count), "2026-11")
        for count in (10, 1000)
    )
    assert len(few["conflicts"]) == len(many["conflicts"]) > 0
    assert all(len(conflict["reason"]) < 300 for conflict in many["conflicts"])


def test_nothing_that_is_given_is_changed() -> None:
    wishes, nodes = {"torch": "2.0.1"}, cluster(node("a100", "470.182.03"), node("v100s"))
    before = yaml.safe_dump([wishes, nodes])
    resolve_stack(wishes, nodes, "2026-11")
    assert yaml.safe_dump([wishes, nodes]) == before


A100 = {"vendor": "nvidia", "compute_capability": "8.0"}


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"gpus": None, "driver": None},
        {"gpus": "two", "driver": "450"},
        {"gpus": [None, "x"], "driver": []},
        {"gpus": [{}]},
        {"gpus": [{**A100, "compute_capability": 8.0}], "glibc": 2.36},
        {"gpus": [{**A100, "compute_capability": "N/A"}], "driver": {"loaded": "N/A", "library": ""}},
        {"gpus": [A100], "driver": {"loaded": "550.54.14", "built": None, "packages": None}},
        {"gpus": [A100], "driver": {"packages": ["nvidia-driver-550"]}, "driver_manage": "no"},
        {"gpus": [{"vendor": "intel", "name": "Arc"}]},
    ],
    ids=str,
)
def test_reports_that_say_little_or_nonsense_are_answered(report: dict[str, Any]) -> None:
    for wishes in ({}, {"accelerator": "cuda"}, {"accelerator": "cpu"}):
        found = resolve_stack(wishes, {"node1": report}, "2026-11")
        assert bool(found["plan"]) != bool(found["conflicts"])
