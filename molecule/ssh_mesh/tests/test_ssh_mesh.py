"""What role ssh_mesh promises about every node once it has run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"
HOME = "/home/trainer"
SCENARIO = Path(__file__).parents[1]


@pytest.fixture
def nodes(host):
    """The address of each node by its alias."""
    variables = host.ansible.get_variables()
    runner = host.backend.ansible_runner
    return {name: runner.get_variables(name)["ansible_host"] for name in variables["groups"]["nodes"]}


def hostname(alias):
    return alias.replace("node", "gpu")


def answers(host, targets):
    """What each target calls itself, asked by ssh from the host."""
    script = "; ".join(f'echo "{target} $({SSH} {target} hostname 2>&1 | tr "\\n" " ")"' for target in targets)
    lines = host.check_output(script).splitlines()
    return {target: answer.strip() for target, answer in (line.split(" ", 1) for line in lines)}


def test_host_keys_differ_between_nodes(host, nodes):
    known = [line.split() for line in host.file("/etc/ssh/ssh_known_hosts").content_string.splitlines()]
    keys = {words[2] for words in known if words[0] != "#" and not words[0].startswith("localhost")}
    assert len(keys) == len(nodes)


def test_every_node_is_reached_by_alias(host, nodes):
    assert answers(host, nodes) == {alias: hostname(alias) for alias in nodes}


def test_every_node_is_reached_by_its_own_name(host, nodes):
    names = [hostname(alias) for alias in nodes]
    assert answers(host, names) == {name: name for name in names}


def test_every_node_is_reached_by_its_name_with_domain(host, nodes):
    names = {f"{hostname(alias)}.cluster.example": hostname(alias) for alias in nodes}
    assert answers(host, names) == names


def test_every_node_is_reached_by_address(host, nodes):
    assert answers(host, nodes.values()) == {address: hostname(alias) for alias, address in nodes.items()}


def test_the_node_reaches_itself_as_localhost(host):
    own = host.check_output("hostname")
    assert answers(host, ["localhost", "127.0.0.1"]) == {"localhost": own, "127.0.0.1": own}


def test_host_keys_are_checked(host):
    assert "stricthostkeychecking false" not in host.check_output("ssh -G node1").lower()
    assert not host.file(f"{HOME}/.ssh/known_hosts").exists


def test_ssh_leads_to_the_port_of_the_inventory(host):
    port = yaml.safe_load((SCENARIO / "host_vars/node3.yml").read_text(encoding="utf-8"))["ssh_mesh_port"]
    for name in ("node3", hostname("node3")):
        connection = host.check_output(f"{SSH} {name} 'echo $SSH_CONNECTION'").split()
        assert connection[3] == str(port)


def test_a_port_of_another_machine_is_none_of_the_nodes(host):
    assert "40023" not in host.file("/etc/ssh/ssh_known_hosts").content_string
    assert "\nport 22\n" in host.check_output("ssh -G node2")


def test_only_a_host_key_that_sshd_offers_is_known(host):
    known = host.check_output("ssh-keygen -F '[node3]:2222' -f /etc/ssh/ssh_known_hosts")
    assert "ecdsa-sha2-nistp256" in known
    assert "ssh-ed25519" not in known


def test_settings_of_the_user_and_of_the_system_stay_in_effect_for_other_hosts(host):
    """For the nodes ours count, as the tests above show."""
    lines = {
        "node1": ["user ada", f"identityfile {HOME}/.ssh/cluster"],
        "node2": ["globalknownhostsfile /var/lib/sss/pubconf/known_hosts"],
        "node3": ["user trainer"],
    }[host.backend.host]
    assert set(lines) <= set(host.check_output("ssh -G elsewhere").replace("~", HOME).splitlines())


def test_private_files_are_private(host):
    modes = {
        ".ssh": 0o700,
        ".ssh/id_ed25519": 0o600,
        ".ssh/authorized_keys": 0o600,
    }
    assert {name: host.file(f"{HOME}/{name}").mode for name in modes} == modes
    assert {host.file(f"{HOME}/{name}").user for name in modes} == {"trainer"}


def test_the_own_name_means_the_address_between_nodes(host, nodes):
    alias = host.backend.host
    assert host.check_output("getent ahostsv4 $(hostname)").split()[0] == nodes[alias]
    assert "127.0.1.1" not in host.file("/etc/hosts").content_string


def test_the_domain_of_the_own_name_is_kept(host):
    assert host.check_output("hostname -f") == f"{host.check_output('hostname')}.cluster.example"


def test_the_hosts_file_was_copied_before_it_was_changed(host):
    copies = host.check_output("cat /etc/hosts.*~")
    assert "127.0.1.1" in copies


def test_lines_of_the_user_survive(host):
    lines = host.file(f"{HOME}/.ssh/authorized_keys").content_string.splitlines()
    assert re.search(r" sandbox$", lines[0])
    assert host.check_output(f"cat {HOME}/.ssh/authorized_keys.*~").splitlines() == lines[:1]


def test_each_node_has_a_key_of_its_own(host, nodes):
    lines = host.file(f"{HOME}/.ssh/authorized_keys").content_string.splitlines()
    ours = [line.split() for line in lines if " fromzero.deepspeed@" in line]
    assert [words[2].split("@")[1] for words in ours] == list(nodes)
    assert len({words[1] for words in ours}) == len(nodes)


def test_a_key_made_by_hand_is_adopted(host):
    made_by_hand = "made by hand" in host.file(f"{HOME}/.ssh/id_ed25519.pub").content_string
    assert made_by_hand == (host.backend.host == "node2")


def test_sshd_accepts_all_nodes_at_once(host, nodes):
    with host.sudo():
        effective = host.check_output("/usr/sbin/sshd -T")
    start, _rate, full = re.search(r"maxstartups (\d+):(\d+):(\d+)", effective).groups()
    assert int(start) >= 2 * len(nodes)
    assert int(full) >= int(start)
