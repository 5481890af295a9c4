# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is requested of a node's driver, and whether a driver is what is requested. Pure functions over plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import major, numbers

_FORMS = (
    ("nvidia_driver_branch", "branch", r"\d{3}", "a branch such as 580"),
    ("nvidia_driver_version", "version", r"\d{3}(\.\d+){1,2}", "a version such as 580.95.05"),
    ("nvidia_driver_least", "least", r"\d+(\.\d+)*", "a version such as 580.65.06"),
)


@dataclass(frozen=True)
class Request:
    """What is requested of a driver; an empty text requests nothing.

    :ivar manage: whether the node's driver may be changed at all.
    :ivar least: the oldest version that is sufficient, where neither branch nor version is requested.
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

    @property
    def bound(self) -> str:
        """The oldest version that is sufficient; one of another branch says nothing about what is requested."""
        if self.version:
            return ""
        return self.least if not self.branch or major(self.least) == self.branch else ""

    def unmet(self, version: str, flavour: str | None) -> str:
        """The variable that a driver does not satisfy, and its value; empty where it satisfies all."""
        if self.version and numbers(version) != numbers(self.version):
            return f"nvidia_driver_version asks for {self.version}"
        if self.branch and major(version) != self.branch:
            return f"nvidia_driver_branch asks for {self.branch}"
        if self.flavour != "auto" and flavour and flavour != self.flavour:
            return f"nvidia_driver_flavour asks for the {self.flavour} kernel modules"
        return ""


def unreadable(host: str, request: Request) -> list[str]:
    """One sentence for each part of a request that cannot be read, or that contradicts another one."""
    found = []
    for variable, name, pattern, example in _FORMS:
        value = getattr(request, name)
        if value and not re.fullmatch(pattern, value):
            found.append(f"{variable} is '{value}' for {host}; it must be {example}.")
    if not found and request.branch and request.version and not request.version.startswith(f"{request.branch}."):
        found.append(
            f"nvidia_driver_version {request.version} is not of nvidia_driver_branch {request.branch}, both of which "
            f"are set for {host}; set one of them."
        )
    return found
