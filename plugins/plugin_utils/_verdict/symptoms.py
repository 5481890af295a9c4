# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a training failed, by what torch, DeepSpeed and compilers wrote."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.symptoms import first, symptoms


def is_consequence(error: str) -> bool:
    """Whether an error tells only of another rank that was not there, or went away."""
    of_launch = [symptom for symptom in symptoms("launch") if symptom.consequence]
    return any(symptom.signature.search(error) for symptom in (*of_launch, *symptoms("lost_peers")))


def symptom(lines: Sequence[str], consequences: bool = True) -> tuple[str, str]:
    """The reason and the fix for what a run wrote, or two empty texts.

    :param consequences: whether ranks that do not reach each other count; they do not where a rank has another error.
    """
    found = first("launch", "\n".join(lines), consequences=consequences)
    return (found.cause, found.fix) if found else ("", "")
