# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fromzero.deepspeed.plugins.modules import network_info


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        network_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_this_machine_is_described_without_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys)
    network = result["ansible_facts"]["fromzero_network"]
    assert result["changed"] is False
    assert "lo" in [interface["name"] for interface in network["interfaces"]]
    assert (network["link"] is None) == (network["problem"] is not None)


def test_a_bad_network_fails_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, network="10.0.0.1/24")
    assert result["failed"] is True
    assert "cluster_network is '10.0.0.1/24': it must be a network in CIDR form" in result["msg"]


def test_an_interface_that_is_not_there_is_a_problem_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    network = run(capsys, interface="nosuch0")["ansible_facts"]["fromzero_network"]
    assert network["link"] is None
    assert "cluster_interface is nosuch0, but this node has no such interface" in network["problem"]
