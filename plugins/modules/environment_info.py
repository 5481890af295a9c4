#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_info
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: What is in a Python environment, from torch down to DeepSpeed's ops
description:
  - Asks the interpreter of an environment what is installed and what of it works.
  - Never fails because something is missing or broken. A missing environment gives RV(exists=false), a library that
    does not import gives a sentence in RV(errors).
  - Packages are read without importing them, in a few hundredths of a second. The other depths import what they look
    at, which costs seconds; ask for them where the answer is needed.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  gather:
    description:
      - How deep to look. V(packages) is always included.
      - V(torch) imports torch. V(torchvision) and V(torchaudio) import these; what is wrong is in RV(errors).
      - V(deepspeed) imports DeepSpeed, reads its C(ds_report) and loads each op that is built in, in a process of its
        own. Nothing is compiled. V(apex) imports each compiled extension of apex.
    type: list
    elements: str
    choices: [packages, torch, torchvision, torchaudio, deepspeed, apex]
    default: [packages, torch, deepspeed, apex]
  accelerator:
    description:
      - The accelerator that DeepSpeed is asked about. An op counts as installed only for the accelerator that it was
        built for.
      - V(auto) leaves the choice to DeepSpeed, which takes the CPU on a node without a GPU.
    type: str
    choices: [auto, cuda, rocm, cpu]
    default: auto
  timeout:
    description: Seconds after which an import counts as hanging.
    type: int
    default: 120
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the packages only
  fromzero.deepspeed.environment_info:
    prefix: /opt/fromzero/envs/train
    gather: [packages]
  register: environment_of_training

- name: Look at torch and DeepSpeed
  fromzero.deepspeed.environment_info:
    prefix: /opt/fromzero/envs/train
    gather: [torch, deepspeed]
    accelerator: cpu
  register: environment_of_training
"""

RETURN = r"""
exists:
  description: Whether the prefix holds a Python that runs.
  returned: always
  type: bool
  sample: true
prefix:
  description: The folder that was looked at.
  returned: always
  type: str
  sample: /opt/fromzero/envs/train
python:
  description: Version of Python, empty where there is none.
  returned: always
  type: str
  sample: 3.11.2
machine:
  description: Architecture of the node.
  returned: always
  type: str
  sample: x86_64
headers:
  description: Whether the headers of this Python are there, which every compiled extension needs.
  returned: always
  type: bool
  sample: true
packages:
  description:
    - Versions by normalised name. Where the metadata name only the public version, as wheels of torch from PyPI do, and
      the package itself names its build, the version is the one with the build.
  returned: always
  type: dict
  sample: {"torch": "2.13.0+cpu", "typing-extensions": "4.16.0"}
records:
  description: What roles of this collection wrote down in the environment once they had proved their part.
  returned: always
  type: dict
  sample: {}
torch:
  description: Empty where torch was not asked for, is not installed or does not import.
  returned: always
  type: dict
  contains:
    version: {description: The value of torch.__version__., type: str, returned: when torch imports}
    cuda: {description: CUDA that torch was built with., type: str, returned: when torch imports}
    hip: {description: ROCm that torch was built with., type: str, returned: when torch imports}
    nccl: {description: Version of NCCL., type: str, returned: when torch imports}
    arch_list: {description: Targets in the build., type: list, elements: str, returned: when torch imports}
    cxx11_abi: {description: Whether it has the C++11 ABI., type: bool, returned: when torch imports}
  sample: {"version": "2.13.0+cu130", "cuda": "13.0", "hip": null, "nccl": "2.29.7",
           "arch_list": ["sm_75", "sm_80"], "cxx11_abi": true}
deepspeed:
  description: Empty where DeepSpeed was not asked for, is not installed or does not import.
  returned: always
  type: dict
  contains:
    version: {description: Version of DeepSpeed., type: str, returned: when DeepSpeed imports}
    path: {description: Folder of the package., type: str, returned: when DeepSpeed imports}
    accelerator: {description: The accelerator that the answer is about., type: str, returned: when DeepSpeed imports}
    built_for: {description: The accelerator that it was built for., type: str, returned: when DeepSpeed imports}
    built_with: {description: The torch and CUDA that it was built with., type: dict, returned: when DeepSpeed imports}
    installed_ops: {description: Ops it was built with., type: list, elements: str, returned: when DeepSpeed imports}
    compiles_at_start:
      description: Ops that the first training run has to compile, for which the node needs a compiler.
      type: list
      elements: str
      returned: when DeepSpeed imports
    ops:
      description:
        - The table of C(ds_report), by name of op. C(installed) and C(compatible) as printed there, C(switch) the
          variable that builds the op at installation, C(remarks) what DeepSpeed says the op is missing.
      type: dict
      returned: when DeepSpeed imports
    loads:
      description:
        - For each op that is built in for this accelerator why it cannot be loaded, or null where it loads. An op that
          is built in and does not load ends the run that uses it; DeepSpeed does not compile it then.
      type: dict
      returned: when DeepSpeed imports
      version_added: 0.4.0
  sample:
    version: 0.19.8
    loads: {"deepspeed_shm_comm": null}
    ops:
      async_io:
        installed: false
        compatible: false
        switch: DS_BUILD_AIO
        remarks: ["async_io: please install the libaio-dev package with apt"]
apex:
  description: Empty where apex was not asked for, is not installed or does not import.
  returned: always
  type: dict
  contains:
    version: {description: Version of apex., type: str, returned: when apex imports}
    extensions:
      description: For each compiled extension why it does not import, or null where it does.
      type: dict
      returned: when apex imports
  sample: {"version": "0.1", "extensions": {"amp_C": null}}
errors:
  description: One sentence for each thing that was asked for and is missing or broken.
  returned: always
  type: list
  elements: str
  sample: ["deepspeed is not installed in /opt/fromzero/envs/train."]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import (
    SECTIONS,
    USUAL,
    describe,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "gather": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": list(USUAL)},
            "accelerator": {"type": "str", "choices": ["auto", "cuda", "rocm", "cpu"], "default": "auto"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **describe(run, environment=os.environ, **module.params))


if __name__ == "__main__":
    main()
