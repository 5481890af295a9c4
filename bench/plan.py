"""`python -m bench.plan [--hosts N ...]`: the cost of deciding one stack for many nodes.

Prints, for each number of hosts, the seconds of a play that loads the inventory and the facts, the seconds of the same
play when it decides the plan too, their ratio, the seconds of the resolver alone, and the size of artifacts/plan.yml.
Every tenth node has other GPUs and an older driver than the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from sandbox.shell import BUILD, ROOT, run

sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.node_checks import Node
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.nodes import reported, request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack

FOLDER = BUILD / "plan"

LOAD = """\
---
- name: Load the inventory
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Count the nodes
      ansible.builtin.assert:
        that: groups['nodes'] | length == {count}
      run_once: true
"""

DECIDE = """
    - name: Decide the stack
      fromzero.deepspeed.cluster_plan:
        path: "{folder}/artifacts/plan.yml"
      run_once: true
"""


def main() -> None:
    """Measure each number of hosts in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10000])
    print(f"{'hosts':>6} {'load s':>7} {'with plan s':>11} {'ratio':>6} {'resolver s':>10} {'plan.yml KiB':>12}")
    for count in parser.parse_args().hosts:
        print(measure(count), flush=True)


def measure(count: int) -> str:
    """One row of the table; the facts come from a cache, as those of nodes that nobody has to be asked for."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "facts").mkdir(parents=True)
    names = [f"node{number:05}" for number in range(count)]
    inventory = FOLDER / "hosts.yml"
    inventory.write_text(
        yaml.dump({"nodes": {"hosts": dict.fromkeys(names)}}, Dumper=yaml.CSafeDumper), encoding="utf-8"
    )
    for number, name in enumerate(names):
        # As ansible-core writes them since 2.19.
        (FOLDER / "facts" / f"s1_{name}").write_text(
            json.dumps({"__payload__": json.dumps(facts(number))}), encoding="utf-8"
        )
    load = seconds(LOAD.format(count=count), "load.yml", inventory)
    decide = seconds(LOAD.format(count=count) + DECIDE.format(folder=FOLDER), "decide.yml", inventory)
    size = (FOLDER / "artifacts" / "plan.yml").stat().st_size / 1024
    return f"{count:>6} {load:>7.1f} {decide:>11.1f} {decide / load:>6.2f} {resolver(names):>10.2f} {size:>12.0f}"


def facts(number: int) -> dict[str, Any]:
    """What a node of the bench has reported: eight A100, or on every tenth node two V100."""
    volta = number % 10 == 9
    kind = {"name": "Tesla V100S-PCIE-32GB", "architecture": "Volta", "compute_capability": "7.0"}
    ampere = {"name": "NVIDIA A100-SXM4-80GB", "architecture": "Ampere", "compute_capability": "8.0"}
    gpu = {"vendor": "nvidia", "gfx": None, "memory_mib": 32768, **(kind if volta else ampere)}
    version = "450.80.02" if volta else "580.95.05"
    return {
        "architecture": "x86_64",
        "kernel": "5.15.0-105-generic",
        "os_family": "Debian",
        "distribution": "Ubuntu",
        "distribution_version": "22.04",
        "fromzero_gpus": {
            "gpus": [{**gpu, "index": index, "uuid": f"GPU-{number}-{index}"} for index in range(2 if volta else 8)],
            "driver": {"loaded": version, "library": version, "flavour": "proprietary", "built": {"version": version}},
        },
        "fromzero_node": {"glibc": "2.35"},
        "fromzero_network": {"link": {"interface": "eth0", "address": f"10.0.{number // 250}.{number % 250 + 1}"}},
    }


def resolver(names: list[str]) -> float:
    """Seconds of the pure function."""
    nodes = {name: request(reported(Node(name, facts(number))), {}) for number, name in enumerate(names)}
    began = time.monotonic()
    resolve_stack({}, nodes)
    return time.monotonic() - began


def seconds(text: str, name: str, inventory: Path) -> float:
    """Wall time of one run of ansible-playbook."""
    playbook = FOLDER / name
    playbook.write_text(text, encoding="utf-8")
    cache = {
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(FOLDER / "facts"),
    }
    began = time.monotonic()
    run(["ansible-playbook", "-i", str(inventory), str(playbook)], env=os.environ | cache)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
