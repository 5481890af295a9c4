# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nodes as seen from the head: one ssh connection for each, with an agent at its other end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
from pathlib import Path
from typing import Any, Callable, Dict, Sequence

from ds_launch import agent

Answer = Dict[str, Any]

CONNECT_SECONDS = 10
# A node that answers nothing for this long is lost. A shorter time would end runs at a hiccup of the network.
ALIVE_INTERVAL, ALIVE_COUNT = 10, 4
_REPLIES = ("look", "compare", "finish", "runs", "end", "start", "stopped")

# What ssh says where it cannot connect, the reason in words, and what to do.
_REASONS = (
    (
        "Host key verification failed",
        "its host key is not known here",
        "Run the playbook 'site' with the tag ssh_mesh.",
    ),
    (
        "Permission denied",
        "it does not accept the key of this account",
        "Run the playbook 'site' with the tag ssh_mesh.",
    ),
    ("Could not resolve", "its name is not known here", "Run the playbook 'site' with the tag ssh_mesh."),
    ("Connection refused", "nothing listens on its ssh port", "Start sshd there."),
    (
        "timed out",
        "it does not answer",
        "Look whether it runs and the network leads there, or leave it out by --exclude.",
    ),
    ("No route to host", "no route leads there", "Look whether it runs, or leave it out by --exclude."),
)


class NodeError(Exception):
    """A node cannot be used; the message is a sentence for the user."""


def ssh_options(port: int) -> list[str]:
    """Options of every ssh that a launch starts: it never asks, and notices a node that is gone."""
    given = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_SECONDS,
        "ServerAliveInterval": ALIVE_INTERVAL,
        "ServerAliveCountMax": ALIVE_COUNT,
        # A connection of its own, whatever the user has configured: it ends when the launch ends.
        "ControlMaster": "no",
        "ControlPath": "none",
        "LogLevel": "ERROR",
    }
    words = [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
    return [*words, *(["-p", str(port)] if port else [])]


class Node:
    """One node; L(connect) first, then requests, then events until the run is over."""

    def __init__(self, name: str, python: str, port: int) -> None:
        self.name = name
        self._python = python
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._errors = bytearray()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self.on_event: Callable[[Node, Answer], None] = lambda node, event: None
        self.on_output: Callable[[Node, int, int, bytes], None] = lambda node, rank, stream, data: None
        self.on_lost: Callable[[Node, str], None] = lambda node, reason: None

    async def connect(self, run: str, script: str) -> None:
        """Start the agent on the node.

        :raises NodeError: the node cannot be reached, or has no training environment.
        """
        source = Path(agent.__file__).read_bytes()
        source += b"\nmain(__SOURCE__)\n"
        # Read byte by byte, so that the requests that follow are left to the agent.
        bootstrap = (
            f"import os;__SOURCE__=b''.join(os.read(0,1) for _ in range({len(source)}));"
            "exec(compile(__SOURCE__,'ds-launch','exec'))"
        )
        words = [self._python, "-I", "-u", "-c", bootstrap, agent.AGENT_NAME, run, script]
        remote = "exec " + " ".join(shlex.quote(word) for word in words)
        self._process = await asyncio.create_subprocess_exec(
            *("ssh", "-T", *ssh_options(self._port), self.name, remote),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C goes to ds-launch alone, which then ends the ranks in order.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._tasks.append(asyncio.ensure_future(self._read_errors()))
        self._process.stdin.write(source)
        try:
            await asyncio.wait_for(self._find_hello(), CONNECT_SECONDS * 3)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NodeError(await self._why_not()) from error
        except asyncio.TimeoutError as error:
            raise NodeError(f"{self.name} does not start a program over ssh; look what its shell waits for.") from error
        self._tasks.append(asyncio.ensure_future(self._read()))

    async def _find_hello(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while not (await self._process.stdout.readuntil(b"\n")).endswith(agent.HELLO):
            pass

    async def _why_not(self) -> str:
        assert self._process is not None
        status = await self._process.wait()
        await asyncio.wait(self._tasks, timeout=1)
        said = self._errors.decode("utf-8", "replace").strip()
        for signature, reason, remedy in _REASONS:
            if signature in said:
                return f"{self.name} cannot be used: {reason}. {remedy}"
        if status in (126, 127) or "No such file" in said:
            return f"{self.name} lacks the training environment ({self._python}); run the playbook 'site'."
        last = said.splitlines()[-1] if said else f"ssh ended with status {status}"
        return f"{self.name} cannot be used: {last}."

    async def _read_errors(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while True:
            data = await self._process.stderr.read(4096)
            if not data:
                return
            self._errors += data
            del self._errors[:-8192]

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        stream = self._process.stdout
        try:
            while True:
                kind, size = agent._HEADER.unpack(await stream.readexactly(agent._HEADER.size))
                payload = await stream.readexactly(size)
                if kind == b"O":
                    rank, which = agent._OUTPUT.unpack(payload[: agent._OUTPUT.size])
                    self.on_output(self, rank, which, payload[agent._OUTPUT.size :])
                else:
                    self._answered(json.loads(payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._lost()

    def _answered(self, answer: Answer) -> None:
        waiting = self._answers.pop(answer["answer"], None) if answer["answer"] in _REPLIES else None
        if waiting is None:
            self.on_event(self, answer)
        elif not waiting.done():
            waiting.set_result(answer)

    def _lost(self) -> None:
        said = self._errors.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else "its connection ended"
        if "not responding" in reason or "Timeout" in reason:
            reason = f"it did not answer for {ALIVE_INTERVAL * ALIVE_COUNT} s"
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(NodeError(f"{self.name} was lost: {reason}."))
        self._answers.clear()
        if not self._closing:
            self.on_lost(self, reason)

    def send(self, what: str, **request: Any) -> asyncio.Future[Answer]:
        """Send a request; its answer comes later.

        :raises NodeError: from the future, where the node is lost in the meantime.
        """
        assert self._process is not None and self._process.stdin is not None
        waiting: asyncio.Future[Answer] = asyncio.get_event_loop().create_future()
        self._answers["stopped" if what == "stop" else what] = waiting
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(json.dumps({"do": what, **request}).encode() + b"\n")
        return waiting

    async def close(self, seconds: float = 5.0) -> None:
        """End the agent, which ends whatever still runs there, and the connection."""
        self._closing = True
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def connect(nodes: Sequence[Node], run: str, script: str) -> list[str]:
    """Connect to all nodes at once; a sentence for each that cannot be used."""
    results = await asyncio.gather(*(node.connect(run, script) for node in nodes), return_exceptions=True)
    problems = []
    for node, result in zip(nodes, results):
        if isinstance(result, NodeError):
            problems.append(str(result))
        elif isinstance(result, OSError):
            problems.append(f"{node.name} cannot be used: {result.filename or 'ssh'}: {result.strerror}.")
        elif isinstance(result, BaseException):
            raise result
    return problems


async def ask(nodes: Sequence[Node], what: str, requests: Sequence[Answer]) -> list[Answer]:
    """Send each node its request, all at once, and return the answers.

    :raises NodeError: a node was lost.
    """
    return list(await asyncio.gather(*(node.send(what, **request) for node, request in zip(nodes, requests))))
