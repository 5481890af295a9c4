"""How commands are read from pages of the documentation."""

from __future__ import annotations

import pytest

from sandbox import typed
from sandbox.shell import SandboxError

# page, blocks
PAGES = [
    ("no mark\n\n    ls\n", []),
    (f"{typed.MARK}\n```sh\ncd x\nls\n```\nmore\n", ["cd x\nls"]),
    (f"1. One\n\n   {typed.MARK}\n\n       cd x\n       ls\n\n   more\n", ["   cd x\n   ls"]),
    (f"{typed.MARK}\n\n    one\n\n{typed.MARK}\n```\ntwo\n```\n", ["one", "two"]),
]


@pytest.mark.parametrize(("page", "blocks"), PAGES)
def test_the_block_after_a_mark_is_read(tmp_path, page, blocks):
    path = tmp_path / "page.md"
    path.write_text(page)
    assert typed.blocks(path) == blocks


def test_a_mark_without_commands_is_an_error(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"{typed.MARK}\nno commands\n")
    with pytest.raises(SandboxError, match="line 1: no block of commands"):
        typed.blocks(path)


def test_the_head_is_the_first_node(tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_text(
        "nodes: {hosts: {b: {ansible_host: 10.0.0.2}, a: {ansible_host: 10.0.0.1}}, "
        "vars: {ansible_user: ann, ansible_ssh_private_key_file: /k, ansible_ssh_common_args: -o X=y}}"
    )
    assert typed.login(path) == ["ssh", "-i", "/k", "-o", "X=y", "ann@10.0.0.2"]
