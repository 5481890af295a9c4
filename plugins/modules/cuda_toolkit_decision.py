#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_toolkit_decision
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: What requested CUDA toolkits take on a node, and whether they are proved there already
description:
  - Runs M(fromzero.deepspeed.cuda_toolkit_info) on the node and decides on the control node, by C(data/cuda.yml),
    C(data/cuda_repositories.yml) and C(data/gcc.yml).
  - Fails with one sentence for each reason why a toolkit cannot serve the node. It is not known, the driver is older
    than it needs, it does not compile for the GPUs, or no compiler that it accepts can be installed.
  - Needs the facts of C(gather_subset=min). Gathers those of M(fromzero.deepspeed.gpu_info) where they are missing.
options:
  versions:
    description: The toolkits, such as V(13.0), or V(13.0.3) where it must be that release, as text.
    type: list
    elements: raw
    required: true
  default:
    description: The one that programs get; it must compile for all GPUs of the node.
    type: str
    required: true
  prefix:
    description: The folder that holds the folders C(cuda-X.Y) of the toolkits.
    type: path
    required: true
  search:
    description: Further folders that may hold such folders.
    type: list
    elements: path
    default: []
  root:
    description: Whether root may be used on the node.
    type: bool
    default: true
  source:
    description: Where toolkits come from. V(auto) takes packages where root may be used and there is a repository.
    type: str
    choices: [auto, packages, runfile]
    default: auto
  packages:
    description: What is installed from the repository in place of C(cuda-toolkit-X-Y).
    type: list
    elements: str
    default: []
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
    description: The fingerprint of the key. V(auto) is that of NVIDIA's where there is no O(keyring_checksum).
    type: str
    default: auto
  runfiles:
    description: For each version its runfile, with C(source), C(checksum) and C(on_node).
    type: dict
    default: {}
  runfile_mirror:
    description: Where runfiles are found under C(<release>/local_installers).
    type: str
    default: https://developer.download.nvidia.com/compute/cuda
  compiler:
    description: Whether a gcc that the toolkit accepts is used, and installed where there is none.
    type: str
    choices: [auto, never]
    default: auto
  compiler_packages:
    description: What is installed where no compiler fits, in place of what the distribution offers.
    type: list
    elements: str
    default: []
  gcc:
    description: The greatest major version of gcc by the version of the toolkit, where it differs from what is known.
    type: dict
    default: {}
  architectures:
    description: Compute capabilities that each toolkit is proved for. Empty takes those of the node's GPUs.
    type: list
    elements: str
    default: []
  environments:
    description: Folders of conda environments, each with the version that it gets.
    type: dict
    default: {}
  user:
    description: The account whose profiles are read.
    type: str
    default: ""
  link:
    description: Whether O(link_path) leads to the default toolkit.
    type: bool
    default: true
  link_path:
    description: The system's own name for CUDA.
    type: path
    default: /usr/local/cuda
  profile_path:
    description: The profile that the caller writes, which is not read.
    type: path
    default: /etc/profile.d/fromzero-cuda.sh
  record:
    description: The file that has what was proved.
    type: path
    required: true
  driver_planned:
    description: Whether the driver is to be replaced, so that in check mode the present one is no reason to fail.
    type: bool
    default: false
  installed:
    description: Whether all was installed already, so that a toolkit that is not whole is a failure.
    type: bool
    default: false
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.decides
"""

EXAMPLES = r"""
- name: Decide what the toolkits take
  fromzero.deepspeed.cuda_toolkit_decision:
    versions: ["12.8", "13.0"]
    default: "13.0"
    prefix: /usr/local
    record: /opt/fromzero/etc/cuda_toolkit.json
  register: toolkits_of_the_node
"""

RETURN = r"""
due:
  description: Whether this has not been proved yet with what is installed.
  returned: success
  type: bool
toolkits:
  description: The toolkits, as M(fromzero.deepspeed.cuda_toolkit_info) returned them.
  returned: success
  type: list
  elements: dict
packages:
  description: What to install from O(repository_url).
  returned: success
  type: list
  elements: str
  sample: [cuda-toolkit-13-0]
repository:
  description: What M(fromzero.deepspeed.cuda_repository) takes (url, keyring, checksum, fingerprint).
  returned: success
  type: dict
runfiles:
  description:
    - What M(fromzero.deepspeed.cuda_runfile) takes for each toolkit that is missing (version, prefix, checksum, path).
    - C(source) is a path on the control node that has to be copied to C(path) before, or empty.
  returned: success
  type: list
  elements: dict
compiler_packages:
  description: What to install so that there is a compiler for each toolkit.
  returned: success
  type: list
  elements: str
  sample: [gcc-11, g++-11]
links:
  description: Links to toolkits that are elsewhere (src, dest), by their usual names.
  returned: success
  type: list
  elements: dict
default:
  description: The default toolkit (home, path), and what makes programs use its compiler (variables).
  returned: success
  type: dict
link:
  description: How O(link_path) is pointed at it, V(alternatives) or V(link), empty where nothing is to do.
  returned: success
  type: str
programs:
  description: What M(fromzero.deepspeed.cuda_compile) takes to prove each toolkit (home, architectures, cxx).
  returned: success
  type: list
  elements: dict
hooks:
  description: The environments that are there (environment), each with its toolkit (home, variables).
  returned: success
  type: list
  elements: dict
record:
  description: What O(record) has to hold once all is proved.
  returned: success
  type: dict
record_path:
  description: The path O(record).
  returned: success
  type: str
"""
