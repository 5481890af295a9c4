#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_record
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Write down in a Python environment what was proved there
description:
  - Writes C(.fromzero/<name>.json) in the environment, which M(fromzero.deepspeed.environment_info) returns in
    RV(fromzero.deepspeed.environment_info#module:records). A role that finds its record there has nothing to do.
  - Removes the wheels in C(.fromzero/wheels), which were brought for the installation that is proved.
options:
  prefix:
    description: Folder of the environment.
    type: path
    required: true
  name:
    description: The name of the record, that of the role.
    type: str
    required: true
  record:
    description: What is written down.
    type: dict
    required: true
attributes:
  check_mode:
    description: Says what would be written.
    support: full
  diff_mode:
    description: Shows the record as it was and as it is.
    support: full
"""

EXAMPLES = r"""
- name: Record that torch was proved
  fromzero.deepspeed.environment_record:
    prefix: /opt/fromzero/envs/train
    name: torch
    record: {asked: [torch==2.13.0]}
"""

RETURN = r"""
path:
  description: The file of the record.
  returned: success
  type: str
  sample: /opt/fromzero/envs/train/.fromzero/torch.json
"""

import json
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import RECORDS


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "record": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["prefix"], RECORDS)
    path, wheels = folder / f"{module.params['name']}.json", folder / "wheels"
    after = json.dumps(module.params["record"], indent=2, sort_keys=True) + "\n"
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        changed = before != after or wheels.exists()
        if changed and not module.check_mode:
            folder.mkdir(mode=0o755, exist_ok=True)
            shutil.rmtree(wheels, ignore_errors=True)
            write(path, after, 0o644)
    except OSError as error:
        module.fail_json(msg=complaint(error))
    diff = {"before_header": str(path), "before": before, "after_header": str(path), "after": after}
    module.exit_json(changed=changed, path=str(path), diff=diff)


if __name__ == "__main__":
    main()
