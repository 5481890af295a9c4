#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: training_run
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Runs a short training on the nodes of a hostfile and returns what each rank reports
description:
  - Starts a script by C(ds-launch <script> --deepspeed --deepspeed_config <file>), as users do, with the files that the
    role P(fromzero.deepspeed.hostfile#role) has written. Only those hosts of the hostfile take part that take part in
    this run of Ansible.
  - The script reports how far each rank has come as lines of JSON behind the mark C(FROMZERO_VERIFY).
  - Never fails because the training fails. A run whose time is up is stopped; so is one that nobody waits for any more,
    because Ansible was interrupted. C(ds-launch) then ends the ranks on all nodes.
options:
  settings:
    description: The path of C(ds-launch.json), which says where the launcher, the hostfile and C(ds_config.json) are.
    type: path
    required: true
  launcher:
    description: Another C(ds-launch) than that of O(settings).
    type: path
  hostfile:
    description: Another hostfile than that of O(settings).
    type: path
  config:
    description: Another configuration of DeepSpeed than that of O(settings).
    type: path
  nodes:
    description: The nodes that may take part, by the names in the hostfile.
    type: list
    elements: str
    required: true
  script:
    description: The script, at the same path on every node. Its folder is the working folder of the run.
    type: path
    required: true
  arguments:
    description: Arguments of the script, after those for DeepSpeed.
    type: list
    elements: str
    default: []
  port:
    description: The port on which the first rank listens; with V(0) C(ds-launch) takes a free one.
    type: int
    default: 0
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
    settings: /opt/fromzero/etc/ds-launch.json
    nodes: [node1, node2]
    script: /tmp/check/training_step.py
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
config:
  description: The configuration of DeepSpeed that the run used.
  returned: always
  type: str
  sample: /opt/fromzero/etc/ds_config.json
status:
  description: The exit status of C(ds-launch); 124 where the time was up.
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
reports:
  description: What the ranks reported, in the order of arrival.
  returned: always
  type: list
  elements: dict
  sample: [{"stage": "trained", "rank": 0, "host": "node1", "first": 4.5, "last": 1.8}]
sentences:
  description: What C(ds-launch) itself said, without its name.
  returned: always
  type: list
  elements: str
  sample: ["Rank 3 on node2 failed first: exit code 1, after 12 s."]
exceptions:
  description: The first Python exception of each rank that had one, from the whole output, in the order of arrival.
  returned: always
  type: list
  elements: dict
  sample: [{"node": "node2", "rank": 3, "error": "ModuleNotFoundError: No module named 'apex'"}]
tail:
  description: The last lines of the output.
  returned: always
  type: list
  elements: str
  sample: ["[node1:0] ... exits successfully."]
command:
  description: What was run.
  returned: always
  type: str
  sample: /usr/local/bin/ds-launch /tmp/check/step.py --deepspeed --deepspeed_config /opt/fromzero/etc/ds_config.json
"""

import shlex
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._launch.training_run import (
    HostfileError,
    LaunchError,
    exceptions,
    launch_command,
    launch_files,
    nobody_reads,
    parse_hostfile,
    participants,
    reports,
    run_bounded,
    sentences,
)

_NOTHING: dict[str, Any] = {
    "problem": "",
    "slots": {},
    "config": "",
    "status": 0,
    "timed_out": False,
    "seconds": 0.0,
    "reports": [],
    "sentences": [],
    "exceptions": [],
    "tail": [],
    "command": "",
}


def _train(given: dict[str, Any]) -> dict[str, Any]:
    files, own = launch_files(given["settings"], {name: given[name] for name in ("launcher", "hostfile", "config")})
    text = Path(files.hostfile).read_text(encoding="utf-8")
    try:
        slots = participants(text, given["nodes"])
    except HostfileError as error:
        raise LaunchError(f"{files.hostfile}: {error}") from error
    command = [
        *launch_command(files, own, list(parse_hostfile(text)), list(slots), given["port"]),
        given["script"],
        "--deepspeed",
        "--deepspeed_config",
        files.config,
        *given["arguments"],
    ]
    # The working folder must be one that each node has, and small: ds-launch may be set to copy it to all nodes first.
    folder = str(Path(given["script"]).parent)
    ended = run_bounded(command, folder, given["timeout"], nobody_reads)
    return {
        "slots": slots,
        "config": files.config,
        "status": ended.status,
        "timed_out": ended.timed_out,
        "seconds": ended.seconds,
        "reports": reports(ended.output),
        "sentences": sentences(ended.output),
        "exceptions": exceptions(ended.output),
        "tail": ended.output.splitlines()[-80:],
        "command": shlex.join(command),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "path", "required": True},
            "launcher": {"type": "path"},
            "hostfile": {"type": "path"},
            "config": {"type": "path"},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "script": {"type": "path", "required": True},
            "arguments": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    given = module.params
    found: dict[str, Any] = {"problem": "No training is run in check mode."}
    if not module.check_mode:
        try:
            found = _train(given)
        except LaunchError as error:
            found = {"problem": str(error)}
        except OSError as error:
            what = error.filename or "ds-launch"
            found = {"problem": f"{what} cannot be used ({error.strerror}); run the playbook 'hostfile'."}
    module.exit_json(changed=False, **{**_NOTHING, **found})


if __name__ == "__main__":
    main()
