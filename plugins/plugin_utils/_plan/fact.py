# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the software stack, as the role preflight leaves it on every node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The fact that holds the cluster's plan, with the node's own part under 'node'.
PLAN_FACT = "preflight_plan"


class PlanError(ValueError):
    """A plan was asked for what no plan has; the text is a sentence for the user."""


def read(plan: Mapping[str, Any] | None, path: str, default: Any = None) -> Any:
    """One value of a plan.

    :param plan: null where nothing has been planned. path: keys with dots between them, such as C(torch.version).
    :param default: what counts where there is no plan, and where the plan leaves the value or a part of the path empty.
    :raises PlanError: a plan has no such key.
    """
    found: Any = plan
    for key in path.split("."):
        if not isinstance(found, Mapping):
            break
        if key not in found:
            known = ", ".join(sorted(map(str, found)))
            raise PlanError(f"The plan has no '{path}': '{key}' is not among {known}.")
        found = found[key]
    return default if found is None else found
