#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: wheel_delivery
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Copy a wheel that was built elsewhere to a node
description:
  - Refuses a wheel that cannot be used on the node, because of its architecture, its C library, its processor, its
    Python or its torch, before anything is moved.
  - The wheel comes from the depot where there is one, else from the control node, and its sha256 sum is checked.
  - An action runs on the control node and calls the module of the same name.
options:
  wheel:
    description:
      - What M(fromzero.deepspeed.wheel_build) returned as RV(fromzero.deepspeed.wheel_build#module:wheel).
      - Empty does nothing.
    type: dict
    default: {}
  file:
    description:
      - The path of a wheel on the control node, which takes the place of O(wheel). It is copied from there also where
        there is a depot, and nothing is known of what it needs.
    type: str
    default: ""
    version_added: 0.4.0
  prefix:
    description: Folder of the environment that it is for.
    type: path
    required: true
  dest:
    description: Folder on the node that gets the wheel. It is made where it is missing.
    type: path
    required: true
  depot_url:
    description:
      - Address at which the depot serves its files, the wheel as C(wheels/<key>/<filename>) below it.
      - Empty takes the wheel from the control node.
    type: str
    default: ""
  source:
    description: Where the action has put the wheel on the node.
    type: path
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and say whether a wheel would be brought.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
"""

EXAMPLES = r"""
- name: Bring the wheel to every node
  fromzero.deepspeed.wheel_delivery:
    wheel: "{{ built.wheel }}"
    prefix: /opt/fromzero/envs/train
    dest: /opt/fromzero/envs/train/.fromzero/wheels
  register: delivered
"""

RETURN = r"""
path:
  description: Where the wheel is on the node; empty where there is none.
  returned: success
  type: str
  sample: /opt/fromzero/envs/train/.fromzero/wheels/apex-0.1-cp311-cp311-linux_x86_64.whl
present:
  description: Whether it is there.
  returned: success
  type: bool
  sample: true
"""

import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.compatibility import Here, problems
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, sum_of, verified
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.facts import glibc
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.processor import instructions
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import EnvironmentMissing, ask


class DeliveryError(RuntimeError):
    """The wheel cannot be had or used; the text is a sentence for the user."""


def _here(prefix: str) -> Here:
    found = ask(run, prefix, ["packages"], os.environ).facts["packages"]
    return Here(
        machine=found["machine"],
        glibc=glibc(os.confstr),
        python=found["python"],
        torch=found["packages"].get("torch", ("", ""))[1],
        instructions=instructions(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")),
    )


def _bring(wheel: dict[str, Any], source: str, target: Path) -> None:
    words = Words(
        what="wheel",
        checksum="the sum in what was built",
        elsewhere="see that the depot serves what the run puts there (cluster_depot_url, cluster_depot_folder)",
        fail=DeliveryError,
        name=wheel["filename"],
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with verified(source, wheel["sha256"], open_address, words, folder=target.parent) as file:
        draft = target.with_name(f".{target.name}")
        shutil.copyfile(file, draft)
        draft.replace(target)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "wheel": {"type": "dict", "default": {}},
            "file": {"type": "str", "default": ""},
            "prefix": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "depot_url": {"type": "str", "default": ""},
            "source": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    wheel = given["wheel"]
    if not wheel:
        module.exit_json(changed=True, path="", present=False)
    target = Path(given["dest"], wheel["filename"])
    try:
        found = problems(wheel, _here(given["prefix"])) if "needs" in wheel else []
        if found:
            raise DeliveryError(" ".join(found))
        present = target.is_file() and sum_of(target) == wheel["sha256"]
        changed = not present
        depot = (
            f"{given['depot_url'].rstrip('/')}/wheels/{wheel['key']}/{wheel['filename']}" if given["depot_url"] else ""
        )
        source = given["source"] or depot
        if changed and source and not module.check_mode:
            _bring(wheel, source, target)
            present = True
        module.exit_json(changed=changed, path=str(target), present=present)
    except EnvironmentMissing as error:
        if module.check_mode:
            module.exit_json(changed=True, path=str(target), present=False)
        module.fail_json(msg=str(error))
    except DeliveryError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{given['dest']} cannot take the wheel: {error}.")


if __name__ == "__main__":
    main()
