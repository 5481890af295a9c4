"""What ds-launch promises to the one who types it. The stand-in for deepspeed prints what it was called with."""

from __future__ import annotations

import re

import pytest

# options given by hand, what deepspeed gets at the end, words of --master_addr's node
PASSED_ON = [
    ("train.py", ["<train.py>"], "node1"),
    ("train.py --steps 5 'two words'", ["<train.py>", "<--steps>", "<5>", "<two words>"], "node1"),
    ("--include node2 train.py", ["<--include>", "<node2>", "<train.py>"], "node2"),
    ("--include=node2:0,1 train.py", ["<--include=node2:0,1>", "<train.py>"], "node2"),
    ("-e node1 train.py", ["<-e>", "<node1>", "<train.py>"], "node2"),
    ("-e node1:0,1 train.py", ["<-e>", "<node1:0,1>", "<train.py>"], "node2"),
    ("-e node1:1 train.py", ["<-e>", "<node1:1>", "<train.py>"], "node1"),
    ("--num_nodes 1 train.py --include x", ["<--num_nodes>", "<1>", "<train.py>", "<--include>", "<x>"], "node1"),
]
# what is typed, words of the sentence
REFUSED = [
    ("", "Usage: ds-launch"),
    ("--num_nodes 1", "The script to run is missing"),
    ("--hostfile", "--hostfile needs a value"),
    ("--hostfile /nowhere train.py", "The hostfile /nowhere is missing"),
    ("--hostfile /tmp/bad train.py", "The line 'node1 slots = 2' in /tmp/bad is not of the form"),
    ("--hostfile /tmp/zero train.py", "The line 'node1 slots=0'"),
    ("--hostfile /tmp/empty train.py", "names no host"),
    ("--hostfile /tmp/stale train.py", "The address of node9 is not known, so /tmp/stale is out of date"),
    ("--include node9 train.py", "No host of /job/hostfile is left"),
]


@pytest.fixture(scope="module")
def head(host):
    variables = host.ansible.get_variables()
    if variables["inventory_hostname"] != variables["groups"]["nodes"][0]:
        pytest.skip("not the head")
    for name, text in {
        "bad": "node1 slots = 2",
        "zero": "node1 slots=0",
        "empty": "# none",
        "stale": "node9 slots=1",
    }.items():
        host.check_output(f"echo '{text}' > /tmp/{name}")
    return host


@pytest.fixture(scope="module")
def addresses(head):
    return dict(line.split() for line in head.file("/opt/fromzero/etc/addresses").content_string.splitlines())


def launch(head, typed):
    """Without pdsh on the node, the launcher is another one."""
    return head.run(f"/usr/local/bin/ds-launch --launcher openmpi {typed}")


@pytest.mark.parametrize(("typed", "last", "master"), PASSED_ON)
def test_deepspeed_gets_what_was_typed_and_the_address_of_rank_0(head, addresses, typed, last, master):
    said = launch(head, typed).stdout.splitlines()
    assert said[-len(last) :] == last
    assert f"<{addresses[master]}>" in said
    assert said[1:5] == ["<--hostfile>", "</job/hostfile>", "<--launcher>", "<pdsh>"]
    assert "<--force_multi>" in said


def test_addresses_are_those_that_ssh_reaches(addresses, head):
    variables = head.ansible.get_variables()
    assert addresses[variables["inventory_hostname"]] == variables["ansible_host"]


def test_an_address_given_by_hand_wins(head):
    said = launch(head, "--hostfile /tmp/stale --master_addr 192.0.2.9 train.py").stdout
    assert said.count("<--master_addr>\n<192.0.2.9>") == 2


def test_environment_of_the_launcher_is_set(head):
    said = launch(head, "train.py").stdout.splitlines()[0]
    assert "DS_ACCELERATOR=cpu PDSH_RCMD_TYPE=ssh" in said
    assert re.search(r" PATH=/opt/fromzero/envs/train/bin:/opt/fromzero/bin:", said)


@pytest.mark.parametrize(("typed", "words"), REFUSED)
def test_what_cannot_be_launched_is_said_in_a_sentence(head, typed, words):
    done = launch(head, typed) if typed else head.run("/usr/local/bin/ds-launch")
    assert done.rc == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_pdsh_is_said_in_a_sentence(head):
    done = head.run("/usr/local/bin/ds-launch train.py")
    assert done.rc == 2
    assert done.stderr == "ds-launch: pdsh is not installed; run the playbook 'site', or pass another --launcher.\n"
