# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process beside a run that renews its lock, and gives it back when the run ends, however it ends.

A task cannot do that: none runs after a failure on all nodes, a Ctrl-C or a SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._lock.owner import RENEWAL

# Seconds between two looks at the run, for one command on the head, and until a renewal that failed is tried again.
_LOOK, _COMMAND, _AGAIN = 0.1, 30, 5


def start(
    is_alive: Callable[[], bool],
    renew: Callable[[], None],
    release: Callable[[], None],
    begin: Callable[[], None] = lambda: None,
) -> int:
    """Start the process and return its id. It keeps what this one has, such as a connection, and outlives it.

    :param is_alive: whether the run goes on. renew, release: what to do meanwhile and in the end; they may fail.
    :param begin: what to do in the process first.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setsid()
            keeper = os.fork()
            if keeper:
                os.write(writer, str(keeper).encode())
            else:
                begin()
                _keep(is_alive, renew, release)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        os.waitpid(child, 0)
        # The keeper has the other end too; what was written is there already.
        return int(os.read(answer.fileno(), 32))


class _Ended(BaseException):
    """The run has said that it is over; no plugin that a renewal calls may take it for an error."""


def _keep(is_alive: Callable[[], bool], renew: Callable[[], None], release: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(_Ended):
        due = time.monotonic() + RENEWAL
        while is_alive():
            time.sleep(_LOOK)
            if time.monotonic() >= due:
                done = _attempt(renew)
                due = time.monotonic() + (RENEWAL if done else _AGAIN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _attempt(release)


def _end(_number: int, _frame: Any) -> None:
    raise _Ended


def _attempt(work: Callable[[], None]) -> bool:
    with contextlib.suppress(Exception), _limited():
        work()
        return True
    return False


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def expire(_number: int, _frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(_COMMAND)
    try:
        yield
    finally:
        signal.alarm(0)
