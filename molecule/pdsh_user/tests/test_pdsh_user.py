"""What role pdsh promises to a user without root."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

PREFIX = "/home/trainer/fromzero"


@pytest.fixture
def nodes(host):
    """The aliases of all nodes."""
    return host.ansible.get_variables()["groups"]["nodes"]


def in_a_new_session(host, command):
    """The output of a command over a connection of its own, without a terminal, as the launcher opens them."""
    variables = host.ansible.get_variables()
    ssh = ["ssh", "-o", "ControlPath=none", "-o", "BatchMode=yes", "-i", variables["ansible_ssh_private_key_file"]]
    target = f"{variables['ansible_user']}@{variables['ansible_host']}"
    ssh += [*shlex.split(variables["ansible_ssh_common_args"]), target, command]
    return subprocess.run(ssh, capture_output=True, text=True, check=True).stdout.strip()


def test_a_session_without_a_terminal_finds_it(host):
    assert in_a_new_session(host, "command -v pdsh") == f"{PREFIX}/bin/pdsh"


def test_ssh_is_the_way_to_run_commands(host):
    assert "Rcmd type\t\tssh" in in_a_new_session(host, "pdsh -q -w anywhere")


def test_rsh_was_not_built(host):
    modules = in_a_new_session(host, "pdsh -V 2>&1").partition("rcmd modules: ")[2].partition(" ")[0]
    assert set(modules.split(",")) == {"ssh", "exec"}


def test_one_command_reaches_every_node(host, nodes):
    lines = in_a_new_session(host, f"pdsh -S -w {','.join(nodes)} hostname").splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == nodes


def test_the_record_tells_what_was_built(host):
    record = json.loads(host.file(f"{PREFIX}/share/pdsh/build.json").content_string)
    tarball = host.check_output(f"sha256sum {PREFIX}/src/pdsh.tar.gz").split()[0]
    assert record["checksum"] == tarball
    assert "--with-ssh" in record["configure"]


def test_all_of_it_belongs_to_the_user(host):
    assert host.check_output(f"find {PREFIX} ! -user trainer") == ""


def test_the_rest_of_the_shells_file_stays(host):
    original = host.file("/etc/skel/.bashrc").content_string
    assert host.file("/home/trainer/.bashrc").content_string.endswith(original)
    assert host.check_output("cat ~/.bashrc.*~") == original.strip("\n")
