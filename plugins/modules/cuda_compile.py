#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_compile
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Proves that a CUDA toolkit compiles for some GPU architectures
description:
  - Compiles and links a small program by nvcc in a temporary folder, and reads from the result which architectures it
    has machine code for. Needs no GPU and no driver.
options:
  home:
    description: Folder of the toolkit.
    type: path
    required: true
  architectures:
    description: Compute capabilities, such as V(8.0). Without one, what nvcc compiles for by itself.
    type: list
    elements: str
    default: []
  cxx:
    description: The C++ compiler for the host's part. By default the one that nvcc finds.
    type: str
    default: ''
  timeout:
    description: Seconds after which nvcc is stopped.
    type: int
    default: 300
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Prove a toolkit for V100 and A100
  fromzero.deepspeed.cuda_compile:
    home: /usr/local/cuda-12.8
    architectures: ["7.0", "8.0"]
"""

RETURN = r"""
architectures:
  description: The compute capabilities that the program has machine code for.
  returned: success
  type: list
  elements: str
  sample: ["7.0", "8.0"]
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.proof import Proof, ProofError, prove
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run


def _compile(argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Finished:
    try:
        return run(argv, "", {**os.environ, **extra}, timeout)
    except OSError as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "architectures": {"type": "list", "elements": "str", "default": []},
            "cxx": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    given = module.params
    proof = Proof(Path(given["home"]), tuple(given["architectures"]), given["cxx"], given["timeout"])
    try:
        architectures = prove(proof, _compile)
    except (ProofError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, architectures=architectures)


if __name__ == "__main__":
    main()
