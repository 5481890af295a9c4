# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ranks print: each line with its node and rank on the terminal, and as it came in a file of the rank."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import time
from collections import deque
from typing import BinaryIO, Tuple

# What DeepSpeed's launcher of a node says of its work is in the log of the node; errors are said in words of our own.
_CHATTER = re.compile(rb"\[launch\.py:|\[INFO\] \[|torch/distributed/run\.py|^\*+\s*$")
_PROGRESS_SECONDS = 10.0
_CLEAR = b"\r\x1b[K"
_TAIL = 40

Source = Tuple[str, int, int]


class Output:
    """Takes the output of all ranks; C(closed) is set once nobody reads what is printed."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._logs: dict[str, BinaryIO] = {}
        self._whole = open(os.path.join(folder, "output.log"), "wb", buffering=0)  # noqa: SIM115
        self._pending: dict[Source, bytes] = {}
        self._tails: dict[Source, deque[bytes]] = {}
        self._shown: dict[Source, float] = {}
        self._bar: tuple[Source, bytes] | None = None
        self._is_terminal = {number: os.isatty(number) for number in (1, 2)}
        self.closed = False

    def feed(self, node: str, rank: int, stream: int, data: bytes) -> None:
        """Take what a rank (or with -1 the launcher of a node) wrote to its stream 1 or 2."""
        name = f"{node}.rank{rank}.log" if rank >= 0 else f"{node}.launcher.log"
        if name not in self._logs:
            self._logs[name] = open(os.path.join(self._folder, name), "wb", buffering=0)  # noqa: SIM115
        self._logs[name].write(data)
        source = (node, rank, stream)
        *lines, rest = (self._pending.get(source, b"") + data.replace(b"\r\n", b"\n")).split(b"\n")
        for line in lines:
            # Of a progress bar that has ended, its last state is a line.
            self._line(source, line.rstrip(b"\r").rpartition(b"\r")[2])
        if b"\r" in rest:
            # Bars begin or end with a carriage return; of several states the last one is kept.
            shown = rest.rstrip(b"\r").rpartition(b"\r")[2]
            self._progress(source, shown)
            rest = b"\r" + shown + rest[len(rest.rstrip(b"\r")) :]
        self._pending[source] = rest

    def flush(self, node: str) -> None:
        """Print what a node's ranks wrote without an end of line."""
        for source, rest in list(self._pending.items()):
            if source[0] == node and rest.strip(b"\r"):
                self._line(source, rest.strip(b"\r").rpartition(b"\r")[2])
                self._pending[source] = b""

    def tail(self, node: str, rank: int, count: int) -> list[str]:
        """The last lines of a rank: of its errors, or of its other output where it wrote none."""
        lines = self._tails.get((node, rank, 2)) or self._tails.get((node, rank, 1)) or ()
        return [line.decode("utf-8", "replace") for line in list(lines)[-count:]]

    def close(self) -> None:
        """Close the files; the terminal is left at the beginning of a line."""
        if self._bar is not None:
            self._write(self._bar[0][2], b"\n")
            self._bar = None
        for file in (*self._logs.values(), self._whole):
            file.close()

    def _line(self, source: Source, line: bytes) -> None:
        rank, stream = source[1:]
        if self._bar is not None and self._bar[0] == source:
            self._write(stream, _CLEAR)
            self._bar = None
        self._tails.setdefault(source, deque(maxlen=_TAIL)).append(line)
        if rank < 0 and _CHATTER.search(line):
            return
        text = _prefix(source) + line + b"\n"
        self._whole.write(text)
        self._print(stream, text)

    def _print(self, stream: int, text: bytes) -> None:
        """Print a line; a progress bar that stands on the terminal moves below it."""
        if self._bar is None:
            self._write(stream, text)
            return
        place, shown = self._bar[0][2], self._bar[1]
        self._write(place, _CLEAR)
        self._write(stream, text)
        self._write(place, shown)

    def _progress(self, source: Source, text: bytes) -> None:
        """Show the bar of one rank, the lowest that has one; where there is no terminal, a line now and then."""
        stream = source[2]
        if self._bar is not None and self._bar[0] != source and self._bar[0][1] <= source[1]:
            return
        if self._is_terminal[stream]:
            width = shutil.get_terminal_size().columns - 1
            shown = (_prefix(source) + text).decode("utf-8", "replace")[:width].encode()
            self._bar = (source, shown)
            self._shown[source] = 0.0
            self._write(stream, _CLEAR + shown)
        elif time.monotonic() - self._shown.get(source, 0.0) >= _PROGRESS_SECONDS and text.strip():
            self._shown[source] = time.monotonic()
            self._write(stream, _prefix(source) + text + b"\n")

    def _write(self, stream: int, data: bytes) -> None:
        if self.closed:
            return
        try:
            while data:
                data = data[os.write(stream, data) :]
        except BlockingIOError:
            time.sleep(0.01)
            self._write(stream, data)
        except OSError:
            self.closed = True


def _prefix(source: Source) -> bytes:
    node, rank, _stream = source
    return f"[{node}:{rank}] ".encode() if rank >= 0 else f"[{node}] ".encode()


def readers_gone() -> bool:
    """Whether what is printed goes nowhere: the terminal was closed, or the program that read it has ended."""
    watch = select.poll()
    with contextlib.suppress(OSError):
        watch.register(1, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in watch.poll(0))
    return True
