# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import (
    KNOBS,
    KnobError,
    resolve,
)

LOGIN = {"user_id": "trainer", "user_dir": "/home/trainer", "env": {}}

DEFAULTS = [
    ("cluster_user", {"ansible_user": "ubuntu", "ansible_facts": LOGIN}, "ubuntu"),
    ("cluster_user", {"ansible_facts": LOGIN}, "trainer"),
    ("cluster_user", {"ansible_facts": {"user_id": "root", "env": {"SUDO_USER": "trainer"}}}, "trainer"),
    ("cluster_become", {}, True),
    ("cluster_prefix", {}, "/opt/fromzero"),
    ("cluster_prefix", {"cluster_become": False, "ansible_facts": LOGIN}, "/home/trainer/fromzero"),
    ("cluster_prefix", {"cluster_become": "false", "ansible_facts": LOGIN}, "/home/trainer/fromzero"),
    ("cluster_environment", {"cluster_prefix": "/srv/ai"}, "/srv/ai/envs/train"),
    ("cluster_accelerator", {}, "auto"),
    ("cluster_stack", {}, "auto"),
    ("cluster_network", {}, ""),
    ("cluster_interface", {}, ""),
    ("cluster_head", {"groups": {"nodes": ["a", "b"]}}, "a"),
    ("cluster_head", {"groups": {"nodes": ["a", "b"], "head": ["b"]}}, "b"),
    ("cluster_head", {"groups": {"nodes": ["a", "b"], "head": []}}, "a"),
    ("cluster_artifacts", {"inventory_dir": "/here", "playbook_dir": "/there"}, "/here/artifacts"),
    ("cluster_artifacts", {"playbook_dir": "/there"}, "/there/artifacts"),
    ("cluster_adopt", {}, []),
    ("cluster_depot_url", {}, ""),
    ("cluster_depot_folder", {}, "/srv/fromzero"),
    ("cuda_toolkit_record", {"cluster_prefix": "/srv/ai"}, "/srv/ai/etc/cuda_toolkit.json"),
    ("cuda_toolkit_record", {"cuda_toolkit_record": ""}, "/opt/fromzero/etc/cuda_toolkit.json"),
    (
        "cluster_artifacts",
        {"inventory_dir": "/here", "ansible_inventory_sources": ["/here/hosts", "/her"]},
        "/here/artifacts",
    ),
    ("cluster_artifacts", {"inventory_dir": "/a/here", "ansible_inventory_sources": ["/a/here/"]}, "/a/artifacts"),
    ("cluster_artifacts", {"inventory_dir": "/a/here/x", "ansible_inventory_sources": ["/a/here"]}, "/a/artifacts"),
]

GIVEN = [
    ("cluster_become", "no", False),
    ("cluster_adopt", "node3, node4", ["node3", "node4"]),
    ("cluster_adopt", ["node3"], ["node3"]),
    ("cluster_adopt", "", []),
    ("cluster_become", "True", True),
    ("cluster_become", False, False),
    ("cluster_user", "trainer", "trainer"),
    ("cluster_network", "10.0.0.0/24", "10.0.0.0/24"),
    ("cluster_network", "", ""),
    ("cluster_network", "fd00::/64", "fd00::/64"),
    ("cluster_prefix", "/srv/a-i_1.0", "/srv/a-i_1.0"),
    *(
        ("cluster_prefix", folder, folder)
        for folder in (
            "/data",
            "/opt/x",
            "/usr/local/x",
            "/home/ann",
            "/home/ann/x",
            "/mnt/x",
            "/var/lib/x",
            "/optical",
        )
    ),
    ("cluster_environment", "/usr", "/usr"),
    ("cluster_accelerator", "cpu", "cpu"),
    ("cluster_stack", "auto", "auto"),
    ("cluster_stack", "torch-2.13-cpu", "torch-2.13-cpu"),
    ("cluster_stack", "torch-2.2.1-cu121", "torch-2.2.1-cu121"),
    ("cluster_interface", "bond0.12", "bond0.12"),
]

