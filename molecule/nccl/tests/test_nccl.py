"""What role nccl promises about every node once it has run."""

from __future__ import annotations

import ipaddress
import re
import shlex
import subprocess

import pytest

NETWORK = ipaddress.ip_network("10.88.0.0/24")


@pytest.fixture(scope="module")
def network(host):
    """What the module says of this node, asked as the role asks it."""
    variables = host.ansible.get_variables()
    arguments = f"network={NETWORK} own_address={variables['ansible_host']}"
    return host.ansible("fromzero.deepspeed.network_info", arguments)["ansible_facts"]["fromzero_network"]


def settings(host, path="/etc/nccl.conf"):
    """The file as NCCL reads it: the first line for a name decides."""
    found = {}
    for line in host.file(path).content_string.splitlines():
        if line.startswith("#") or "=" not in line:
            continue
        name, _, value = line.partition("=")
        found.setdefault(name, value)
    return found


def in_a_new_session(host, command):
    """The output of a command over a connection of its own, without a terminal, as the launcher opens them."""
    variables = host.ansible.get_variables()
    ssh = ["ssh", "-o", "ControlPath=none", "-o", "BatchMode=yes", "-i", variables["ansible_ssh_private_key_file"]]
    target = f"{variables['ansible_user']}@{variables['ansible_host']}"
    ssh += [*shlex.split(variables["ansible_ssh_common_args"]), target, command]
    return subprocess.run(ssh, capture_output=True, text=True, check=True).stdout.strip()


def test_the_interface_is_the_one_that_carries_the_network(host):
    name = settings(host)["NCCL_SOCKET_IFNAME"].removeprefix("=")
    addresses = host.interface(name).addresses
    assert any(ipaddress.ip_address(address) in NETWORK for address in addresses if ":" not in address)


def test_the_interface_is_named_exactly_and_not_by_prefix(host):
    assert re.fullmatch(r"=[^=,]+", settings(host)["NCCL_SOCKET_IFNAME"])


def test_neither_container_bridges_nor_members_of_a_bridge_are_chosen(host, network):
    refused = {interface["name"] for interface in network["interfaces"] if interface["refused"]}
    assert refused >= ({"lo", "docker0", "veth0"} if host.interface("docker0").exists else {"lo", "rail1"})
    assert settings(host)["NCCL_SOCKET_IFNAME"].removeprefix("=") not in refused


def test_names_of_interfaces_may_differ_from_node_to_node(host):
    expected = "fabric0" if host.interface("fabric0").exists else "br0"
    assert settings(host)["NCCL_SOCKET_IFNAME"] == f"={expected}"


def test_settings_of_the_user_are_as_nccl_reads_them(host):
    found = settings(host)
    assert (found["NCCL_DEBUG"], found["NCCL_P2P_DISABLE"]) == ("WARN", "1")


def test_settings_of_others_stay(host):
    assert settings(host)["NCCL_TOPO_FILE"] == "/opt/topology.xml"
    assert "\nNCCL_SOCKET_IFNAME=eth\n" in host.file("/etc/nccl.conf").content_string


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/nccl.conf", "NCCL_TOPO_FILE=/opt/topology.xml\nNCCL_SOCKET_IFNAME=eth\n"),
        ("/etc/environment", "SITE=north\n"),
    ],
)
def test_a_file_that_was_there_is_kept_as_it_was(host, path, content):
    copies = host.check_output(f"ls {path}.*~").split()
    assert host.file(copies[0]).content_string == content


def test_nccl_can_parse_every_line(host):
    for line in host.file("/etc/nccl.conf").content_string.splitlines():
        assert re.fullmatch(r"#.*|NCCL_[A-Z0-9_]+=\S+", line)


def test_gloo_learns_the_interface_in_a_session_without_a_terminal(host):
    expected = settings(host)["NCCL_SOCKET_IFNAME"].removeprefix("=")
    assert in_a_new_session(host, "echo $GLOO_SOCKET_IFNAME") == expected


def test_the_toolkit_and_more_variables_reach_a_session_without_a_terminal(host):
    assert in_a_new_session(host, 'echo "$CUDA_HOME|$HF_HOME"') == "/usr/local/cuda|/data/hf home"


def test_variables_of_the_administrator_stay(host):
    assert in_a_new_session(host, "echo $SITE") == "north"


def test_rdma_devices_are_seen_and_left_enabled(host, network):
    devices = host.run("ls /sys/class/infiniband").stdout.split()
    assert [device["name"] for device in network["rdma"] if device["active"]] == devices
    assert "NCCL_IB_DISABLE" not in settings(host)


def test_no_limit_is_raised_where_that_would_end_every_session(host, network):
    lifted = host.file("/etc/security/limits.d/90-fromzero-nccl.conf").exists
    active = any(device["active"] for device in network["rdma"])
    assert lifted == (active and network["locked_memory"]["raisable"])
    assert in_a_new_session(host, "whoami") == host.ansible.get_variables()["ansible_user"]


def test_a_hostname_on_the_loopback_is_seen(host, network):
    on_loopback = any(line.startswith("127.0.1.1") for line in host.file("/etc/hosts").content_string.splitlines())
    assert ("127.0.1.1" in network["hostname_resolves_to"]) == on_loopback
