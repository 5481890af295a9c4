# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wished of a node's driver, and whether a version is one that is wished. Pure functions over plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.packages import branch_of

_FORMS = (
    ("nvidia_driver_branch", "branch", r"\d{3}", "a branch such as 580"),
    ("nvidia_driver_version", "version", r"\d{3}(\.\d+){1,2}", "a version such as 580.95.05"),
    ("nvidia_driver_least", "least", r"\d+(\.\d+)*", "a version such as 580.65.06"),
)


@dataclass(frozen=True)
class Wishes:
    """What is wished of a driver; an empty text is no wish.

    :ivar manage: whether the node's driver may be changed at all.
    :ivar least: a driver at least this new does, where neither branch nor version is wished.
    :ivar flavour: auto, open or proprietary. source: auto, cuda_repository, distribution or runfile.
    :ivar packages: names that take the place of those of the table.
    :ivar fabric_manager: auto, always or never.
    :ivar own_key: whether the firmware knows the key that signs what DKMS compiles on the node.
    :ivar remove_runfile: whether a driver that NVIDIA's installer has left may be uninstalled.
    """

    manage: bool = True
    branch: str = ""
    version: str = ""
    least: str = ""
    flavour: str = "auto"
    source: str = "auto"
    packages: Sequence[str] = ()
    fabric_manager: str = "auto"
    own_key: bool = False
    remove_runfile: bool = False
    runfile_checksum: str = ""

    def __str__(self) -> str:
        if self.version:
            return self.version
        return f"the branch {self.branch}" if self.branch else f"{self.least} or newer"


def satisfies(version: str | None, wishes: Wishes) -> bool:
    """Whether a version is one that is wished."""
    if not version:
        return False
    if wishes.version:
        return numbers(version) == numbers(wishes.version)
    if wishes.branch and branch_of("", version) != wishes.branch:
        return False
    # A bound that is of another branch says nothing about this one.
    bound = not wishes.branch or branch_of("", wishes.least) == wishes.branch
    return not bound or numbers(version) >= numbers(wishes.least)


def unreadable(host: str, wishes: Wishes) -> list[str]:
    """One sentence for each wish that cannot be read, or that contradicts another one."""
    found = []
    for variable, name, pattern, example in _FORMS:
        value = getattr(wishes, name)
        if value and not re.fullmatch(pattern, value):
            found.append(f"{variable} is '{value}' for {host}; it must be {example}.")
    if not found and wishes.branch and wishes.version and not wishes.version.startswith(f"{wishes.branch}."):
        found.append(
            f"nvidia_driver_version {wishes.version} is not of nvidia_driver_branch {wishes.branch}, both of which are "
            f"set for {host}; set one of them."
        )
    return found
