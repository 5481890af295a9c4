"""What role pdsh promises on the RHEL family."""

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


def test_the_module_for_ssh_comes_with_it(host):
    # Debian's rpm has a database for each account.
    with host.sudo():
        host.run_expect([0], "rpm --query pdsh pdsh-rcmd-ssh")


def test_the_repository_is_added_by_its_package(host):
    with host.sudo():
        host.run_expect([0], "rpm --query epel-release")


def test_ssh_is_the_way_to_run_commands_in_a_session_without_a_terminal(host):
    assert "(default: ssh)" in in_a_new_session(host, "pdsh -V")


def test_a_module_for_rsh_does_not_come_before_ssh(host):
    with host.sudo():
        host.run_expect([0], "touch /usr/lib/pdsh/rsh")
    assert "(default: ssh)" in in_a_new_session(host, "pdsh -V")
