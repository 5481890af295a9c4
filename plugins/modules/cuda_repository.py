#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_repository
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: NVIDIA's package repository on a node
description:
  - Makes apt or dnf use NVIDIA's repository, or a mirror of it, and trust nothing but its key for it.
  - Other entries for the same packages are taken out of use, as are NVIDIA's keys that apt would trust for every
    source. They would bring C(Conflicting values set for Signed-By), or ask a host that the node does not reach. What
    somebody else has written is kept as a copy beside it.
  - Then the lists of this one repository are fetched. Where that fails, everything is as it was before.
  - Proxies and certificate authorities are those of the system.
options:
  url:
    description:
      - The repository, the folder in which C(Packages) or C(repodata) lies, such as
        V(https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64).
    type: str
    required: true
  keyring:
    description:
      - The key that signs it, as a URL or as a path on the node. For apt it is the package C(cuda-keyring), which gets
        installed, or a key; for dnf a key. Keys may be armored.
    type: str
    required: true
  checksum:
    description: The SHA-256 sum of what O(keyring) names, with or without V(sha256:) before it.
    type: str
    default: ""
  fingerprint:
    description: The fingerprint that the key must have, all of its digits.
    type: str
    default: ""
  name:
    description:
      - What the files on the node are called, C(/etc/apt/sources.list.d/NAME.sources) or C(/etc/yum.repos.d/NAME.repo).
    type: str
    default: cuda
  priority:
    description:
      - Priority of its packages over those of other repositories, as in apt_preferences(5), or the C(priority) of dnf.
        By default that of any other repository.
    type: int
  check_metadata:
    description: Let dnf check the signature of the lists beside that of each package. apt always does.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another package manager to end.
    type: int
    default: 300
  timeout:
    description: Seconds after which a package manager that does not end is stopped.
    type: int
    default: 600
  manager:
    description: The package manager. V(auto) is dnf on the RHEL family, and elsewhere apt.
    type: str
    choices: [auto, apt, dnf]
    default: auto
attributes:
  check_mode:
    description: Says which files would change. Neither key nor lists are fetched then.
    support: full
  diff_mode:
    description: Shows each file that changes.
    support: full
"""

EXAMPLES = r"""
- name: Use NVIDIA's repository for Debian 12
  fromzero.deepspeed.cuda_repository:
    url: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64
    keyring: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb

- name: Use a mirror in the site's own network
  fromzero.deepspeed.cuda_repository:
    url: http://mirror.example.com/nvidia/rhel9/x86_64
    keyring: http://mirror.example.com/nvidia/rhel9/x86_64/D42D0685.pub
    fingerprint: 610C 7B14 E068 A878 070D  A4E9 9CD0 A493 D42D 0685
"""

RETURN = r"""
fingerprints:
  description:
    - The fingerprints of the keys that are trusted for this repository; in check mode of those that are there already.
  returned: success
  type: list
  elements: str
  sample: [EB693B3035CD5710E231E123A4B469633BF863CC]
disabled:
  description: Files whose entries or keys were taken out of use.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/sources.list.d/cuda-ubuntu2204-x86_64.list]
backups:
  description: Copies of what somebody else had written.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import Journal
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, local_path, reading
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository import (
    RepositoryError,
    Wish,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository_apt import AptRepository
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.repository_dnf import DnfRepository
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError, uses_dnf

_OWN_OPTIONS = ("lock_timeout", "timeout", "manager")


_WORDS = Words(
    what="keyring",
    checksum="its checksum",
    elsewhere="name a mirror of the keyring, or a file on this node",
    fail=RepositoryError,
    name="keyring",
)


def _fetch(place: str) -> bytes:
    local = local_path(place)
    if local is None:
        with reading(place, open_address, _WORDS.elsewhere, _WORDS) as source:
            return source.read()
    try:
        return local.read_bytes()
    except OSError as error:
        raise RepositoryError(f"The keyring {local} cannot be read on this node: {error.strerror}.") from error


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "keyring": {"type": "str", "required": True, "no_log": False},
            "checksum": {"type": "str", "default": ""},
            "fingerprint": {"type": "str", "default": ""},
            "name": {"type": "str", "default": "cuda"},
            "priority": {"type": "int"},
            "check_metadata": {"type": "bool", "default": False},
            "lock_timeout": {"type": "int", "default": 300},
            "timeout": {"type": "int", "default": 600},
            "manager": {"type": "str", "choices": ["auto", "apt", "dnf"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    wish = Wish(**{name: value for name, value in module.params.items() if name not in _OWN_OPTIONS})
    bounds = module.params["lock_timeout"], module.params["timeout"]
    journal = Journal(module.check_mode)
    try:
        outcome = (
            DnfRepository(Dnf(run, os.environ, *bounds), wish, journal, _fetch)
            if uses_dnf(module.params["manager"])
            else AptRepository(Apt(run, os.environ, *bounds), wish, journal, _fetch)
        ).bring()
    except (ToolError, RepositoryError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=complaint(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        changed=outcome.changed,
        diff=outcome.diff,
        fingerprints=outcome.fingerprints,
        disabled=outcome.disabled,
        backups=outcome.backups,
    )


if __name__ == "__main__":
    main()
