"""Commands that README and docs tell a user to type, typed as they stand on the head of a cluster.

A block of commands is marked by the line C(<!-- typed on the head -->) above it. `make sandbox` ends with that of
README, and scenario first_job types them all: documentation that does not work fails a test.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from sandbox.shell import SandboxError

MARK = "<!-- typed on the head -->"
_INDENT = "    "


def _block(lines: list[str]) -> Iterator[str]:
    """The lines of the first code block: fenced, or indented by four blanks."""
    rest = iter(lines)
    line = next((line for line in rest if line.strip()), "")
    if line.startswith("```"):
        for inner in rest:
            if inner.startswith("```"):
                return
            yield inner
    while line.startswith(_INDENT):
        yield line[len(_INDENT) :]
        line = next(rest, "")


def blocks(path: Path) -> list[str]:
    """The marked blocks of a page, each as a script.

    :raises SandboxError: no block of commands follows a mark.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.strip() == MARK:
            found.append("\n".join(_block(lines[number + 1 :])))
            if not found[-1].strip():
                raise SandboxError(f"{path}, line {number + 1}: no block of commands follows the mark.")
    return found


def login(inventory: Path) -> list[str]:
    """The ssh command that leads to the head of a cluster, the first node of its inventory."""
    nodes = yaml.safe_load(inventory.read_text(encoding="utf-8"))["nodes"]
    variables = {**nodes["vars"], **next(iter(nodes["hosts"].values()))}
    options = str(variables["ansible_ssh_common_args"]).split()
    key = str(variables["ansible_ssh_private_key_file"])
    return ["ssh", "-i", key, *options, f"{variables['ansible_user']}@{variables['ansible_host']}"]


def command(inventory: Path, script: str) -> list[str]:
    """What runs a script in a login shell on the head; an argument, so that no program in it reads the rest."""
    return [*login(inventory), "bash -lc " + shlex.quote(script)]


def type_blocks(inventory: Path, pages: list[Path]) -> None:
    """Type all marked blocks of these pages in a login shell on the head, one after the other.

    :raises SandboxError: a command fails.
    """
    for page in pages:
        for block in blocks(page):
            print(f"\n$ {block.replace(chr(10), chr(10) + '$ ')}", flush=True)
            done = subprocess.run(command(inventory, f"set -e\n{block}"), stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                raise SandboxError(f"What {page} says to type ended with exit code {done.returncode}.")
