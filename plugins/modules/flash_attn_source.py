#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: flash_attn_source
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Where flash-attn comes from for an environment, the project's own wheel or a build
description:
  - Looks for the wheel that the project offers for the torch, its CUDA, its ABI and the Python of an environment, and
    fetches it to the control node. It is taken only where somebody says its sha256 sum, and that sum is right.
  - Where there is none, it returns the inputs of a build. Fails with a sentence where none can be built.
  - Runs on the control node alone. Run it once for all nodes.
options:
  environment:
    description: What M(fromzero.deepspeed.environment_info) returned, with C(torch) gathered.
    type: dict
    required: true
  version:
    description: The requested release. Empty takes the newest that has a wheel, else the one that is known to go with
      the torch.
    type: str
    default: ""
  prebuilt:
    description: Whether the project's own wheel is looked for.
    type: bool
    default: true
  wheels_url:
    description: Address below which the wheels lie as C(v<release>/<file>).
    type: str
    default: https://github.com/Dao-AILab/flash-attention/releases/download
  sums_url:
    description: Address that tells sha256 sums, as lines of C(sha256sum) or as GitHub describes a release. Empty asks
      nobody.
    type: str
    default: https://api.github.com/repos/Dao-AILab/flash-attention/releases/tags
  checksums:
    description: The sha256 sums of wheels, by the names of the files.
    type: dict
    default: {}
  architectures:
    description: Compute capabilities to build for. Empty takes those of the GPUs of all nodes of the play.
    type: list
    elements: str
    default: []
  artifacts:
    description: Folder on the control node that keeps the wheel.
    type: path
    required: true
attributes:
  check_mode:
    description: Fetches no wheel; what it would fetch is returned as C(finished).
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Find out where flash-attn comes from
  fromzero.deepspeed.flash_attn_source:
    environment: "{{ environment_of_training }}"
    artifacts: /srv/artifacts/wheels
  run_once: true
"""

RETURN = r"""
wheel:
  description: The wheel on the control node, for M(fromzero.deepspeed.wheel_delivery). Empty where it has to be built.
  returned: success
  type: dict
build:
  description: The inputs of a build, C(release), C(architectures) and C(memory) in GiB of a compiler. Empty where
    nothing is to be built.
  returned: success
  type: dict
  sample: {"release": "2.8.3", "architectures": ["80"], "memory": 9.0}
"""
