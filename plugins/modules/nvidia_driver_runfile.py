#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_runfile
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Installs NVIDIA's driver by its own installer, verified
description:
  - Verifies the runfile by its SHA-256 sum, and that it holds the version that was meant. Then runs it without
    questions.
  - Nothing is done where the libraries of this version are there and the module for the running kernel is.
  - Whether packages or another runfile have a driver on the node already is not looked at here.
options:
  source:
    description: The runfile, as a URL or as a path on the node.
    type: str
    required: true
  checksum:
    description: Its SHA-256 sum, with or without C(sha256:) before it.
    type: str
    required: true
  version:
    description: The version that it holds.
    type: str
    required: true
  flavour:
    description: The kernel modules that are compiled.
    type: str
    choices: [open, proprietary]
    required: true
  timeout:
    description: Seconds that the installer may take.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Says whether the installer would run; downloads nothing.
    support: full
  diff_mode:
    description: Shows the version that was there and the one that comes.
    support: full
"""

EXAMPLES = r"""
- name: Install a driver from a mirror
  fromzero.deepspeed.nvidia_driver_runfile:
    source: http://mirror.example.com/NVIDIA-Linux-x86_64-580.95.05.run
    checksum: 9a57268b3f67b35c4ab11dafe33a819ae753ae680e9969edb905941e7c997ef6
    version: 580.95.05
    flavour: open
"""

RETURN = r"""
before:
  description: The version of the libraries that were there, null where none were.
  returned: success
  type: str
  sample: 535.54.03
"""

import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._driver.runfile import (
    RunfileError,
    Wish,
    install,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import driver as nvidia_driver
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host, programs


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "checksum": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "flavour": {"type": "str", "choices": ["open", "proprietary"], "required": True},
            "timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    timeout = given.pop("timeout")
    called = programs(module.get_bin_path, timeout)
    host = Host(Path("/"), called)
    before = nvidia_driver.library(host)[0]
    files = nvidia_driver.module_files(host)
    release = platform.release()
    built = nvidia_driver.module_facts(host, files[release]) if release in files else (None, None)
    changed = before != given["version"] or built != (given["version"], given["flavour"])
    if changed and not module.check_mode:
        try:
            install(Wish(**given), called, open_address)
        except (RunfileError, OSError) as error:
            module.fail_json(msg=str(error))
    texts = [f"driver {before or 'none'}\n", f"driver {given['version']}, {given['flavour']} modules, by runfile\n"]
    diff = {"before": texts[0], "after": texts[1]} if changed else {"before": texts[1], "after": texts[1]}
    module.exit_json(changed=changed, before=before, diff=diff)


if __name__ == "__main__":
    main()
