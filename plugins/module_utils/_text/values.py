# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of variables, which an INI inventory or the command line gives as texts."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean


def truth(value: Any) -> bool | None:
    """True or false in the words that Ansible takes for them (yes, on, 1, ...); null for anything else."""
    try:
        return bool(boolean(value))
    except TypeError:
        return None
