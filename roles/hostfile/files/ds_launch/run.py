# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run from its start to its end: all ranks go, or none is left."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
import time
from dataclasses import dataclass
from typing import Any, Mapping

from ds_launch import launchers
from ds_launch.launchers import Launch
from ds_launch.nodes import Node, NodeError
from ds_launch.output import Output, readers_gone
from ds_launch.words import LOST, listed, say

# How long ranks have to end by themselves, and how long a node has to say that they did.
GRACE_SECONDS, STOP_SECONDS = 5, 20
# A rank that fails closes its connections some time before it has ended, so that others may be seen to fail first.
_SETTLE_SECONDS, _CAUSE_SECONDS = 0.5, 5.0
# What a rank says that only lost another one.
_CONSEQUENCE = re.compile(
    r"Connection (closed|reset) by peer|Broken pipe|remote process exited|NCCL communicator was aborted|ECONNRESET"
    r"|Socket Timeout|failed to recv, got 0 bytes"
)
_SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@dataclass
class Failure:
    """A part of a run that ended with an error."""

    node: str
    rank: int
    status: int
    reason: str
    after: float

    @property
    def exit_code(self) -> int:
        """The exit code of ds-launch, as a shell would give it."""
        return self.status if self.status >= 0 else 128 - self.status

    def sentence(self) -> str:
        """The failure in words."""
        who = f"Rank {self.rank} on {self.node}" if self.rank >= 0 else f"The launcher on {self.node}"
        if self.status == LOST and self.reason:
            return f"{self.node} was lost after {self.after:.0f} s: {self.reason}."
        if self.status < 0:
            try:
                name = signal.Signals(-self.status).name
            except ValueError:
                name = f"signal {-self.status}"
            hint = " (by the kernel for want of memory? 'dmesg' there tells)" if self.status == -signal.SIGKILL else ""
            return f"{who} failed first: ended by {name}{hint}, after {self.after:.0f} s."
        detail = f" ({self.reason})" if self.reason else ""
        return f"{who} failed first: exit code {self.status}{detail}, after {self.after:.0f} s."


class Run:
    """The ranks of one launch on all nodes."""

    def __init__(self, launch: Launch, cluster: list[Node], output: Output, name: str) -> None:
        self._launch = launch
        self._cluster = cluster
        self._output = output
        self._name = name
        self._began = time.monotonic()
        self._events: asyncio.Queue[None] = asyncio.Queue()
        self._failures: list[Failure] = []
        self._done: set[str] = set()
        self._exited: set[int] = set()
        self._stopping = False
        self.signal = 0
        self.reason = ""
        for node in cluster:
            node.on_event = self._on_event
            node.on_output = lambda node, rank, stream, data: output.feed(node.name, rank, stream, data)
            node.on_lost = self._on_lost

    def caught(self, number: int) -> None:
        """End the run because of a signal."""
        self.signal = self.signal or number
        self._events.put_nowait(None)

    def _fail(self, node: str, rank: int, status: int, reason: str = "") -> None:
        if not self._stopping:
            self._failures.append(Failure(node, rank, status, reason, time.monotonic() - self._began))
        self._events.put_nowait(None)

    def _on_event(self, node: Node, event: Mapping[str, Any]) -> None:
        kind = event["answer"]
        if kind == "exit":
            self._exited.add(event["rank"])
            if event["status"]:
                self._fail(node.name, event["rank"], event["status"])
        elif kind == "launcher" and event["status"]:
            self._fail(node.name, -1, event["status"], event["reason"])
        elif kind == "done":
            self._output.flush(node.name)
            self._done.add(node.name)
            self._events.put_nowait(None)

    def _on_lost(self, node: Node, reason: str) -> None:
        self._done.add(node.name)
        self._fail(node.name, -1, LOST, reason)

    async def start(self, folder: str, environment: dict[str, str], expanded: dict[str, str]) -> None:
        """Start the launcher on every node."""
        mark = f"@{secrets.token_hex(8)}@"
        command = launchers.rank_command(self._launch.options, self._launch.python, mark)
        for number, node in enumerate(self._cluster):
            started = node.send(
                "start",
                run=self._name,
                node=node.name,
                folder=folder,
                command=command,
                mark=mark,
                launcher=launchers.node_command(self._launch, number),
                environment={**environment, **launchers.node_environment(self._launch, number)},
                expanded=expanded,
            )
            # What becomes of it arrives as events.
            started.add_done_callback(lambda future: future.cancelled() or future.exception())

    async def finish(self) -> int:
        """Wait for the end of all ranks, end them where one fails, and return the exit code."""
        while len(self._done) < len(self._cluster) and not self._failures and not self.signal:
            try:
                await asyncio.wait_for(self._events.get(), 1)
            except asyncio.TimeoutError:
                if self._output.closed or readers_gone():
                    self.signal = signal.SIGHUP
        if self.signal and not self._failures:
            self.reason = f"Stopped by {signal.Signals(self.signal).name}; the ranks are ended."
            say(self.reason)
            await self._stop()
            return _SIGNALS.get(signal.Signals(self.signal), 1)
        if self._failures:
            await self._settle()
            first = self.first_failure()
            await self._stop()
            self._tell(first)
            return first.exit_code
        return 0

    async def _settle(self) -> None:
        """Wait for failures at the same time; longer while all that is known are ranks that lost another one."""
        await asyncio.sleep(_SETTLE_SECONDS)
        deadline = time.monotonic() + _CAUSE_SECONDS
        while time.monotonic() < deadline and all(map(self._is_consequence, self._failures)):
            await asyncio.sleep(0.1)

    def first_failure(self) -> Failure:
        """The failure that others follow from: the first, unless it speaks of a lost peer and another does not."""
        of_ranks = [failure for failure in self._failures if failure.rank >= 0]
        causes = [failure for failure in of_ranks if not self._is_consequence(failure)]
        lost = [failure for failure in self._failures if failure.status == LOST and failure.rank < 0]
        return (causes or lost or of_ranks or self._failures)[0]

    def _is_consequence(self, failure: Failure) -> bool:
        return failure.status > 0 and any(
            _CONSEQUENCE.search(line) for line in self._output.tail(failure.node, failure.rank, 8)
        )

    def _tell(self, first: Failure) -> None:
        self.reason = first.sentence()
        say(self.reason)
        lines = [line for line in self._output.tail(first.node, first.rank, 8) if line.strip()]
        for line in lines:
            say(f"    {line}")
        others = sum(len(slots) for slots in self._launch.slots.values()) - 1
        if others > 0:
            say("The other ranks were ended.")

    async def _stop(self) -> None:
        """End the ranks on all nodes at once; a node that does not confirm is named."""
        self._stopping = True
        left = [node for node in self._cluster if node.name not in self._done]
        asked = {node.name: asyncio.ensure_future(_confirmed(node)) for node in left}
        if not asked:
            return
        await asyncio.wait(asked.values(), timeout=STOP_SECONDS)
        silent = [name for name, future in asked.items() if not future.done() or not future.result()]
        for future in asked.values():
            future.cancel()
        if silent:
            say(f"{listed(silent)} did not confirm that all ranks ended; 'ds-launch --stop' ends what is left there.")
        # Their last output.
        deadline = time.monotonic() + 3
        while len(self._done) < len(self._cluster) - len(silent) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)


async def _confirmed(node: Node) -> bool:
    try:
        return not (await node.send("stop", grace=GRACE_SECONDS))["left"]
    except NodeError:
        return False
