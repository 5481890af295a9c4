#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_toolkit_info
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: The CUDA toolkits of a node, their compilers, and what leads to other ones
description:
  - Looks for toolkits of some versions at their folders and where else toolkits are installed, by packages, from a
    runfile or by hand, and asks each nvcc for its version.
  - Looks for a gcc that each toolkit accepts, for where C(/usr/local/cuda) leads, and for lines of profiles that set
    another CUDA, which it warns about.
options:
  toolkits:
    description:
      - The toolkits to look for, by their release, such as V(13.0), or V(13.0.3) where it must be that one, each with
        the greatest major version of gcc that it accepts, empty where any will do.
    type: dict
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
  default:
    description: The version that profiles should lead to. Lines that lead elsewhere are warned about.
    type: str
    default: ''
  link:
    description: The path that stands for the default toolkit of the system.
    type: path
    default: /usr/local/cuda
  environments:
    description: Folders of conda environments, which may hold a compiler.
    type: list
    elements: path
    default: []
  users:
    description: Accounts whose profiles are read.
    type: list
    elements: str
    default: []
  own_files:
    description: Profiles that are not looked at, since the caller writes them.
    type: list
    elements: path
    default: []
  record:
    description: A file of JSON that the caller keeps; its content is returned.
    type: path
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look for two toolkits
  fromzero.deepspeed.cuda_toolkit_info:
    prefix: /usr/local
    toolkits: {"12.4": "13", "13.0": "15"}
    default: "13.0"
    users: [trainer]
"""

RETURN = r"""
toolkits:
  description: The toolkits that were looked for, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: The release that was looked for.
      type: str
      sample: "13.0"
    home:
      description: The folder C(cuda-X.Y) below O(prefix), whether or not it is there.
      type: str
      sample: /usr/local/cuda-13.0
    at_home:
      description: Whether that folder is the toolkit, or leads to it.
      type: bool
      sample: true
    path:
      description: Where the toolkit really is; as RV(toolkits[].home) where it is nowhere.
      type: str
      sample: /usr/local/cuda-13.0
    state:
      description: V(present) where it is whole, else V(missing), V(busy), V(cut off), V(broken), V(occupied).
      type: str
      sample: present
    reason:
      description: Why it is not whole, as a part of a sentence.
      type: str
      sample: it has no bin/nvcc
    release:
      description: The release as the toolkit names it.
      type: str
      sample: 13.0.3
    nvcc:
      description: The version of its compiler.
      type: str
      sample: 13.0.88
    compiler:
      description: The gcc that it works with (cc, cxx, version, default), null where the node has none.
      type: dict
      sample: {cc: /usr/bin/gcc, cxx: /usr/bin/g++, version: 12.2.0, default: true}
    variables:
      description: What makes programs use that compiler; empty where they do by themselves.
      type: dict
      sample: {}
compilers:
  description: Every gcc of the node that has its g++, the default first.
  returned: success
  type: list
  elements: dict
  sample: [{cc: /usr/bin/gcc, cxx: /usr/bin/g++, version: 12.2.0, default: true}]
link:
  description:
    - What O(link) is (kind, one of V(missing), V(link), V(alternatives), V(folder)), where it leads (target), and
      what the alternatives offer (choices).
  returned: success
  type: dict
  sample: {kind: alternatives, target: /usr/local/cuda-13.0, choices: [/usr/local/cuda-13.0]}
environments:
  description: Those of O(environments) that are there.
  returned: success
  type: list
  elements: str
  sample: [/opt/fromzero/envs/train]
profile_lines:
  description: Lines of profiles that set another CUDA (file, number, text, toolkits).
  returned: success
  type: list
  elements: dict
  sample:
    - file: /home/ann/.bashrc
      number: 12
      text: export CUDA_HOME=/usr/local/cuda-11.4
      toolkits: [/usr/local/cuda-11.4]
record:
  description: What O(record) holds, null where it is not there or no JSON.
  returned: success
  type: raw
"""

import json
import os
import pwd
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda import compilers
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.profiles import Line, search
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.search import default_link, find, names
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run


def _start(argv: Sequence[str], timeout: float) -> Finished:
    try:
        return run(argv, "", os.environ, timeout)
    except OSError as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")


def _record(path: str | None) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None


def _homes(users: Sequence[str]) -> list[Path]:
    """The homes of those accounts that are there."""
    homes = []
    for user in users:
        try:
            homes.append(Path(pwd.getpwnam(user).pw_dir))
        except KeyError:
            continue
    return homes


def _warning(line: Line, default: str) -> str:
    return (
        f"{line.file}, line {line.number}, sets another CUDA ({', '.join(line.toolkits)}) than {default}: "
        f"'{line.text}'. It was not changed; remove it, or programs may find the other one first."
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "toolkits": {"type": "dict", "required": True},
            "prefix": {"type": "path", "required": True},
            "search": {"type": "list", "elements": "path", "default": []},
            "default": {"type": "str", "default": ""},
            "link": {"type": "path", "default": "/usr/local/cuda"},
            "environments": {"type": "list", "elements": "path", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "own_files": {"type": "list", "elements": "path", "default": []},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    folders = [Path(path) for path in (given["prefix"], *given["search"])]
    environments = [path for path in map(Path, given["environments"]) if (path / "conda-meta").is_dir()]
    gccs = compilers.find(os.environ.get("PATH", "").split(":"), environments, _start)
    link = default_link(Path(given["link"]))
    toolkits = []
    for version, greatest in given["toolkits"].items():
        home, found = find(version, folders, _start)
        chosen = compilers.choose(gccs, str(greatest))
        toolkits.append(
            {
                "version": version,
                "home": str(home),
                "at_home": home.resolve() == found.prefix,
                "path": str(found.prefix),
                "state": found.state,
                "reason": found.reason,
                "release": found.version,
                "nvcc": found.nvcc,
                "compiler": asdict(chosen) if chosen else None,
                "variables": compilers.variables(chosen),
            }
        )
    default = next((each for each in toolkits if each["version"] == given["default"]), None)
    lines: list[Line] = []
    if default:
        wished = names([Path(default["home"]), Path(default["path"])], link, Path(given["link"]))
        lines = search(_homes(given["users"]), wished, given["own_files"])
        for line in lines:
            module.warn(_warning(line, default["home"]))
    module.exit_json(
        changed=False,
        toolkits=toolkits,
        compilers=[asdict(each) for each in gccs],
        link=asdict(link),
        environments=[str(path) for path in environments],
        profile_lines=[asdict(line) for line in lines],
        record=_record(given["record"]),
    )


if __name__ == "__main__":
    main()
