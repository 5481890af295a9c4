# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ds-launch says: refusals, lists in sentences, times."""

from __future__ import annotations

import sys
import time
from typing import Sequence

REFUSED = 2
"""The exit code where nothing was started."""
LOST = 255
"""The exit code where a node was lost."""


class Refusal(Exception):
    """Nothing can be started; each message is a sentence for the user."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = list(messages)


def say(message: str) -> None:
    """Print one message of ds-launch itself."""
    sys.stdout.flush()
    print(f"ds-launch: {message}", file=sys.stderr, flush=True)


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence."""
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def since(seconds: float) -> str:
    """A time since 1970 as local time; today's without the date."""
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)
