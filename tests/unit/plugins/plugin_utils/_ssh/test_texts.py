from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ssh import texts as records


def node(name: str, **more: Any) -> dict[str, Any]:
    number = "".join(char for char in name if char.isdigit()) or "0"
    return {
        "name": name,
        "address": f"10.0.0.{number}",
        "network": "10.0.0.0/24",
        "names": [name],
        "also": [],
        "port": 22,
        "public_keys": [f"ssh-ed25519 USER{number}"],
        "host_keys": [f"ssh-ed25519 HOST{number}"],
        **more,
    }


KNOWN_HOSTS = {
    "name and address": ([node("n1")], "n1,10.0.0.1 ssh-ed25519 HOST1\n"),
    "every name once": (
        [node("n1", names=["gpu1.example", "gpu1"], also=["203.0.113.1", "n1"])],
        "n1,gpu1.example,gpu1,10.0.0.1,203.0.113.1 ssh-ed25519 HOST1\n",
    ),
    "several host keys": (
        [node("n1", host_keys=["ecdsa A", "ecdsa B"])],
        "n1,10.0.0.1 ecdsa A\nn1,10.0.0.1 ecdsa B\n",
    ),
    "another port": ([node("n1", port=2222)], "[n1]:2222,[10.0.0.1]:2222 ssh-ed25519 HOST1\n"),
    "an address of IPv6": (
        [node("n1", address="fd00::1", port=2222)],
        "[n1]:2222,[fd00::1]:2222 ssh-ed25519 HOST1\n",
    ),
    "a name that came with the image means nobody": (
        [node("n1", names=["ubuntu"]), node("n2", names=["ubuntu"])],
        "n1,10.0.0.1 ssh-ed25519 HOST1\nn2,10.0.0.2 ssh-ed25519 HOST2\n",
    ),
    "one gateway in front of several ports": (
        [node("n1", port=2201, also=["203.0.113.9"]), node("n2", port=2202, also=["203.0.113.9"])],
        "[n1]:2201,[10.0.0.1]:2201,[203.0.113.9]:2201 ssh-ed25519 HOST1\n"
        "[n2]:2202,[10.0.0.2]:2202,[203.0.113.9]:2202 ssh-ed25519 HOST2\n",
    ),
    "an alias beats the name that another node calls itself": (
        [node("n1"), node("n2", names=["n1"])],
        "n1,10.0.0.1 ssh-ed25519 HOST1\nn2,10.0.0.2 ssh-ed25519 HOST2\n",
    ),
    "no address": ([node("n1", address="")], "n1 ssh-ed25519 HOST1\n"),
    "nobody": ([], ""),
}


@pytest.mark.parametrize(("given", "text"), KNOWN_HOSTS.values(), ids=KNOWN_HOSTS.keys())
def test_known_hosts_has_every_clear_name_of_a_node(given: list[dict[str, Any]], text: str) -> None:
    assert records.known_hosts(given) == text


def test_localhost_is_known_by_the_nodes_own_key_and_port() -> None:
    given = [node("n1", port=2222)]
    assert records.known_hosts(given, names=["localhost", "::1"]) == "[localhost]:2222,[::1]:2222 ssh-ed25519 HOST1\n"


HOSTS = {
    "name is alias": ([node("n1")], "10.0.0.1 n1\n"),
    "the full name comes first, for hostname -f": (
        [node("n1", names=["gpu1.example", "gpu1"])],
        "10.0.0.1 gpu1.example gpu1 n1\n",
    ),
    "full name beside an equal alias": ([node("n1", names=["n1.example", "n1"])], "10.0.0.1 n1.example n1\n"),
    "a name that came with the image": (
        [node("n1", names=["ubuntu"]), node("n2", names=["ubuntu"])],
        "10.0.0.1 n1\n10.0.0.2 n2\n",
    ),
    "an address as alias is no name": ([node("192.0.2.5", address="192.0.2.5", names=["gpu1"])], "192.0.2.5 gpu1\n"),
    "no address": ([node("n1", address="")], ""),
}


@pytest.mark.parametrize(("given", "text"), HOSTS.values(), ids=HOSTS.keys())
def test_hosts_file_leads_names_to_addresses(given: list[dict[str, Any]], text: str) -> None:
    assert records.hosts_file(given) == text


AUTHORIZED = {
    "a key each": (
        [node("n1"), node("n2")],
        "ssh-ed25519 USER1 fromzero.deepspeed@n1\nssh-ed25519 USER2 fromzero.deepspeed@n2\n",
    ),
    "a key that waits": (
        [node("n1", public_keys=["ssh-ed25519 OLD", "ssh-ed25519 NEW"])],
        "ssh-ed25519 OLD fromzero.deepspeed@n1\nssh-ed25519 NEW fromzero.deepspeed@n1\n",
    ),
    "one key for all": (
        [node("n1", public_keys=["ssh-ed25519 ONE"]), node("n2", public_keys=["ssh-ed25519 ONE"])],
        "ssh-ed25519 ONE fromzero.deepspeed\n",
    ),
    "no key yet, in check mode": ([node("n1", public_keys=[])], ""),
}


@pytest.mark.parametrize(("given", "text"), AUTHORIZED.values(), ids=AUTHORIZED.keys())
def test_authorized_keys_has_every_key_once(given: list[dict[str, Any]], text: str) -> None:
    assert records.authorized_keys(given) == text


CONFIG = {
    "nothing to say": ([node("n1")], False, ""),
    "another port": (
        [node("n1", names=["gpu1"], port=2222), node("n2")],
        False,
        "Host n1 gpu1 10.0.0.1\n    Port 2222\n",
    ),
    "addresses": ([node("n1", names=["gpu1"])], True, "Host n1 gpu1\n    HostName 10.0.0.1\n"),
    "addresses and another port": (
        [node("n1", port=2222)],
        True,
        "Host n1\n    HostName 10.0.0.1\n    Port 2222\nHost 10.0.0.1\n    Port 2222\n",
    ),
    "no address": ([node("n1", address="")], True, ""),
    "one gateway in front of several ports": (
        [node("n1", port=2201, also=["203.0.113.9"]), node("n2", port=2202, also=["203.0.113.9"])],
        False,
        "Host n1 10.0.0.1\n    Port 2201\nHost n2 10.0.0.2\n    Port 2202\n",
    ),
}


@pytest.mark.parametrize(("given", "addresses", "text"), CONFIG.values(), ids=CONFIG.keys())
def test_ssh_config_says_only_what_the_defaults_do_not(given: list[dict[str, Any]], addresses: bool, text: str) -> None:
    assert records.ssh_config(given, addresses=addresses) == text


@pytest.mark.parametrize(("port", "text"), [(22, ""), (2222, "Host localhost ::1\n    Port 2222\n")])
def test_localhost_listens_where_the_node_does(port: int, text: str) -> None:
    assert records.ssh_config([node("n1", port=port)], names=["localhost", "::1"]) == text


@pytest.mark.parametrize("render", [records.known_hosts, records.authorized_keys, records.hosts_file])
def test_a_record_without_a_name_is_refused_in_words(render: Any) -> None:
    with pytest.raises(records.RecordError, match=r"has no 'name'.*ssh_identity"):
        render([{"host_keys": ["k"], "public_keys": ["k"], "address": "10.0.0.1"}])


def test_ten_thousand_nodes_are_rendered_in_a_second_or_so() -> None:
    many = [node(f"n{at}", address=f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}") for at in range(10_000)]
    started = time.process_time()
    assert records.known_hosts(many).count("\n") == len(many)
    assert records.hosts_file(many).count("\n") == len(many)
    assert time.process_time() - started < 2
