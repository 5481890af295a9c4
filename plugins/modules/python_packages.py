#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: python_packages
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Exact versions of packages in a Python environment, by uv or pip
description:
  - Installs packages into an environment that exists, and does nothing where the installed versions satisfy what is
    asked for. To find that out takes a fraction of a second and neither network nor installer.
  - What matches already is never replaced, also not while something else is installed.
  - Indexes and folders that the node is configured with keep serving; what a task names comes on top. Because uv does
    not read pip's configuration (C(pip.conf), C(PIP_*)), it is handed to uv, unless uv has indexes of its own
    (C(UV_*), C(uv.toml)).
  - What an installer was cut off in, by a power loss, a full disk, a kill or its time limit, does not count as
    installed. It is installed again, also where it is only needed by what is asked for. While an installer works, the
    file C(.fromzero/installing) is in the environment; where an earlier one is found, each file is held against what
    the wheel has.
  - One installer works in an environment at a time; a second task waits for the first.
options:
  prefix:
    description: Folder of the environment, the one that has C(bin/python) in it.
    type: path
    required: true
  packages:
    description:
      - What must be installed. Each element is a name, a name with versions, or an absolute path on the node or an URL
        of a wheel or a source archive.
      - A local tag is compared exactly, V(torch==2.0.1+cu117) is not satisfied by C(2.0.1+cpu). Without one, a build
        with any tag will do.
      - A wheel that names only the public version in its metadata while the package itself names its build, as torch
        from PyPI does, counts with its build.
    type: list
    elements: str
    required: true
  index_url:
    description: Index in place of the one that the node is configured with.
    type: str
    default: ""
  extra_index_urls:
    description: Further indexes.
    type: list
    elements: str
    default: []
  find_links:
    description: Folders on the node, or URLs of pages, to look for wheels in.
    type: list
    elements: str
    default: []
  no_index:
    description: Look nowhere but in O(find_links) and in the folders that the node is configured with.
    type: bool
    default: false
  constraints:
    description: Files on the node that limit the versions of anything that gets installed along.
    type: list
    elements: path
    default: []
  keep:
    description:
      - Names of packages that must stay exactly as they are where they are installed, as torch must under the libraries
        that use it. What is not installed is not meant.
      - An installation that would exchange one of them fails, changes nothing, and names what wants the other version.
      - What is installed along must suit them too.
    type: list
    elements: str
    default: []
    version_added: 0.3.0
  optional:
    description:
      - Packages among O(packages) that a user can leave out, with how. Where no index has one, the message says so.
    type: dict
    default: {}
    version_added: 0.4.0
  dependencies:
    description: Whether what O(packages) need is installed along.
    type: bool
    default: true
    version_added: 0.3.0
  build_isolation:
    description:
      - Build source archives in an environment of their own. Turn it off where a build needs what is installed.
    type: bool
    default: true
  from_source:
    description: Names of packages to build from source even where a wheel is at hand.
    type: list
    elements: str
    default: []
  cache:
    description:
      - Use the installer's cache. It knows nothing of variables in O(environment), so a package that is built another
        way when one of them is set must be built without it.
    type: bool
    default: true
  reinstall:
    description: Install O(packages) again even where the versions match, as a build with other switches needs.
    type: bool
    default: false
  environment:
    description: Variables for the installer and for what it builds.
    type: dict
    default: {}
  jobs:
    description:
      - How many compilers may run at once, as C(MAX_JOBS) of a build.
      - V(0) takes the number of cores, or of 2 GiB of free memory where that is less.
    type: int
    default: 0
  installer:
    description:
      - V(auto) is uv where it can be had, else pip.
    type: str
    choices: [auto, uv, pip]
    default: auto
  uv_version:
    description: The uv that is installed into the environment, by pip, where it has none.
    type: str
    default: 0.13.8
  timeout:
    description: Seconds after which an installation is stopped.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Can run in check mode and return what would change, also where the environment is not there yet.
    support: full
  diff_mode:
    description: Shows the versions before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install torch for CUDA 11.7
  fromzero.deepspeed.python_packages:
    prefix: /opt/fromzero/envs/train
    packages: [torch==2.0.1+cu117]
    index_url: https://download.pytorch.org/whl/cu117

