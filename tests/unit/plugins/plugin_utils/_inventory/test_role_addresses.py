# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_addresses import (
    VARIABLES,
    address_problems,
    addresses,
    unknown_addresses,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import (
    ROLES,
    role_defaults,
    role_vars,
)

FACTS: dict[str, Any] = {
    "os_family": "Debian",
    "distribution": "Debian",
    "distribution_major_version": "12",
    "distribution_version": "12.11",
    "architecture": "x86_64",
    "user_id": "ann",
    "user_dir": "/home/ann",
}
ON_CPUS: dict[str, Any] = {
    "python": "3.11",
    "torch": {"version": "2.13.0", "build": "cpu"},
    "deepspeed": "0.19.8",
    "builder": "a",
    "node": {"driver": {"action": "none"}},
}
ON_GPUS = {
    **ON_CPUS,
    "torch": {"version": "2.13.0", "build": "cu126"},
    "cuda": {"version": "12.6"},
    "apex": {"ref": "25.09"},
}

INSTALLED = {**ON_GPUS, "driver": {"least": "525.60.13"}}
INSTALLED["node"] = {"driver": {"action": "install", "branch": "580", "version": "", "flavour": "open"}}
BARE_GPUS = {
    "gpus": [{"vendor": "nvidia", "name": "NVIDIA A100", "architecture": "Ampere", "compute_capability": "8.0"}],
    "driver": {"loaded": None, "library": None, "packages": [], "built": {"version": None}},
    "kernel": {"headers": True},
}

# Templates that call lookups need Ansible's own import of collections, which a process can have only from its start.
_EVALUATE = """
import json, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.fromzero.deepspeed.plugins.lookup.addresses import LookupModule
for seen in json.load(sys.stdin):
    seen = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in seen.items()}
    rows = LookupModule(loader=DataLoader(), templar=Templar(loader=DataLoader(), variables=seen)).run([], seen)
    print(json.dumps(rows))
"""


def looked_at(*cases: dict[str, Any], plan: dict[str, Any] = ON_CPUS, node: str = "a") -> list[dict[str, list[str]]]:
    """The addresses of a node by the variable that names them, with the roles' own defaults, for each of the cases."""
    known = {"ansible_facts": {**FACTS, "preflight_plan": plan}, "inventory_hostname": node}
    seen = [{**known, "groups": {"nodes": ["a", "b"]}, **case} for case in cases]
    command = [sys.executable, "-c", _EVALUATE, str(ROLES.parents[3])]
    done = subprocess.run(command, input=json.dumps(seen), capture_output=True, text=True, check=True, cwd=ROLES.parent)
    answers = []
    for line in done.stdout.splitlines():
        found: dict[str, list[str]] = {}
        for row in json.loads(line):
            found.setdefault(row["variable"], []).extend(row["urls"])
        answers.append(found)
    return answers


def test_what_is_read_is_what_roles_have() -> None:
    assert set(VARIABLES) <= {*role_defaults(ROLES), *role_vars(ROLES)}


def test_a_bare_node_of_cpus_needs_conda_torch_and_deepspeed() -> None:
    [found] = looked_at({})
    assert set(found) == {
        *(
            "conda_installer_url",
            "conda_installer_checksum",
            "conda_channels",
            "torch_index_url",
            "deepspeed_index_url",
        ),
    }
    assert found["torch_index_url"] == ["https://download.pytorch.org/whl/cpu"]
    assert found["deepspeed_index_url"] == []
    [installer] = found["conda_installer_url"]
    assert installer.startswith("https://github.com/conda-forge/miniforge/releases/download/")
    assert found["conda_installer_checksum"] == [f"{installer}.sha256"]


def test_gpus_need_the_toolkit_too_and_the_builder_the_source_of_apex() -> None:
    [found] = looked_at({}, plan=ON_GPUS)
    assert found["torch_index_url"] == ["https://download.pytorch.org/whl/cu126"]
    assert found["cuda_toolkit_repository_url"] == [
        "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64"
    ]
    assert found["cuda_toolkit_keyring_url"] == [
        "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb"
    ]
    assert found["apex_source"] == ["https://github.com/NVIDIA/apex"]
    [driven] = looked_at(
        {
            "ansible_facts": {
                **FACTS,
                "kernel": "6.1.0-28-amd64",
                "fromzero_gpus": BARE_GPUS,
                "preflight_plan": INSTALLED,
            }
        }
    )
    assert driven["nvidia_driver_keyring_url"] == found["cuda_toolkit_keyring_url"]
    alone, depot = looked_at({}, {"apex_depot_url": "http://depot/x"}, plan=ON_GPUS, node="b")
    assert "apex_source" not in alone
    assert depot["cluster_depot_url"] == ["http://depot/x"]