REFUSED = [
    ("cluster_become", "perhaps", "true or false"),
    ("cluster_become", 2, "true or false"),
    ("cluster_user", "", "name of an account"),
    ("cluster_user", "two words", "name of an account"),
    ("cluster_user", "-x", "name of an account"),
    ("cluster_user", 7, "name of an account"),
    ("cluster_prefix", "opt/x", "absolute path"),
    ("cluster_prefix", "~/x", "absolute path"),
    ("cluster_prefix", "/opt/my tools", "absolute path"),
    ("cluster_prefix", "/opt/$HOME", "absolute path"),
    ("cluster_prefix", "/opt/../etc", "absolute path"),
    ("cluster_prefix", "/", "absolute path"),
    ("cluster_prefix", ["/opt"], "absolute path"),
    *(
        ("cluster_prefix", folder, "folder of the system")
        for folder in (
            *("/bin", "/boot", "/etc", "/home", "/lib64", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr", "/var"),
            *("/opt/", "//opt", "/opt/.", "/usr/local", "/usr/bin", "/usr/local/lib", "/var/lib", "/var/tmp"),
            *("/dev/shm", "/proc/self", "/sys/x/y"),
        )
    ),
    ("cluster_environment", "train", "absolute path"),
    ("cluster_accelerator", "tpu", "one of auto, cuda, rocm, cpu"),
    ("cluster_accelerator", "CUDA", "one of auto, cuda, rocm, cpu"),
    ("cluster_stack", "torch-2.13-cp", "such as torch-2.13-cpu"),
    ("cluster_stack", "newest", "auto or the name of a stack, such as torch-2."),
    ("cluster_stack", 2.13, "auto or the name of a stack, such as torch-2."),
    ("cluster_network", "10.0.0.0/33", "CIDR"),
    ("cluster_network", "10.0.0.5/24", "host bits"),
    ("cluster_network", "10.0.0.5", "length of the network"),
    ("cluster_network", "eth0", "CIDR"),
    ("cluster_network", 10, "CIDR"),
    ("cluster_network", ["10.0.0.0/24"], "CIDR"),
    ("cluster_interface", "eth0,eth1", "one network interface"),
    ("cluster_interface", "an-interface-too-long", "one network interface"),
    ("cluster_head", "", "not empty"),
    ("cluster_artifacts", 1, "not empty"),
    ("cluster_adopt", True, "names of nodes"),
    ("cluster_adopt", [3], "names of nodes"),
    ("cluster_depot_url", "10.0.0.9/files", "an address such as"),
    ("cluster_depot_url", "ftp://depot/files", "an address such as"),
    ("cluster_depot_folder", "srv", "an absolute path"),
]


@pytest.mark.parametrize(("name", "values", "wanted"), DEFAULTS)
def test_a_variable_has_its_documented_default(name: str, values: dict[str, Any], wanted: Any) -> None:
    assert resolve(name, values) == wanted


@pytest.mark.parametrize(("name", "value", "wanted"), GIVEN)
def test_a_given_value_wins_and_flags_become_booleans(name: str, value: Any, wanted: Any) -> None:
    found = resolve(name, {name: value})
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(("name", "value", "said"), REFUSED)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: Any, said: str) -> None:
    with pytest.raises(KnobError, match=name) as refusal:
        resolve(name, {name: value})
    assert said in str(refusal.value)
    assert said in str(KNOBS[name].problem(value))


@pytest.mark.parametrize("name", ["cluster_user", "cluster_prefix"])
def test_a_default_that_needs_facts_says_so(name: str) -> None:
    with pytest.raises(KnobError, match="gather facts or set " + name):
        resolve(name, {"cluster_become": False})


def test_a_head_without_nodes_says_what_is_missing() -> None:
    with pytest.raises(KnobError, match="group 'nodes'"):
        resolve("cluster_head", {"groups": {}})


def test_an_unknown_variable_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(KnobError, match="cluster_prefix"):
        resolve("cluster_prefiks", {})


@pytest.mark.parametrize(("wish", "wanted"), [(None, "cuda"), ("auto", "cuda"), ("cpu", "cpu")])
def test_auto_is_what_preflight_found_and_a_wish_is_left_alone(wish: str | None, wanted: str) -> None:
    values = {"ansible_facts": {"preflight_accelerator": "cuda"}, "cluster_accelerator": wish}
    assert resolve("cluster_accelerator", values) == wanted