- name: Install from a folder of wheels and nothing else
  fromzero.deepspeed.python_packages:
    prefix: /opt/fromzero/envs/train
    packages: [torch==2.13.0+cpu, deepspeed==0.19.8]
    find_links: [/srv/wheelhouse]
    no_index: true

- name: Install libraries without moving torch
  fromzero.deepspeed.python_packages:
    prefix: /opt/fromzero/envs/train
    packages: [transformers==4.57.6, accelerate]
    constraints: [/srv/constraints.txt]
    keep: [torch, torchvision, torchaudio, deepspeed]

- name: Install a wheel
  fromzero.deepspeed.python_packages:
    prefix: /opt/fromzero/envs/train
    packages: [/srv/wheels/flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl]
"""

RETURN = r"""
installer:
  description: What installed, C(uv) or C(pip).
  returned: when something was installed
  type: str
  sample: uv
versions:
  description: The installed versions of what was asked for.
  returned: outside of check mode, and in it where nothing would change
  type: dict
  sample: {"torch": "2.13.0+cpu"}
changes:
  description: What was or would be installed, with the versions before and after.
  returned: always
  type: dict
  sample: {"torch": {"before": "2.12.0+cpu", "after": "2.13.0+cpu"}}
"""

import os
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import EnvironmentMissing
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.packages import (
    Outcome,
    PackagesError,
    Wish,
    apply,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import RequirementError, parse


def _wish(params: dict[str, Any]) -> Wish:
    return Wish(
        prefix=params["prefix"],
        requirements=[parse(text) for text in params["packages"]],
        sources=Sources(
            index_url=params["index_url"],
            extra_index_urls=tuple(params["extra_index_urls"]),
            find_links=tuple(params["find_links"]),
            no_index=params["no_index"],
        ),
        environment={name: str(value) for name, value in params["environment"].items()},
        **{
            name: params[name]
            for name in (
                "installer",
                "uv_version",
                "constraints",
                "keep",
                "optional",
                "dependencies",
                "build_isolation",
                "from_source",
                "cache",
                "reinstall",
                "jobs",
                "timeout",
            )
        },
    )


def _hide_passwords(module: AnsibleModule) -> None:
    for url in (module.params["index_url"], *module.params["extra_index_urls"], *module.params["find_links"]):
        password = urlsplit(url).password
        if password:
            module.no_log_values.add(password)


def _result(outcome: Outcome) -> dict[str, Any]:
    changes = outcome.changes
    return {
        "changed": bool(changes),
        "installer": outcome.installer,
        "versions": outcome.versions,
        "changes": {name: {"before": before, "after": after} for name, (before, after) in changes.items()},
        "diff": {
            "before": "".join(f"{name} {before}\n" for name, (before, _after) in changes.items() if before),
            "after": "".join(f"{name} {after}\n" for name, (_before, after) in changes.items() if after),
        },
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "index_url": {"type": "str", "default": ""},
            "extra_index_urls": {"type": "list", "elements": "str", "default": []},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "no_index": {"type": "bool", "default": False},
            "constraints": {"type": "list", "elements": "path", "default": []},
            "keep": {"type": "list", "elements": "str", "default": []},
            "optional": {"type": "dict", "default": {}},
            "dependencies": {"type": "bool", "default": True},
            "build_isolation": {"type": "bool", "default": True},
            "from_source": {"type": "list", "elements": "str", "default": []},
            "cache": {"type": "bool", "default": True},
            "reinstall": {"type": "bool", "default": False},
            "environment": {"type": "dict", "default": {}},
            "jobs": {"type": "int", "default": 0},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "uv_version": {"type": "str", "default": "0.13.8"},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    _hide_passwords(module)
    try:
        wish = _wish(module.params)
        outcome = apply(run, wish, os.environ, dry=module.check_mode)
    except EnvironmentMissing as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        outcome = Outcome(changes={wanted.name: ("", wanted.version or "some version") for wanted in wish.requirements})
    except (PackagesError, RequirementError) as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**_result(outcome))


if __name__ == "__main__":
    main()
