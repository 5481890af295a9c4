#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: training_run
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Runs a short training on the nodes of a hostfile and returns what each rank tells
description:
  - Starts a script with C(ds-launch) on those hosts of the hostfile that take part in this run of Ansible.
  - The script tells how far each rank came as lines of JSON behind the mark C(FROMZERO_VERIFY).
  - Never fails because the training fails. A run whose time is up is stopped, and what it left on the nodes is ended;
    so is one that nobody waits for any more, because Ansible was interrupted.
options:
  launcher:
    description: The path of C(ds-launch).
    type: path
    required: true
  hostfile:
    description: The hostfile.
    type: path
    required: true
  nodes:
    description: The nodes that may take part, by the names in the hostfile.
    type: list
    elements: str
    required: true
  script:
    description: The script, at the same path on every node.
    type: path
    required: true
  script_is_temporary:
    description: Remove the folder of the script on all nodes where Ansible was interrupted, and so cannot do it.
    type: bool
    default: false
  arguments:
    description: Arguments of the script.
    type: list
    elements: str
    default: []
  port:
    description: The port on which the first rank listens.
    type: int
    default: 29500
  timeout:
    description: Seconds after which the run is stopped.
    type: int
    default: 600
attributes:
  check_mode:
    description: Starts nothing in check mode and says so in RV(problem).
    support: partial
    details: Nothing is known about a training that was not run.
  diff_mode:
    description: Nothing is changed, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Train for a moment
  fromzero.deepspeed.training_run:
    launcher: /usr/local/bin/ds-launch
    hostfile: /job/hostfile
    nodes: [node1, node2]
    script: /tmp/training_step.py
    arguments: [--steps, "5"]
    timeout: 120
"""

RETURN = r"""
problem:
  description: Why nothing was started, as a sentence. Empty where the run was started.
  returned: always
  type: str
  sample: ""
slots:
  description: The slots of the hosts that took part, by name, in the order of their ranks.
  returned: always
  type: dict
  sample: {"node1": 2, "node2": 2}
status:
  description: The exit status of the launcher; 124 where the time was up.
  returned: always
  type: int
  sample: 0
timed_out:
  description: Whether the run was stopped because its time was up.
  returned: always
  type: bool
  sample: false
seconds:
  description: How long the run took.
  returned: always
  type: float
  sample: 11.4
told:
  description: What the ranks said, in the order of arrival.
  returned: always
  type: list
  elements: dict
  sample: [{"stage": "trained", "rank": 0, "host": "node1", "first": 4.5, "last": 1.8}]
tail:
  description: The last lines of the output.
  returned: always
  type: list
  elements: str
  sample: ["node1: ... exits successfully."]
command:
  description: What was run.
  returned: always
  type: str
  sample: /usr/local/bin/ds-launch --hostfile /job/hostfile /tmp/training_step.py
"""

import os
import shlex
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._training_run import (
    HostfileError,
    launch_command,
    nobody_reads,
    parse_hostfile,
    participants,
    run_bounded,
    sweep_command,
    told,
)

_NOTHING: dict[str, Any] = {
    "problem": "",
    "slots": {},
    "status": 0,
    "timed_out": False,
    "seconds": 0.0,
    "told": [],
    "tail": [],
    "command": "",
}


def _train(given: dict[str, Any]) -> dict[str, Any]:
    text = Path(given["hostfile"]).read_text(encoding="utf-8")
    slots = participants(text, given["nodes"])
    command = [
        *launch_command(given["launcher"], given["hostfile"], list(parse_hostfile(text)), list(slots), given["port"]),
        given["script"],
        *given["arguments"],
    ]
    # The launcher changes to this folder on every node, so it must be one that each node has; the root folder has no
    # modules that could stand before those of the environment.
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    outcome = run_bounded(command, environment, "/", given["timeout"], nobody_reads)
    alone = nobody_reads()
    if outcome.status or alone:
        tools = {"PATH": f"{Path(given['launcher']).parent}:{os.environ.get('PATH', os.defpath)}"}
        remove = alone and given["script_is_temporary"]
        run_bounded(["env", *sweep_command(list(slots), given["script"], remove)], tools, "/", 60)
    return {
        "slots": slots,
        "status": outcome.status,
        "timed_out": outcome.timed_out,
        "seconds": outcome.seconds,
        "told": told(outcome.output),
        "tail": outcome.output.splitlines()[-80:],
        "command": shlex.join(command),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "launcher": {"type": "path", "required": True},
            "hostfile": {"type": "path", "required": True},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "script": {"type": "path", "required": True},
            "script_is_temporary": {"type": "bool", "default": False},
            "arguments": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int", "default": 29500},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    given = module.params
    found: dict[str, Any] = {"problem": "No training is run in check mode."}
    if not module.check_mode:
        try:
            found = _train(given)
        except HostfileError as error:
            found = {"problem": f"{given['hostfile']}: {error}"}
        except OSError as error:
            found = {"problem": f"{error.filename or given['launcher']} cannot be used: {error.strerror}."}
    module.exit_json(changed=False, **{**_NOTHING, **found})


if __name__ == "__main__":
    main()