OTHERS = [
    ({"conda_distribution": "existing"}, "conda_installer_url", None),
    ({"conda_offline": True}, "conda_channels", None),
    ({"conda_channels": ["defaults", "file:///c"]}, "conda_channels", ["file:///c"]),
    (
        {"conda_installer_url": "http://mirror/m.sh", "conda_installer_checksum": "sha256:1"},
        "conda_installer_checksum",
        None,
    ),
    ({"conda_installer_path": "/m.sh"}, "conda_installer_url", None),
    ({"torch_index_url": "http://mirror/{{ torch_build }}"}, "torch_index_url", ["http://mirror/cpu"]),
    ({"torch_wheels": ["/w/torch-2.13.0.whl"]}, "torch_index_url", None),
    ({"torch_wheels": ["http://m/torch-2.13.0.whl"]}, "torch_wheels", ["http://m/torch-2.13.0.whl"]),
    ({"deepspeed_source": "git+https://u@h/d.git@v1"}, "deepspeed_source", ["https://u@h/d.git"]),
    ({"deepspeed_source": "git+ssh://git@h/d.git@v1"}, "deepspeed_source", None),
    ({"deepspeed_wheel": "http://h/d.whl"}, "deepspeed_index_url", None),
    ({"training_libs_sets": ["nlp"]}, "training_libs_index_url", []),
    ({"pdsh_method": "source", "pdsh_source": "http://m/pdsh.tar.gz"}, "pdsh_source", ["http://m/pdsh.tar.gz"]),
]


def test_an_address_follows_the_variables_that_users_set() -> None:
    found = looked_at(*(variables for variables, _name, _wanted in OTHERS))
    assert [answer.get(name) for answer, (_variables, name, _wanted) in zip(found, OTHERS)] == [
        wanted for _variables, _name, wanted in OTHERS
    ]


DRIVERS = [
    ("cuda_repository", {"nvidia_driver_repository_url": ["http://r"], "nvidia_driver_keyring_url": ["http://r/k"]}),
    ("runfile", {"nvidia_driver_runfile": ["http://r/d.run"]}),
    ("distribution", {}),
]


@pytest.mark.parametrize(("source", "wanted"), DRIVERS)
def test_a_driver_comes_from_where_it_was_decided(source: str, wanted: dict[str, list[str]]) -> None:
    decision = {
        "action": "install",
        "source": source,
        "repository": {"url": "http://r", "keyring": "http://r/k"},
        "runfile": "http://r/d.run",
        "runfile_copied": False,
    }
    rows = addresses({}, "a", FACTS, {}, {"driver": decision})
    assert {row["variable"]: row["urls"] for row in rows} == wanted


def test_a_problem_is_told_once_with_all_its_nodes_and_the_way_out() -> None:
    row = {"what": "torch", "url": "http://m/torch/", "reason": "HTTP 404", "variable": "torch_index_url"}
    other = {**row, "reason": "Connection refused"}
    reports = {"a": {"unreachable_addresses": [row]}, "b": {"unreachable_addresses": [row, other]}, "c": {}}
    assert address_problems(reports, ["a", "b", "c"]) == [
        "a and b: torch cannot be fetched from http://m/torch/ (HTTP 404); let it through, or name another address in "
        "torch_index_url.",
        "b: torch cannot be fetched from http://m/torch/ (Connection refused); let it through, or name another address "
        "in torch_index_url.",
    ]


def test_what_is_not_known_is_told_once() -> None:
    reports = {"a": {"unknown": ["x: not looked at."]}, "b": {"unknown": ["x: not looked at."]}}
    assert unknown_addresses(reports, ["a", "b"]) == ["all nodes: x: not looked at."]
