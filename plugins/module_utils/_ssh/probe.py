# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reaches other hosts by ssh the way the launcher will, and tells why that failed."""

from __future__ import annotations

import concurrent.futures
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Runs a command and returns its exit status, standard output and standard error.
Runner = Callable[[Sequence[str]], "tuple[int, str, str]"]

# What OpenSSH says, in the order in which it is looked for.
_REASONS = (
    ("host_key", r"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one in known_hosts"),
    ("host_key", r"Host key verification failed|No .* host key is known", "its host key is not in known_hosts"),
    ("refused_key", r"Permission denied", "it does not accept this node's key for the account"),
    ("name", r"Could not resolve hostname|Name or service not known", "the name does not resolve"),
    ("closed", r"Connection refused", "nothing listens on the ssh port"),
    ("busy", r"kex_exchange_identification|Connection (closed|reset) by|Exceeded MaxStartups", "sshd hung up"),
    ("network", r"timed out|No route to host|Network is unreachable", "no answer from that address"),
    # A firewall or a route of the node itself has many words: Operation not permitted, Invalid argument, ...
    ("network", r"connect to host \S+ port \d+:", "no connection to that address"),
    (
        "config",
        r"Bad (configuration option|owner or permissions)|[Uu]nsupported option",
        "ssh refuses its own settings",
    ),
)


def reason_of(status: int, errors: str) -> tuple[str, str]:
    """The kind of a failure and one clause about it, from ssh's exit status and what it wrote to standard error."""
    for kind, pattern, clause in _REASONS:
        if re.search(pattern, errors):
            return kind, clause
    last = ([line.strip() for line in errors.splitlines() if line.strip()] or [f"ssh ended with status {status}"])[-1]
    return "other", last.rstrip(".")


def command_for(name: str, timeout: int) -> list[str]:
    """The ssh command that asks a host for its own name: never a prompt, never a change to known_hosts."""
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        f"ConnectTimeout={timeout}",
        "ControlMaster=no",
        "ControlPath=none",
    )
    return ["ssh", "-n", "-T", *(part for option in options for part in ("-o", option)), "--", name, "uname", "-n"]


def command_back(name: str, back: str, timeout: int) -> list[str]:
    """The ssh command that has a host reach this node in turn."""
    return [*command_for(name, timeout)[:-2], shlex.join(command_for(back, timeout))]


def probe(target: Mapping[str, str], timeout: int, run: Runner) -> dict[str, Any] | None:
    """Reach one host by one name; the result is None where that worked, else what went wrong.

    :param target: the C(node) that is meant, the C(name) to reach it by, the C(hostname) it should report, or "", and
        C(back), the name by which it should reach this node in turn, where it should.
    """
    started = time.monotonic()
    status, output, errors = run(command_for(target["name"], timeout))
    if status and reason_of(status, errors)[0] == "busy":
        # All nodes knock at once; sshd drops the connections that are too many, and takes them a moment later.
        time.sleep(1)
        status, output, errors = run(command_for(target["name"], timeout))
    kind, clause = ("", "") if status == 0 else reason_of(status, errors)
    reported = output.strip().splitlines()[-1] if output.strip() else ""
    if status == 0 and target["hostname"] and reported != target["hostname"]:
        kind, clause = "other_host", f"it leads to the host {reported} instead of {target['hostname']}"
    back = not kind and bool(target.get("back"))
    if back:
        status, _output, errors = run(command_back(target["name"], target["back"], timeout))
        kind, clause = ("", "") if status == 0 else reason_of(status, errors)
        clause = f"{target['node']} does not reach {target['back']} in turn, since {clause}"
    if not kind:
        return None
    seconds = round(time.monotonic() - started, 2)
    named = {"node": target["node"], "name": target["name"], "back": back}
    return {**named, "kind": kind, "reason": clause, "seconds": seconds}


def run_command(argv: Sequence[str], timeout: float) -> tuple[int, str, str]:
    """Run a command with a bound on its time; the exit status is 124 where the bound was reached."""
    try:
        # run_command of Ansible's modules has no time limit, and is not made for threads.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"timed out after {timeout:g} seconds"
    except OSError as error:
        return 127, "", f"{argv[0]} cannot be started ({error.strerror})"
    return done.returncode, done.stdout, done.stderr


def broken_targets(
    targets: Sequence[Mapping[str, str]], first: int, timeout: int, at_once: int, run: Runner
) -> list[dict[str, Any]]:
    """Reach every target, a few at once, and return what went wrong, in the order of the targets.

    :param first: the target to begin with. Each node begins elsewhere, so that they do not all knock at one door.
    """
    start = first % len(targets) if targets else 0
    rotated = [*targets[start:], *targets[:start]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        results = list(pool.map(lambda target: probe(target, timeout, run), rotated))
    cut = len(results) - start
    return [result for result in (*results[cut:], *results[:cut]) if result is not None]
