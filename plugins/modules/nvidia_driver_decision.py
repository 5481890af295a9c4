#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: What has to happen to a node's NVIDIA driver, with its reason and its packages
description:
  - Compares what a node has with what is requested. A sufficient driver is left alone. Otherwise the packages are
    chosen by distribution, source, branch, kernel modules and Secure Boot (C(data/driver_packages.yml),
    C(data/drivers.yml)).
  - Fails with one sentence for each reason why the request cannot be met.
  - Needs the facts of C(gather_subset=min). Gathers those of M(fromzero.deepspeed.gpu_info) where they are missing.
options:
  manage:
    description: Whether the driver may be changed. If not, an insufficient one is a failure.
    type: bool
    default: true
  branch:
    description: The branch, such as V(580). Empty takes any branch that serves the GPUs.
    type: str
    default: ""
  version:
    description: One version, such as V(580.95.05). Empty takes the newest of the branch.
    type: str
    default: ""
  least:
    description: The oldest sufficient version. One of another branch than O(branch) does not count.
    type: str
    default: ""
  flavour:
    description: The kernel modules. V(auto) takes those that NVIDIA's own packages take for the GPUs.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  source:
    description: Where a driver comes from.
    type: str
    choices: [auto, cuda_repository, distribution, runfile]
    default: auto
  packages:
    description: What is installed in place of the packages that C(data/driver_packages.yml) names.
    type: list
    elements: str
    default: []
  fabric_manager:
    description: Whether NVIDIA's fabric manager runs. V(auto) goes by NVSwitches.
    type: str
    choices: [auto, always, never]
    default: auto
  own_key:
    description: Whether the firmware knows the key with which DKMS signs on the node.
    type: bool
    default: false
  remove_runfile:
    description: Whether a driver that NVIDIA's installer has left may be uninstalled before packages are installed.
    type: bool
    default: false
  runfile:
    description: NVIDIA's installer, as a URL or a path.
    type: str
    default: ""
  runfile_checksum:
    description: The SHA-256 sum of O(runfile).
    type: str
    default: ""
  runfile_on_node:
    description: Whether the path is one on the node.
    type: bool
    default: false
  persistence:
    description: Whether C(nvidia-persistenced) runs.
    type: bool
    default: true
  repository_url:
    description: A repository in place of NVIDIA's own for the system.
    type: str
    default: ""
  keyring_url:
    description: Its key. Empty is the one beside its packages.
    type: str
    default: ""
  keyring_checksum:
    description: The SHA-256 sum of what O(keyring_url) names.
    type: str
    default: ""
  keyring_fingerprint:
    description: The fingerprint of the key. V(auto) is that of NVIDIA where there is no O(keyring_checksum).
    type: str
    default: auto
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide what happens to the driver
  fromzero.deepspeed.nvidia_driver_decision:
    branch: "580"
  register: driver_of_the_node

- name: Report why
  ansible.builtin.debug:
    msg: "{{ driver_of_the_node.reason }}"
"""

RETURN = r"""
action:
  description: V(none), V(reload) for the kernel module alone, or V(install).
  returned: success
  type: str
  sample: install
reason:
  description: Why, in sentences.
  returned: success
  type: str
source:
  description: V(cuda_repository), V(distribution) or V(runfile), empty if nothing is installed.
  returned: success
  type: str
branch:
  description: The branch that is installed.
  returned: success
  type: str
version:
  description: The version that is installed, empty for the newest of the branch.
  returned: success
  type: str
flavour:
  description: The kernel modules that are installed.
  returned: success
  type: str
headers:
  description: Packages with the headers of the running kernel, where they are missing.
  returned: success
  type: list
  elements: str
install:
  description: Packages with their versions, in the words of apt.
  returned: success
  type: list
  elements: str
  sample: [nvidia-open=580.*]
remove:
  description: Packages that cannot stay beside them.
  returned: success
  type: list
  elements: str
uninstall:
  description: The version of the driver that NVIDIA's installer has left, and that goes first.
  returned: success
  type: str
streams:
  description: Module streams of dnf that are enabled before.
  returned: success
  type: list
  elements: str
pins:
  description: Pins of apt that keep the packages to the branch or the version.
  returned: success
  type: list
  elements: dict
services:
  description: Units that run beside the driver.
  returned: success
  type: list
  elements: str
gpus:
  description: How many GPUs there must be afterwards.
  returned: success
  type: int
repository:
  description: What M(fromzero.deepspeed.cuda_repository) takes (url, keyring, checksum, fingerprint).
  returned: success
  type: dict
runfile:
  description: The URL of the runfile, or its path on the node.
  returned: success
  type: str
runfile_copied:
  description: Whether the runfile has to be copied from the control node to that path before.
  returned: success
  type: bool
request:
  description: What was requested, for M(fromzero.deepspeed.nvidia_driver_proof).
  returned: success
  type: dict
controller_boot_id:
  description: The boot id of the control node. A node that has the same is the control node.
  returned: success
  type: str
ansible_facts:
  description: The facts of M(fromzero.deepspeed.gpu_info).
  returned: success
  type: dict
"""
