#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_runfile
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Installs a CUDA toolkit at a prefix from a verified runfile, or adopts what is there
description:
  - Runs NVIDIA's runfile for the toolkit alone, never for a driver, once its sha256 sum has been found right and its
    head shows that it is a runfile and whole.
  - A whole toolkit of the version that is at the prefix is adopted, whoever installed it.
  - An installation by this module that was cut off is removed and made again. What is no whole toolkit and of unknown
    origin is reported, neither used nor changed.
  - Nodes that share the prefix wait for each other, so it is installed once.
options:
  prefix:
    description: Folder of the toolkit, such as C(/usr/local/cuda-13.0).
    type: path
    required: true
  version:
    description: The release, such as V(13.0), or V(13.0.3) where it must be that one.
    type: str
    required: true
  runfile:
    description: Address of the runfile, or its path on the node. Needed where the toolkit is missing.
    type: str
    default: ''
  runfile_is_temporary:
    description: Remove the runfile afterwards, where it is a path on the node.
    type: bool
    default: false
  checksum:
    description: Its sha256 sum, or the address of a file that lists it. Needed where the toolkit is missing.
    type: str
    default: ''
  scratch:
    description:
      - Folder that the runfile is unpacked in, which takes as much room as the toolkit.
      - By default C(/tmp), or where that is too small or lets no program run, the folder of O(prefix).
    type: path
  timeout:
    description: Seconds after which the installer is stopped and what it made is removed.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Can run in check mode and say what would be done, without a download.
    support: full
  diff_mode:
    description: Shows the toolkit before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install a toolkit beside others, without root
  fromzero.deepspeed.cuda_runfile:
    prefix: /home/ann/fromzero/cuda-13.0
    version: "13.0"
    runfile: https://developer.download.nvidia.com/compute/cuda/13.0.3/local_installers/cuda_13.0.3_580.126.20_linux.run
    checksum: "{{ sum_of_the_runfile }}"
"""

RETURN = r"""
state:
  description: What was found, V(missing), V(present), V(busy) while another installer works, V(cut off).
  returned: success
  type: str
  sample: missing
version:
  description: The release that is there now, or in check mode would be.
  returned: success
  type: str
  sample: 13.0.3
nvcc:
  description: Version of the compiler, empty in check mode.
  returned: success
  type: str
  sample: 13.0.88
home:
  description: Folder of the toolkit.
  returned: success
  type: str
  sample: /usr/local/cuda-13.0
"""

import ctypes
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.runfile import Node, RunfileError, Wish, ensure
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import PRESENT, Toolkit
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run


def _install(argv: Sequence[str], extra: Mapping[str, str], timeout: float, files: Sequence[int]) -> Finished:
    try:
        return run(argv, "", {**os.environ, **extra}, timeout, files)
    except OSError as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _shown(toolkit: Toolkit) -> str:
    return f"{toolkit.prefix}: {toolkit.state} {toolkit.version}".rstrip() + "\n"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "runfile": {"type": "str", "default": ""},
            "runfile_is_temporary": {"type": "bool", "default": False},
            "checksum": {"type": "str", "default": ""},
            "scratch": {"type": "path"},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    given = module.params
    wish = Wish(
        prefix=Path(given["prefix"]),
        version=given["version"],
        runfile=given["runfile"],
        checksum=given["checksum"],
        scratch=Path(given["scratch"]) if given["scratch"] else None,
        timeout=given["timeout"],
    )
    node = Node(
        start=lambda argv, seconds: _install(argv, {}, seconds, ()),
        install=_install,
        fetch=open_address,
        loads=_loads,
        machine=platform.machine(),
        root=os.geteuid() == 0,
    )
    try:
        before, after = ensure(wish, node, module.check_mode)
    except RunfileError as error:
        module.fail_json(msg=str(error))
    finally:
        if given["runfile_is_temporary"] and not module.check_mode:
            with suppress(OSError):
                Path(given["runfile"]).unlink()
    module.exit_json(
        changed=before != after and before.state != PRESENT,
        state=before.state,
        version=after.version,
        nvcc=after.nvcc,
        home=str(wish.prefix),
        diff={"before": _shown(before), "after": _shown(after)},
    )


if __name__ == "__main__":
    main()
