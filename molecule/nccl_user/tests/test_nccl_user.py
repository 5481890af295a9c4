"""What role nccl promises to a user without root."""

from __future__ import annotations

import shlex
import subprocess


def in_a_new_session(host, command):
    """The output of a command over a connection of its own, without a terminal, as the launcher opens them."""
    variables = host.ansible.get_variables()
    ssh = ["ssh", "-o", "ControlPath=none", "-o", "BatchMode=yes", "-i", variables["ansible_ssh_private_key_file"]]
    target = f"{variables['ansible_user']}@{variables['ansible_host']}"
    ssh += [*shlex.split(variables["ansible_ssh_common_args"]), target, command]
    return subprocess.run(ssh, capture_output=True, text=True, check=True).stdout.strip()


def carrier(host):
    """The interface that carries the address Ansible connects to."""
    address = host.ansible.get_variables()["ansible_host"]
    return host.check_output("ip -brief address show to %s", address).split("@")[0].split()[0]


def test_the_users_file_tells_nccl_the_interface(host):
    lines = host.file("/home/trainer/.nccl.conf").content_string.splitlines()
    assert f"NCCL_SOCKET_IFNAME=={carrier(host)}" in lines
    assert "NCCL_DEBUG=WARN" in lines


def test_gloo_learns_the_interface_in_a_session_without_a_terminal(host):
    assert in_a_new_session(host, 'echo "$GLOO_SOCKET_IFNAME|$HF_HOME"') == f"{carrier(host)}|/data/hf home"


def test_the_rest_of_the_shells_file_stays(host):
    original = host.file("/etc/skel/.bashrc").content_string
    assert host.file("/home/trainer/.bashrc").content_string.endswith(original)
    assert host.check_output("cat ~/.bashrc.*~") == original.strip("\n")


def test_nothing_of_the_system_is_touched(host):
    assert not host.file("/etc/nccl.conf").exists
    assert host.file("/etc/environment").content_string == ""
