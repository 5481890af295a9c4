# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What modules have in common that the documentation of each should say."""

    READ_ONLY = r"""
attributes:
  check_mode:
    description: Reads only, so check mode changes nothing and returns the same.
    support: full
  diff_mode:
    description: Reads only, so there is no difference to show.
    support: none
"""

    DECIDES = r"""
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: It changes nothing, so there is no difference to show.
    support: none
"""
