#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: conda_installation
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Installs conda at a prefix from a verified installer, or adopts what is there
description:
  - Runs an installer of Miniforge, Miniconda or Anaconda in batch mode, once its sha256 sum has been found right.
  - A working conda that this module did not install is adopted and left exactly as it is.
  - An installation that an installer of this module left half made is moved aside and made again. One of unknown origin
    that does not work is reported, neither used nor changed.
  - Nodes that share the prefix wait for each other, so it is installed once.
options:
  prefix:
    description: Folder of the installation.
    type: path
    required: true
  distribution:
    description: What the installer holds; V(existing) installs nothing and wants a working conda at O(prefix).
    type: str
    choices: [miniforge, miniconda, anaconda, existing]
    default: miniforge
  installer:
    description:
      - Address of the installer, or its path on the node. Needed where conda is missing.
      - A download lies in the cache of the account, C(~/.cache/fromzero), for as long as it is needed.
    type: str
    default: ''
  installer_is_temporary:
    description: Remove the installer afterwards, where it is a path on the node.
    type: bool
    default: false
  checksum:
    description: The sha256 sum of the installer, or the address of a file that lists it. Needed where conda is missing.
    type: str
    default: ''
  channels:
    description: The channels that conda will use; those of Anaconda need O(accept_anaconda_terms).
    type: list
    elements: str
    default: []
  accept_anaconda_terms:
    description:
      - Whether you accept the terms of Anaconda, which bind users of Miniconda, Anaconda and its channels. Without it
        they are refused before anything changes.
    type: bool
    default: false
  condarc:
    description:
      - Content of C(.condarc) at the prefix. A file that differs is kept as a backup. Empty leaves it alone, and so
        does an installation that was adopted.
    type: str
    default: ''
  timeout:
    description: Seconds after which the installer is stopped and what it made is removed.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Can run in check mode and say what would be done, without a download.
    support: full
  diff_mode:
    description: Shows the installation and its configuration before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install Miniforge
  fromzero.deepspeed.conda_installation:
    prefix: /opt/fromzero/conda
    installer: "{{ miniforge }}/26.3.2-3/Miniforge3-26.3.2-3-Linux-x86_64.sh"
    checksum: "{{ miniforge }}/26.3.2-3/Miniforge3-26.3.2-3-Linux-x86_64.sh.sha256"
  vars:
    miniforge: https://github.com/conda-forge/miniforge/releases/download

- name: Make sure that the site's own conda works
  fromzero.deepspeed.conda_installation:
    prefix: /usr/local/miniconda3
    distribution: existing
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode, V(install), V(configure) or V(none).
  returned: success
  type: str
  sample: install
state:
  description: What was found, V(missing), V(present), V(busy) while another installer works, V(cut off).
  returned: success
  type: str
  sample: missing
version:
  description: Version of conda, empty where it is not installed yet.
  returned: success
  type: str
  sample: 26.3.2
conda:
  description: Path of the executable.
  returned: success
  type: str
  sample: /opt/fromzero/conda/bin/conda
adopted:
  description: Whether the installation is somebody else's and therefore left as it is.
  returned: success
  type: bool
  sample: false
moved_to:
  description: Where an installation that was cut off has been moved to, if it holds environments and so stays there.
  returned: success
  type: str
  sample: ''
backup_file:
  description: The former configuration, where it was replaced.
  returned: when a file was replaced
  type: str
  sample: /opt/fromzero/conda/.condarc.4711.2026-11-21@02:00:00~
"""

from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.installation import (
    PRESENT,
    Found,
    Outcome,
    Wish,
    ensure,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import CondaError, starter
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "distribution": {
                "type": "str",
                "choices": ["miniforge", "miniconda", "anaconda", "existing"],
                "default": "miniforge",
            },
            "installer": {"type": "str", "default": ""},
            "installer_is_temporary": {"type": "bool", "default": False},
            "checksum": {"type": "str", "default": ""},
            "channels": {"type": "list", "elements": "str", "default": []},
            "accept_anaconda_terms": {"type": "bool", "default": False},
            "condarc": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    given = module.params
    wish = Wish(
        prefix=Path(given["prefix"]),
        distribution=given["distribution"],
        installer=given["installer"],
        checksum=given["checksum"],
        channels=tuple(given["channels"]),
        accept_anaconda_terms=given["accept_anaconda_terms"],
        condarc=given["condarc"],
        timeout=given["timeout"],
    )
    try:
        outcome = ensure(
            wish,
            lambda files: starter({}, files),
            open_address,
            module.backup_local,
            module.check_mode,
        )
    except CondaError as error:
        module.fail_json(msg=str(error))
    finally:
        if given["installer_is_temporary"] and not module.check_mode:
            with suppress(OSError):
                Path(given["installer"]).unlink()
    module.exit_json(**_result(wish, outcome))


def _result(wish: Wish, outcome: Outcome) -> dict[str, object]:
    result: dict[str, object] = {
        "changed": outcome.changed,
        "action": outcome.action,
        "state": outcome.before.state,
        "version": outcome.after.version,
        "conda": str(wish.conda),
        "adopted": not outcome.after.ours,
        "moved_to": outcome.moved_to,
        "diff": {"before": _shown(wish, outcome.before), "after": _shown(wish, outcome.after)},
    }
    return {**result, "backup_file": outcome.backup} if outcome.backup else result


def _shown(wish: Wish, found: Found) -> str:
    if found.state != PRESENT:
        return f"{wish.prefix}: {found.state}\n"
    return f"{wish.prefix}: conda {found.version}".rstrip() + f"\n# .condarc\n{found.condarc}"


if __name__ == "__main__":
    main()
