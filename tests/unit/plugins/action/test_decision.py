# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A deciding task asks the node once, and says no in one sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action import (
    apex_decision,
    cuda_toolkit_decision,
    deepspeed_decision,
    environment_proof,
    nvidia_driver_decision,
    nvidia_driver_proof,
    torch_decision,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import documented_spec
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal

ENVIRONMENT = {
    "exists": True, "prefix": "/env", "python": "3.11.9", "machine": "x86_64", "records": {}, "errors": [],
    "packages": {"torch": "2.13.0+cpu"}, "torch": {"version": "2.13.0+cpu", "cuda": None, "hip": None},
}  # fmt: skip

A100 = {
    "index": 0, "vendor": "nvidia", "name": "NVIDIA A100", "pci_id": "10de:20b2", "architecture": "Ampere",
    "compute_capability": "8.0",
}  # fmt: skip
GPUS = {
    "gpus": [A100], "nvswitch": 0, "secure_boot": False, "kernel": {"headers": True}, "source": "pci",
    "driver": {"loaded": None, "library": None, "cuda": None, "packages": [], "built": {"version": None}},
}  # fmt: skip
DRIVEN = {
    **GPUS, "source": "nvidia-smi",
    "driver": {**GPUS["driver"], "loaded": "580.65.06", "library": "580.65.06", "built": {"version": "580.65.06"}},
}  # fmt: skip
FACTS = {
    "distribution": "Debian", "os_family": "Debian", "distribution_version": "12.11", "architecture": "x86_64",
    "kernel": "6.1.0-28-amd64",
}  # fmt: skip
HOME = "/usr/local/cuda-13.0"
TOOLKITS = {
    "toolkits": [{
        "version": "13.0", "home": HOME, "path": HOME, "at_home": True, "state": "missing", "reason": "",
        "compiler": {"version": "12.2.0"}, "variables": {},
    }],
    "compilers": [], "link": {"kind": "missing", "target": None, "choices": []}, "environments": [], "record": None,
    "warnings": ["a line of a profile"],
}  # fmt: skip


