# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run says no: the reasons in lines, once, and the end of the task in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail


class Refusal(AnsibleActionFail):
    """Ends a task as failed, by a sentence for the user."""

    @property
    def omit_exception_key(self) -> bool:
        """Ansible then prints no error of its own with the place in our task files, which is not where the fault is."""
        return True


def refuse(display: Any, title: str, reasons: Sequence[str], remedy: str = "") -> Refusal:
    """Print the reasons and what to do, and return the exception that ends the task by the title.

    They are lines of their own because Ansible's default output shows the text of a result in one line.

    :param display: Ansible's Display.
    """
    lines = [*(f"- {reason}" for reason in reasons), *([remedy] if remedy else [])]
    for line in lines:
        display.display(line, color=constants.config.get_config_value("COLOR_ERROR"))
    return Refusal(f"{title.rstrip('.:')}; the reasons are above." if reasons else title)
