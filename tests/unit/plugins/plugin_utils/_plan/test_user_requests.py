# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES, role_options
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.user_requests import VARIABLES, wishes

WHEEL = "/srv/wheels/torch-2.0.1+cu117-cp310-cp310-linux_x86_64.whl"

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"cluster_stack": "auto", "cluster_accelerator": "auto", "torch_build": "", "cuda_toolkit_versions": []}, {}),
    ({"cluster_stack": "torch-2.0.1-cu117"}, {"stack": "torch-2.0.1-cu117"}),
    ({"cluster_accelerator": "cpu"}, {"accelerator": "cpu"}),
    ({"torch_version": "2.0.1+cu117"}, {"torch": "2.0.1+cu117"}),
    ({"torch_version": "2.0.1", "torch_build": "cu118"}, {"torch": "2.0.1", "torch_build": "cu118"}),
    ({"conda_python_version": "3.11"}, {"python": "3.11"}),
    ({"conda_python_version": "3.11.2"}, {"python": "3.11"}),
    ({"conda_python_version": "3.10.*"}, {"python": "3.10"}),
    # What wheels hold takes the place of versions, and they are for one Python.
    ({"torch_wheels": [WHEEL], "torch_version": "2.13.0"}, {"torch": "2.0.1+cu117", "python": "3.10"}),
    ({"torch_wheels": [WHEEL], "conda_python_version": "3.10.14"}, {"torch": "2.0.1+cu117", "python": "3.10"}),
    (
        {"torch_wheels": ["https://files.example/whl/torch-2.1.1%2Bcu118-cp39-cp39-linux_x86_64.whl#sha256=0a"]},
        {"torch": "2.1.1+cu118", "python": "3.9"},
    ),
    ({"torch_wheels": ["torch-9.9.9-cp310-abi3-linux_x86_64.whl"]}, {"torch": "9.9.9"}),
    ({"torch_wheels": ["torch-9.9.9-1-py3-none-any.whl"]}, {"torch": "9.9.9"}),
    # Wheels of other packages wish for nothing here.
    ({"torch_wheels": ["torchvision-0.15.2+cu117-cp310-cp310-linux_x86_64.whl"]}, {}),
    ({"cuda_toolkit_versions": ["11.8", "12.4"]}, {"cuda": "11.8"}),
    ({"cuda_toolkit_versions": ["12.4.1"]}, {"cuda": "12.4"}),
    ({"deepspeed_version": "0.12.3"}, {"deepspeed": "0.12.3"}),
    ({"deepspeed_wheel": "/srv/deepspeed-0.12.3+local-py3-none-any.whl"}, {"deepspeed": "0.12.3"}),
    ({"deepspeed_wheel": "/srv/deepspeed-0.12.3.tar.gz", "deepspeed_version": "0.12.3"}, {"deepspeed": "0.12.3"}),
    ({"hostfile_precision": "bf16"}, {"bf16": True}),
    ({"hostfile_precision": "fp16"}, {}),
    ({"hostfile_config": {"bf16": {"enabled": True}}}, {"bf16": True}),
    ({"hostfile_config": {"bf16": {"enabled": "auto"}}}, {}),
    ({"hostfile_config": {"bf16": {"enabled": False}}, "hostfile_precision": "auto"}, {}),
    # What has a wrong type is refused by the judge of variables.
    ({"torch_wheels": "torch.whl", "cuda_toolkit_versions": "12.4", "hostfile_config": []}, {}),
]


@pytest.mark.parametrize(("given", "wanted"), CASES)
def test_wishes_are_read_from_what_users_set(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert wishes(["a", "b"], {"a": given, "b": given}) == (wanted, [])


def test_a_wish_of_one_node_is_one_for_all() -> None:
    assert wishes(["a", "b"], {"a": {"torch_version": "2.0.1"}, "b": {}}) == ({"torch": "2.0.1"}, [])


def test_wishes_that_differ_are_told_with_their_nodes_and_left_out() -> None:
    given = {
        "a": {"torch_version": "2.0.1", "conda_python_version": "3.10.1"},
        "b": {"torch_version": "2.1.1", "conda_python_version": "3.10.2"},
        "c": {"torch_wheels": [WHEEL]},
    }
    found, problems = wishes(["a", "b", "c"], given)
    assert found == {"python": "3.10"}
    assert problems == [
        "torch_version and torch_wheels ask for '2.0.1' on a, '2.1.1' on b, '2.0.1+cu117' on c: one stack serves all "
        "nodes; set torch_version once, for group 'nodes'."
    ]


def test_a_variable_that_is_judged_with_the_inventory_is_not_told_again() -> None:
    assert wishes(["a", "b"], {"a": {"cluster_accelerator": "cpu"}, "b": {"cluster_accelerator": "cuda"}}) == ({}, [])


def test_a_wheel_for_another_python_is_told_once_with_both_ways_out() -> None:
    values = {"torch_wheels": [WHEEL], "conda_python_version": "3.11"}
    _found, problems = wishes(["a", "b"], {"a": values, "b": values})
    assert problems == [
        "torch_wheels has torch-2.0.1+cu117-cp310-cp310-linux_x86_64.whl, which is for Python 3.10, but "
        "conda_python_version is 3.11; set it to 3.10, or take a wheel for Python 3.11."
    ]


def test_every_variable_that_is_read_is_one_of_a_role() -> None:
    assert {name for name in VARIABLES if not name.startswith(("cluster_", "cuda_toolkit_"))} <= set(
        role_options(ROLES)
    )