class Node:
    """Answers in place of the modules of a node, and remembers what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "environment_info": ENVIRONMENT,
            "environment_record": {"changed": True},
            "gpu_info": {"ansible_facts": {"fromzero_gpus": GPUS}},
            "cuda_toolkit_info": TOOLKITS,
        }
        self.facts: dict[str, Any] = FACTS
        self.check_mode = False
        self.warned: list[str] = []

    def execute(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        name = module_name.rpartition(".")[2]
        self.asked.append((name, module_args))
        return dict(self.answers[name])

    def run(self, plugin: Any, /, check_mode: bool | None = None, **arguments: Any) -> dict[str, Any]:
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task = SimpleNamespace(args=arguments, check_mode=self.check_mode if check_mode is None else check_mode)
        action._execute_module = self.execute
        action._display = SimpleNamespace(warning=self.warned.append)
        variables = {"inventory_hostname": "node1", "ansible_facts": {"os_family": "Debian", **self.facts}}
        found: dict[str, Any] = action.run(task_vars=variables)
        return found


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def test_options_are_those_of_the_documentation() -> None:
    spec = documented_spec("torch_decision")
    assert spec["version"] == {"type": "str", "required": True}
    assert spec["wheels"] == {"type": "list", "elements": "str", "default": []}


def test_a_path_is_not_read_with_the_home_of_the_control_node() -> None:
    assert documented_spec("torch_decision")["prefix"] == {"type": "str", "required": True}


def test_the_node_is_asked_once(node: Node) -> None:
    decided = node.run(torch_decision, prefix="/env", version="2.13.0+cpu", torchvision="none", torchaudio="none")
    assert (decided["packages"], decided["due"], decided["changed"]) == (["torch==2.13.0+cpu"], True, False)
    assert node.asked == [("environment_info", {"prefix": "/env", "gather": ["packages"]})]


def test_what_cannot_be_is_one_sentence_without_a_place_in_our_files(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^torch 2.0.1\+cu117 is not a build for cu118; give the tag once") as refusal:
        node.run(torch_decision, prefix="/env", version="2.0.1+cu117", build="cu118")
    assert refusal.value.omit_exception_key


def test_a_module_that_fails_is_the_failure_of_the_task(node: Node) -> None:
    node.answers["environment_info"] = {"failed": True, "msg": "no python"}
    assert node.run(torch_decision, prefix="/env", version="2.13.0") == {"failed": True, "msg": "no python"}


LATER = [
    # The action, its options, and what the second look imports.
    (apex_decision, {"source": "git+https://host/apex"}, {"gather": ["torch"]}),
    (deepspeed_decision, {"version": "0.19.8"}, {"gather": ["torch", "deepspeed"], "accelerator": "auto"}),
]


@pytest.mark.parametrize(("plugin", "options", "second"), LATER)
def test_torch_is_imported_only_where_something_is_due(
    node: Node, plugin: Any, options: dict[str, Any], second: dict[str, Any]
) -> None:
    torch = {"version": "2.13.0+cu130", "cuda": "13.0", "hip": None}
    packages = {"torch": "2.13.0+cu130"}
    where = {**ENVIRONMENT, "torch": torch, "packages": packages, "deepspeed": {}, "headers": True}
    node.answers["environment_info"] = where
    decided = node.run(plugin, prefix="/env", **options)
    assert decided["due"]
    assert [arguments for _name, arguments in node.asked] == [
        {"prefix": "/env", "gather": ["packages"]},
        {"prefix": "/env", **second},
    ]
    node.asked.clear()
    proved = {**decided["record"], "found": packages}
    node.answers["environment_info"] = {**where, "records": {"apex": proved, "deepspeed": proved}}
    assert node.run(plugin, prefix="/env", **options) == {"changed": False, "due": False}
    assert len(node.asked) == 1


@pytest.mark.parametrize(("plugin", "options", "second"), LATER)
def test_what_earlier_roles_would_install_is_no_failure_in_check_mode(
    node: Node, plugin: Any, options: dict[str, Any], second: dict[str, Any]
) -> None:
    errors = ["There is no Python environment at /env."]
    virgin = {"exists": False, "python": "", "packages": {}, "torch": {}, "errors": errors}
    node.answers["environment_info"] = {**ENVIRONMENT, **virgin, "deepspeed": {}, "headers": False}
    assert node.run(plugin, prefix="/env", check_mode=True, **options)["due"]
    with pytest.raises(Refusal, match=r"^There is no Python environment at /env\.$"):
        node.run(plugin, prefix="/env", **options)


def test_what_is_proved_is_recorded_with_the_versions_that_were_found(node: Node) -> None:
    installed = {"packages": ["torch==2.13.0+cpu"]}
    proved = node.run(
        environment_proof, prefix="/env", torch=installed, record={"asked": ["x"]}, recorded_packages=["torch", "apex"]
    )
    assert proved["changed"]
    assert proved["environment"]["packages"] == {"torch": "2.13.0+cpu"}
    record = {"asked": ["x"], "found": {"torch": "2.13.0+cpu"}}
    assert node.asked[-1] == ("environment_record", {"prefix": "/env", "name": "torch", "record": record})


def test_a_record_can_be_left_to_a_later_task(node: Node) -> None:
    installed = {"packages": ["torch==2.13.0+cpu"]}
    proved = node.run(
        environment_proof,
        prefix="/env",
        torch=installed,
        record={"asked": []},
        recorded_packages=["torch"],
        write=False,
    )
    assert proved["record"] == {"asked": [], "found": {"torch": "2.13.0+cpu"}}
    assert [name for name, _arguments in node.asked] == ["environment_info"]


def test_what_is_not_what_was_asked_for_is_refused_and_not_recorded(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^/env has torch 2.13.0\+cpu, not torch==2.12.0\+cpu."):
        node.run(environment_proof, prefix="/env", torch={"packages": ["torch==2.12.0+cpu"]}, record={})
    assert [name for name, _arguments in node.asked] == ["environment_info"]


def test_one_kind_is_proved_at_a_time(node: Node) -> None:
    with pytest.raises(Refusal, match=r"takes one of torch, .*, and 0 are given"):
        node.run(environment_proof, prefix="/env")


def test_gpus_are_gathered_where_nobody_has_and_become_facts_of_the_node(node: Node) -> None:
    decided = node.run(nvidia_driver_decision, least="580.65.06")
    assert (decided["action"], decided["install"], decided["gpus"]) == ("install", ["nvidia-open=580.*"], 1)
    assert decided["ansible_facts"]["fromzero_gpus"]["gpus"][0]["architecture"] == "Ampere"
    node.facts = {**FACTS, **decided["ansible_facts"]}
    again = node.run(nvidia_driver_decision, least="580.65.06")
    assert "ansible_facts" not in again
    assert [name for name, _arguments in node.asked] == ["gpu_info"]


def test_a_driver_is_decided_on_in_the_form_of_the_tasks(node: Node) -> None:
    decided = node.run(nvidia_driver_decision, runfile="/here/driver.run", persistence=True)
    assert (decided["services"], decided["streams"]) == (["nvidia-persistenced"], [])
    assert [pin["version"] for pin in decided["pins"]] == ["580.*"]
    assert (decided["runfile"], decided["runfile_copied"]) == ("/var/tmp/driver.run", True)
    assert decided["repository"]["url"].endswith("/debian12/x86_64")


def test_a_driver_that_cannot_be_is_refused_with_all_reasons(node: Node) -> None:
    with pytest.raises(Refusal, match=r"nvidia_driver_flavour is open on node1, and the branch 470 has no open ones"):
        node.run(nvidia_driver_decision, branch="470", flavour="open")


def test_a_driver_is_proved_by_what_was_decided(node: Node) -> None:
    decided = node.run(nvidia_driver_decision, least="580.65.06")
    node.facts = {**FACTS, **decided["ansible_facts"]}
    with pytest.raises(Refusal, match=r"^The driver of node1 does not answer"):
        node.run(nvidia_driver_proof, request=decided["request"], gpus=decided["gpus"])
    node.answers["gpu_info"] = {"ansible_facts": {"fromzero_gpus": DRIVEN}}
    proved = node.run(nvidia_driver_proof, request=decided["request"], gpus=decided["gpus"])
    assert proved["ansible_facts"]["fromzero_gpus"]["driver"]["loaded"] == "580.65.06"


TOOLKIT = {"versions": ["13.0"], "default": "13.0", "prefix": "/usr/local", "record": "/r.json"}


def test_toolkits_are_looked_for_once_and_what_the_node_warns_of_is_passed_on(node: Node) -> None:
    node.answers["gpu_info"] = {"ansible_facts": {"fromzero_gpus": DRIVEN}}
    decided = node.run(cuda_toolkit_decision, **TOOLKIT)
    assert (decided["packages"], decided["warnings"]) == (["cuda-toolkit-13-0"], ["a line of a profile"])
    assert [name for name, _arguments in node.asked] == ["gpu_info", "cuda_toolkit_info"]
    assert "was made with driver 580.126.20, and the driver here is 580.65.06" in node.warned[0]
    assert node.asked[-1][1]["toolkits"] == {"13.0": "15"}


def test_a_driver_that_is_planned_is_no_reason_in_check_mode(node: Node) -> None:
    old = {**DRIVEN, "driver": {**DRIVEN["driver"], "loaded": "470.182.03", "library": "470.182.03"}}
    node.facts = {**FACTS, "fromzero_gpus": old}
    for node.check_mode, planned in ((True, False), (False, True)):
        with pytest.raises(Refusal, match=r"^node1: CUDA 13.0 needs driver 580.65.06 or newer"):
            node.run(cuda_toolkit_decision, **TOOLKIT, driver_planned=planned)
    node.check_mode = True
    assert node.run(cuda_toolkit_decision, **TOOLKIT, driver_planned=True)["due"]


def test_a_version_that_is_no_text_is_refused_and_not_turned_into_one(node: Node) -> None:
    with pytest.raises(Refusal, match=r"^cuda_toolkit_versions has 12.1, which is no text; put it in quotes"):
        node.run(cuda_toolkit_decision, **{**TOOLKIT, "versions": [12.10], "default": "12.1"})
