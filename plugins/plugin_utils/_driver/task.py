# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision about a node's driver as the tasks of the role carry it out, and the proof afterwards."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.decision import decide
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.facts import DriverRequestError, question
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._driver.request import Request
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_repository import repository

_REQUESTED = tuple(field.name for field in fields(Request))
# Parts of a step that the result has in the form of tasks.
_SETTLED = ("problems", "stream", "keep", "fabric")
# The sources of packages that belong to a driver, as a pin of apt names them.
_PINNED = "src:*nvidia*:any src:cuda-drivers*:any src:fabricmanager:any src:fabric-manager*:any"


def decided(facts: Mapping[str, Any], host: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the action nvidia_driver_decision returns.

    :param facts: ansible_facts, with fromzero_gpus. given: the options of the action.
    :raises DriverRequestError: it is refused; the text has one sentence for each reason.
    """
    asked = question(facts, host, {name: given[name] for name in _REQUESTED if name in given})
    step = decide(asked)
    if step.problems:
        raise DriverRequestError(" ".join(step.problems))
    services = {"nvidia-persistenced": truth(given["persistence"]), "nvidia-fabricmanager": step.fabric}
    runfile = str(given["runfile"])
    copied = not truth(given["runfile_on_node"]) and "://" not in runfile
    told = {name: value for name, value in step.plain().items() if name not in _SETTLED}
    return {
        **told,
        "request": {**asdict(asked.request), "packages": list(asked.request.packages)},
        "services": [name for name, wanted in services.items() if wanted],
        "pins": [{"packages": _PINNED, "version": step.keep}] if asked.system.apt else [],
        "streams": [step.stream] if step.stream else [],
        "repository": repository(facts, given),
        "runfile": f"/var/tmp/{posixpath.basename(runfile)}" if copied else runfile,
        "runfile_copied": copied,
    }


def unproven(facts: Mapping[str, Any], host: str, request: Mapping[str, Any], gpus: int) -> list[str]:
    """One sentence for each way in which a driver that was changed does not work yet.

    :param facts: ansible_facts, with fromzero_gpus gathered after the change. gpus: how many there were before.
    :raises DriverRequestError: facts are missing.
    """
    asked = question(facts, host, request)
    return asked.node.unproven(asked.request, asked.rules, gpus)
