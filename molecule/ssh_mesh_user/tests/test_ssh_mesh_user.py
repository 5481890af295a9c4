"""What role ssh_mesh promises where nobody may become root."""

from __future__ import annotations

import pytest

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"


@pytest.fixture
def nodes(host):
    """The address of each node by its alias."""
    variables = host.ansible.get_variables()
    runner = host.backend.ansible_runner
    return {name: runner.get_variables(name)["ansible_host"] for name in variables["groups"]["nodes"]}


def test_nobody_becomes_root(host):
    assert host.run("sudo -n true").failed


def test_every_node_is_reached_by_alias_and_address(host, nodes):
    for alias, address in nodes.items():
        for target in (alias, address):
            assert host.check_output(f"{SSH} {target} hostname") == alias


def test_the_node_reaches_itself_as_localhost(host):
    for target in ("localhost", "127.0.0.1"):
        assert host.check_output(f"{SSH} {target} hostname") == host.check_output("hostname")


def test_another_port_is_used_by_name_by_address_and_as_localhost(host, nodes):
    for target in ("node2", nodes["node2"]):
        assert host.check_output(f"{SSH} {target} 'echo $SSH_CONNECTION'").split()[3] == "2222"
    if host.check_output("hostname") == "node2":
        assert host.check_output(f"{SSH} localhost 'echo $SSH_CONNECTION'").split()[3] == "2222"


def test_only_files_of_the_user_are_written(host):
    assert not host.file("/etc/ssh/ssh_known_hosts").exists
    assert "fromzero" not in host.file("/etc/hosts").content_string
    assert host.check_output("ls /etc/ssh/sshd_config.d /etc/ssh/ssh_config.d").count("fromzero") == 0


def test_the_configuration_of_the_user_means_what_it_meant(host):
    for target, compression in (("elsewhere.example", "no"), ("node2", "yes")):
        effective = host.check_output(f"ssh -G {target}").splitlines()
        assert "serveraliveinterval 17" in effective
        assert f"compression {compression}" in effective
    assert host.check_output("cat ~/.ssh/config.*~").startswith("ServerAliveInterval 17")


def test_private_files_are_private(host):
    for name in ("id_ed25519", "authorized_keys", "known_hosts", "config"):
        assert host.file(f"/home/trainer/.ssh/{name}").mode == 0o600
