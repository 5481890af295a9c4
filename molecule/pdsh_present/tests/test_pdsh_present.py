"""What role pdsh promises to a user without root whose nodes have pdsh."""

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


def test_nothing_was_built(host):
    assert in_a_new_session(host, "ls ~/fromzero") == "bin"


def test_ssh_is_the_way_to_run_commands_although_the_system_says_rsh(host):
    assert "Rcmd type\t\trsh" in host.check_output("/usr/bin/pdsh -q -w anywhere")
    assert "Rcmd type\t\tssh" in in_a_new_session(host, "pdsh -q -w anywhere")


def test_one_command_reaches_every_node(host):
    nodes = host.ansible.get_variables()["groups"]["nodes"]
    lines = in_a_new_session(host, f"pdsh -S -w {','.join(nodes)} hostname").splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == nodes
