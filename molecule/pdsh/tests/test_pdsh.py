"""What role pdsh promises about every node once it has run."""

from __future__ import annotations

import pytest


@pytest.fixture
def nodes(host):
    """The aliases of all nodes."""
    return host.ansible.get_variables()["groups"]["nodes"]


def test_ssh_is_the_way_to_run_commands_unless_told_otherwise(host):
    assert "Rcmd type\t\tssh" in host.check_output("pdsh -q -w anywhere")


def test_another_way_can_still_be_asked_for(host):
    assert "Rcmd type\t\texec" in host.check_output("PDSH_RCMD_TYPE=exec pdsh -q -w anywhere")


def test_the_version_names_the_ssh_module(host):
    modules = host.check_output("pdsh -V 2>&1").partition("rcmd modules: ")[2].partition(" ")[0]
    assert "ssh" in modules.split(",")


def test_one_command_reaches_every_node(host, nodes):
    lines = host.check_output("pdsh -S -w %s hostname", ",".join(nodes)).splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == nodes


def test_the_worst_exit_code_comes_back(host, nodes):
    assert host.run("pdsh -S -w %s 'test $(hostname) = %s || exit 7'", ",".join(nodes), nodes[0]).rc == 7
