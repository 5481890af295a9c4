#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: conda_env
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Creates, updates or removes an environment of conda
description:
  - Brings an environment to hold the packages that are asked for. Packages that are there and satisfy the specs stay.
  - What is installed is read from the records in C(conda-meta). Nothing is started when nothing is to be done.
  - In check mode, conda's own dry run says what would come. Where conda is not installed yet, the specs themselves are
    the prediction.
options:
  conda:
    description: Path of the executable of conda.
    type: path
    required: true
  prefix:
    description: Folder of the environment.
    type: path
    required: true
  packages:
    description:
      - Specs as conda reads them, such as V(python=3.11), V(pip), V(numpy>=1.26,<3), V(mkl==2024.0.0),
        V(conda-forge::libaio), V(python=3.11=*_cpython).
    type: list
    elements: str
    default: []
  channels:
    description: Channels to take packages from, names or addresses, the most important first.
    type: list
    elements: str
    default: []
  override_channels:
    description: Leave aside the channels that conda is configured with.
    type: bool
    default: false
  offline:
    description: Use nothing but channels on disk and packages that are already in conda's cache.
    type: bool
    default: false
  condarc:
    description: A file of configuration that conda reads beside its own, such as one with mirrors in it.
    type: path
  timeout:
    description: Seconds after which conda is stopped.
    type: int
    default: 3600
  state:
    description:
      - V(present) creates the environment, or adds what it lacks.
      - V(absent) removes the environment with everything in it; O(packages) then has to be empty.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and predict what would be done.
    support: full
  diff_mode:
    description: Shows the packages before and after.
    support: full
"""

EXAMPLES = r"""
- name: Create an environment with python
  fromzero.deepspeed.conda_env:
    conda: /opt/fromzero/conda/bin/conda
    prefix: /opt/fromzero/envs/train
    packages: [python=3.11, pip]
    channels: [conda-forge]
    override_channels: true

- name: Remove an environment
  fromzero.deepspeed.conda_env:
    conda: /opt/fromzero/conda/bin/conda
    prefix: /opt/fromzero/envs/old
    state: absent
"""

RETURN = r"""
prefix:
  description: Folder of the environment.
  returned: success
  type: str
  sample: /opt/fromzero/envs/train
command:
  description: What conda was told to do, or would be in check mode; empty where nothing was to be done.
  returned: success
  type: str
  sample: create
packages:
  description: The packages of conda's that are in the environment afterwards.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the package., type: str, returned: success}
    version: {description: Its version., type: str, returned: success}
    build: {description: Its build string., type: str, returned: success}
    channel: {description: Where it came from., type: str, returned: success}
  sample: [{"name": "python", "version": "3.11.14", "build": "hd63d673_2_cpython",
            "channel": "https://conda.anaconda.org/conda-forge/linux-64"}]
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.env import Outcome, Wish, apply
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import CondaError, starter
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.spec import Package, SpecError, parse_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "conda": {"type": "path", "required": True},
            "prefix": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "channels": {"type": "list", "elements": "str", "default": []},
            "override_channels": {"type": "bool", "default": False},
            "offline": {"type": "bool", "default": False},
            "condarc": {"type": "path"},
            "timeout": {"type": "int", "default": 3600},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        outcome = apply(_wish(given), starter(_environment(given)), module.check_mode)
    except (CondaError, SpecError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed,
        prefix=given["prefix"],
        command=outcome.step.command,
        packages=[asdict(package) for package in outcome.after.values()],
        diff=_diff(given["prefix"], outcome),
    )


def _wish(given: dict[str, object]) -> Wish:
    present = given["state"] == "present"
    if given["packages"] and not present:
        raise CondaError("state: absent removes the whole environment; leave out packages.")
    return Wish(
        conda=Path(str(given["conda"])),
        prefix=Path(str(given["prefix"])),
        specs=tuple(parse_spec(text) for text in _texts(given["packages"])),
        present=present,
        channels=tuple(_texts(given["channels"])),
        override_channels=bool(given["override_channels"]),
        offline=bool(given["offline"]),
        timeout=float(str(given["timeout"])),
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _environment(given: dict[str, object]) -> dict[str, str]:
    return {"CONDARC": str(given["condarc"])} if given["condarc"] else {}


def _diff(prefix: str, outcome: Outcome) -> dict[str, str]:
    return {
        "before_header": f"{prefix} (packages)",
        "after_header": f"{prefix} (packages)",
        "before": _listing(outcome.before),
        "after": _listing(outcome.after),
    }


def _listing(packages: dict[str, Package]) -> str:
    return "".join(f"{packages[name]}\n" for name in sorted(packages))


if __name__ == "__main__":
    main()
