# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleParserError, AnsibleUndefinedVariable
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from jinja2 import StrictUndefined

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.hostvars import View, given, plain
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES, role_defaults


class Text(str):
    """What Ansible hands out for a text: it carries where it comes from."""


def view(hostvars: dict[str, dict[str, Any]], current: str, **task: Any) -> View:
    variables = {"hostvars": hostvars, "groups": {"nodes": list(hostvars)}, "inventory_hostname": current, **task}
    return View(variables, lambda value: value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Text("a"), "a"),
        ({Text("k"): [Text("v"), 1, None]}, {"k": ["v", 1, None]}),
        ((1.5, True), [1.5, True]),
    ],
)
def test_values_lose_what_ansible_adds_to_them(value: Any, wanted: Any) -> None:
    found = plain(value)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize("value", [StrictUndefined(), ["a", StrictUndefined()], {"a": StrictUndefined()}])
def test_what_hangs_on_an_undefined_variable_is_passed_over(value: Any) -> None:
    with pytest.raises(AnsibleUndefinedVariable):
        plain(value)
    assert given({"good": 1, "bad": value}.__getitem__, ["good", "bad"]) == {"good": 1}


def test_a_file_of_variables_that_cannot_be_read_is_named() -> None:
    class Broken(dict[str, dict[str, Any]]):
        def __getitem__(self, host: str) -> dict[str, Any]:
            # As Ansible's own plugin for variables does, which drops the place.
            place = AnsibleParserError("YAML parsing failed.", obj="group_vars/nodes.yml:4:1")
            raise AnsibleParserError("YAML parsing failed.") from place

    with pytest.raises(AnsibleParserError, match=r"group_vars/nodes\.yml:4:1"):
        view(Broken(), "a").names("a")


def test_what_a_play_sets_counts_for_hosts_without_a_value_of_their_own() -> None:
    hosts = {"a": {"x": 1}, "b": {}, "localhost": {}}
    assert view(hosts, "localhost", x=2).values(["a", "b"], ["x", "y"]) == {"a": {"x": 1}, "b": {"x": 2}}


def test_a_value_of_the_current_host_is_not_taken_for_all() -> None:
    hosts = {"a": {"x": 1, "ansible_host": "10.0.0.1"}, "b": {}}
    assert view(hosts, "a", x=1, ansible_host="10.0.0.1").values(["a", "b"], ["x", "ansible_host"])["b"] == {}


def test_the_default_of_a_role_in_the_same_play_is_given_by_nobody() -> None:
    hosts: dict[str, dict[str, Any]] = {"a": {}, "b": {"torch_installer": "auto"}}
    play = {"torch_installer": role_defaults(ROLES)["torch_installer"], "torch_version": "2.0.1"}
    found = view(hosts, "a", **play).values(["a", "b"], play)
    assert found == {"a": {"torch_version": "2.0.1"}, "b": {"torch_version": "2.0.1", "torch_installer": "auto"}}


def test_where_the_task_itself_runs_is_not_taken_for_all() -> None:
    hosts: dict[str, dict[str, Any]] = {"a": {}, "localhost": {}}
    assert view(hosts, "localhost", ansible_host="127.0.0.1").values(["a"], ["ansible_host"]) == {"a": {}}


def test_a_node_is_what_its_host_has_reported() -> None:
    facts = {"user_id": "trainer", "fromzero_gpus": {"gpus": [{}, {}]}, "fromzero_node": {"installed": True}}
    hosts = {"a": {"ansible_facts": facts, "cluster_user": "trainer"}, "b": {}}
    first, second = view(hosts, "a").nodes(["a", "b"])
    assert (first.name, first.gpus, first.report, first.values) == (
        "a",
        2,
        {"installed": True},
        {"cluster_user": "trainer"},
    )
    assert (second.facts, second.gpus, second.report) == ({}, 0, {})


def test_failures_are_those_of_the_task_that_was_named() -> None:
    hosts = {"a": {"__facts": {"failed": True, "msg": "no python"}}, "b": {"__facts": {"ok": True}}, "c": {}}
    assert view(hosts, "a").failures(["a", "b", "c"], "__facts") == {"a": "no python"}


def test_results_are_those_of_the_hosts_that_ran_the_task() -> None:
    found = view({"a": {"__python": {"problem": "old"}}, "b": {}}, "a").results(["a", "b"], "__python")
    assert found == {"a": {"problem": "old"}}


def test_the_place_of_a_value_is_its_file_and_line_where_ansible_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text("[nodes]\na\n[nodes:vars]\ncluster_user=ann # me\n", encoding="utf-8")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(path)])
    own = VariableManager(loader=loader, inventory=inventory).get_vars(host=inventory.get_host("a"))
    found = view({"a": {**own, "cluster_head": "a"}}, "a").places({"a": {"cluster_user", "cluster_head", "other"}})
    assert found == {("cluster_user", "ann # me"): f"{path}:4"}
