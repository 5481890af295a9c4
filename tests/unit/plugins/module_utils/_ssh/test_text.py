from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import text
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError

B, E = f"{text.BEGIN}\n", f"{text.END}\n"
A = f"{B}{text.SUM}87428fc522803d31\na\n{E}"

BLOCKS = {
    "an empty file": ("", "a\n", False, A),
    "at the end": ("mine\n", "a\n", False, f"mine\n{A}"),
    "after a line without an end": ("mine", "a\n", False, f"mine\n{A}"),
    "before all else": ("mine\n", "a\n", True, f"{A}mine\n"),
    "where it was": (f"mine\n{B}old\n{E}yours\n", "a\n", False, f"mine\n{A}yours\n"),
    "moved to the front": (f"mine\n{B}old\n{E}yours\n", "a\n", True, f"{A}mine\nyours\n"),
    "taken away": (f"mine\n{B}old\n{E}yours\n", "", False, "mine\nyours\n"),
    "nothing to take away": ("mine", "", False, "mine"),
}


@pytest.mark.parametrize(("before", "block", "first", "after"), BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_changes_and_all_else_stays(before: str, block: str, first: bool, after: str) -> None:
    assert text.with_block(before, block, "f", first) == after
    assert text.with_block(after, block, "f", first) == after


COPIES = {
    "no file yet": ("", "b\n", False),
    "the first change": ("mine\n", "b\n", True),
    "our own change": (A, "b\n", False),
    "our own change beside lines of others": (f"mine\n{A}yours\n", "b\n", False),
    "our block goes": (f"mine\n{A}yours\n", "", False),
    "an edited block": (f"mine\n{A}".replace("a\n#", "mine too\n#"), "b\n", True),
    "a block of an older release, without a sum": (f"{B}a\n{E}", "b\n", True),
}


@pytest.mark.parametrize(("before", "block", "kept"), COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_kept_only_of_what_others_wrote(before: str, block: str, kept: bool) -> None:
    assert text.needs_copy(before, text.with_block(before, block, "f"), "f") == kept


def test_a_copy_is_kept_where_lines_of_others_change_too() -> None:
    before = f"{A}127.0.1.1 gpu1\n"
    assert text.needs_copy(before, text.without_loopback_name(before, "gpu1"), "f")


DAMAGED = {
    "no end": f"{B}a\n",
    "no begin": f"a\n{E}",
    "two of them": f"{B}{E}{B}{E}",
    "the wrong way round": f"{E}{B}",
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_block_is_refused_with_what_to_do(damaged: str) -> None:
    with pytest.raises(SshError, match=r"The block of ssh_mesh in f is damaged.*by hand"):
        text.with_block(damaged, "a\n", "f")


LOOPBACK = {
    "the line of Debian's installer": ("127.0.0.1 localhost\n127.0.1.1 gpu1.x gpu1\n", "127.0.0.1 localhost\n"),
    "another loopback address": ("127.0.0.2 gpu1\n", ""),
    "beside localhost": ("127.0.0.1 localhost gpu1 gpu1.x # us\n", "127.0.0.1\tlocalhost # us\n"),
    "IPv6": ("::1 localhost gpu1\n", "::1\tlocalhost\n"),
    "in capitals": ("127.0.1.1 GPU1\n", ""),
    "an older name of the node": ("127.0.1.1 oldname\n", "127.0.1.1 oldname\n"),
    "a name that only begins alike": ("127.0.1.1 gpu10\n", "127.0.1.1 gpu10\n"),
    "a comment": ("# 127.0.1.1 gpu1\n", "# 127.0.1.1 gpu1\n"),
    "an address of the network": ("10.0.0.1 gpu1\n", "10.0.0.1 gpu1\n"),
    "what is no address": ("hello gpu1\n", "hello gpu1\n"),
}


@pytest.mark.parametrize(("before", "after"), LOOPBACK.values(), ids=LOOPBACK.keys())
def test_no_loopback_address_has_the_nodes_name(before: str, after: str) -> None:
    assert text.without_loopback_name(before, "gpu1") == after
    assert text.without_loopback_name(before, "gpu1.x") == after


def test_a_node_named_localhost_keeps_its_lines() -> None:
    lines = "127.0.0.1 localhost localhost.localdomain\n"
    assert text.without_loopback_name(lines, "localhost.localdomain") == lines
    assert text.own_names(lines, "localhost.localdomain") == []


NAMES = {
    "short": ("", "gpu1", ["gpu1"]),
    "the hosts file knows the domain": ("127.0.1.1 gpu1.example gpu1\n", "gpu1", ["gpu1.example", "gpu1"]),
    "the kernel knows the domain": ("", "gpu1.example", ["gpu1.example", "gpu1"]),
    "a name that only begins alike": ("10.0.0.2 gpu10.example\n", "gpu1", ["gpu1"]),
    "a comment": ("# 10.0.0.2 gpu1.example\n", "gpu1", ["gpu1"]),
}


@pytest.mark.parametrize(("hosts", "nodename", "names"), NAMES.values(), ids=NAMES.keys())
def test_a_node_says_what_it_calls_itself(hosts: str, nodename: str, names: list[str]) -> None:
    assert text.own_names(hosts, nodename) == names


OWN = {
    "already there": ("10.0.0.1 gpu1 node1\n", "10.0.0.1", ["gpu1"], "10.0.0.1 gpu1 node1\n"),
    "a name that other nodes have too": ("10.0.0.1 n1\n", "10.0.0.1", ["ubuntu"], "10.0.0.1 n1\n10.0.0.1 ubuntu\n"),
    "no address": ("10.0.0.2 n2\n", "", ["gpu1"], "10.0.0.2 n2\n"),
    "no block": ("", "10.0.0.1", ["gpu1"], ""),
}


@pytest.mark.parametrize(("block", "address", "names", "after"), OWN.values(), ids=OWN.keys())
def test_a_node_always_finds_its_own_name(block: str, address: str, names: list[str], after: str) -> None:
    assert text.with_own_name(block, address, names) == after


def test_lines_that_contradict_the_mesh_are_found() -> None:
    block = "10.0.0.1 gpu1 n1\n10.0.0.2 n2\n"
    rest = "10.0.0.1 n1\n192.0.2.9 N2 printer\n127.0.1.1 gpu1\n# 192.0.2.9 gpu1\n"
    assert text.rival_lines(rest, block) == ["N2 192.0.2.9"]
