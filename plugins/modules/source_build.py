#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: source_build
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Build a release tarball with configure and make, once
description:
  - Verifies a tarball, runs C(configure), C(make), C(make install), and records the checksum and the flags in the
    prefix. As long as these stay the same nothing is done, and no file but the record is read.
  - Needs no root where the prefix belongs to the account.
options:
  name:
    description: What is built, for messages and for the record (C(share/NAME/build.json) in O(prefix)).
    type: str
    required: true
  source:
    description: The tarball, as a URL or as a path on the node.
    type: str
    required: true
  checksum:
    description: The SHA-256 sum of the tarball, with or without C(sha256:) before it.
    type: str
    required: true
  prefix:
    description: Where it is installed.
    type: path
    required: true
  configure:
    description: The flags of C(configure), beside the prefix.
    type: list
    elements: str
    default: []
  needs:
    description: The commands that the build calls, checked before anything is fetched.
    type: list
    elements: str
    default: [cc, make]
  timeout:
    description: Seconds that the download may take to begin, and to go on after a pause.
    type: int
    default: 60
attributes:
  check_mode:
    description: Says whether it would build; downloads nothing.
    support: full
  diff_mode:
    description: Shows the record as it was and as it is.
    support: full
"""

EXAMPLES = r"""
- name: Build pdsh into a user's own folder
  fromzero.deepspeed.source_build:
    name: pdsh
    source: https://github.com/chaos/pdsh/releases/download/pdsh-2.34/pdsh-2.34.tar.gz
    checksum: b47b3e4662736ef44b6fe86e3d380f95e591863e69163aa0592e9f9f618521e9
    prefix: /home/ada/fromzero
    configure: [--with-ssh, --without-rsh]
"""

RETURN = r"""
stamp_path:
  description: Where the record of the build is.
  returned: success
  type: str
  sample: /home/ada/fromzero/share/pdsh/build.json
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.autotools import (
    BuildError,
    Recipe,
    build,
    built,
    require,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, digits_of, verified

WORDS = Words(
    what="tarball",
    checksum="its checksum",
    elsewhere="give a URL or a file that this node reaches",
    fail=BuildError,
    name="source.tar",
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "checksum": {"type": "str", "required": True},
            "prefix": {"type": "path", "required": True},
            "configure": {"type": "list", "elements": "str", "default": []},
            "needs": {"type": "list", "elements": "str", "default": ["cc", "make"]},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params

    def run(command: Sequence[str], folder: Path) -> tuple[int, str]:
        code, output, errors = module.run_command(list(command), cwd=str(folder))
        return int(code), f"{output}\n{errors}"

    def fetch(address: str) -> IO[bytes]:
        return open_address(address, given["timeout"])

    recipe = Recipe(given["name"], digits_of(given["checksum"]), Path(given["prefix"]), given["configure"])
    if not recipe.checksum:
        module.fail_json(msg=f"The checksum {given['checksum']!r} is no SHA-256 sum; give its 64 hexadecimal digits.")
    before = built(recipe)
    changed = before != recipe.stamp
    try:
        if changed and not module.check_mode:
            require(recipe.name, given["needs"])
            with tempfile.TemporaryDirectory(dir=module.tmpdir) as name:
                scratch = Path(name)
                with verified(given["source"], recipe.checksum, fetch, WORDS, folder=scratch) as tarball:
                    build(recipe, tarball, run, scratch, os.cpu_count() or 1)
    except (BuildError, OSError) as error:
        module.fail_json(msg=str(error))
    header = str(recipe.stamp_path)
    diff = {"before_header": header, "before": before, "after_header": header, "after": recipe.stamp}
    module.exit_json(changed=changed, stamp_path=header, diff=diff)


if __name__ == "__main__":
    main()
