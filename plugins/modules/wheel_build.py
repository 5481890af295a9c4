#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: wheel_build
author: The fromzero team (@fromzero)
version_added: 0.3.0
short_description: Build a wheel once, on one node, for all nodes
description:
  - Finds the wheel that fits a set of inputs, on the control node or on the node, and builds it where there is none.
  - The inputs are the source, the switches and options of the build, the version of Python, the architecture of the
    node, torch with its CUDA and its ABI, the version of nvcc, and the architectures of the GPUs. Where one of them
    differs, it is another wheel.
  - The build is made in the environment itself, without isolation and without the installer's cache. It goes on by
    itself on the node, also when the connection is lost or the run is stopped; the next run waits for it and takes its
    wheel. Its log is kept. A build that is cut off leaves nothing that looks like a wheel.
  - What the build needs is installed before, where it is named (O(needs), O(requirements)) and no finished wheel is
    found.
  - The finished wheel is kept on the control node, from where M(fromzero.deepspeed.wheel_delivery) hands it to nodes.
  - An action runs on the control node and calls the module of the same name. Use it with C(run_once) and
    C(delegate_to).
options:
  name:
    description: The distribution.
    type: str
    required: true
  source:
    description:
      - Where its source is. A package with an exact version, V(deepspeed==0.19.8), comes from an index.
      - C(git+) with the address of a repository, C(@) and a branch, a tag or a commit comes by git.
      - The address or the path of an archive, or the path of a folder, is taken as it is.
    type: str
    required: true
  source_on_node:
    description: Whether a path in O(source) is one of the node. Otherwise it is one of the control node.
    type: bool
    default: false
  checksum:
    description: The sha256 sum of an archive that is named by its address.
    type: str
    default: ""
  submodules:
    description: Whether the submodules of a git repository belong to the source.
    type: bool
    default: false
  subdirectory:
    description: Where in a repository or an archive the project is, as a path below its root.
    type: str
    default: ""
  source_timeout:
    description: Seconds that one call of git may take.
    type: int
    default: 600
  prefix:
    description: Folder of the environment that it is built in and for.
    type: path
    required: true
  user:
    description:
      - The account that builds, and that the environment belongs to. Packages of the system are installed as the
        account of the task.
      - Empty, or where the task becomes nobody, everything is done as the account of the task.
    type: str
    default: ""
    version_added: 0.4.0
  needs:
    description:
      - What the build needs of the system, in the words of C(data/build_packages.yml), such as V(compiler). V(headers)
        are those of the environment's Python, unless it has them. A source that comes by git needs V(git), which need
        not be named.
      - It is installed by M(fromzero.deepspeed.package_transaction) where O(install_needs) allows that. Names of
        packages are known for the families of Debian and RHEL; elsewhere nothing is installed. The facts of the node
        must have been gathered, C(gather_subset=min) is sufficient.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  install_needs:
    description:
      - Whether packages of the system may be installed, which takes root. Otherwise they must be installed already.
    type: bool
    default: false
    version_added: 0.4.0
  requirements:
    description: What the build imports, which M(fromzero.deepspeed.python_packages) installs in the environment before.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  torch_extension:
    description:
      - Whether an extension of torch is compiled. What every such build imports is then installed before too,
        setuptools in a version that suits the torch.
    type: bool
    default: false
    version_added: 0.4.0
  keep:
    description: Packages that the installation of O(requirements) must not change.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  installer:
    description: What installs O(requirements). V(auto) is uv where it can be had, else pip.
    type: str
    choices: [auto, uv, pip]
    default: auto
    version_added: 0.4.0
  environment:
    description: Variables that decide what is built. They belong to the inputs.
    type: dict
    default: {}
  variables:
    description:
      - Further variables, such as C(CXX) or C(NVCC_CCBIN), by what it is built. They do not belong to the inputs.
    type: dict
    default: {}
  build_options:
    description: Words that the project's C(setup.py) finds among its arguments, such as C(--cuda_ext).
    type: list
    elements: str
    default: []
  build_options_scope:
    description:
      - Whether they follow the command, as C(--build-option) of pip, or stand before it, as C(--global-option).
    type: str
    choices: [command, global]
    default: command
  substitutions:
    description: Texts in files of the source to replace before the build.
    type: list
    elements: dict
    default: []
    suboptions:
      file: {description: The file below the root of the project., type: str, required: true}
      text: {description: The text that stands there., type: str, required: true}
      by: {description: What takes its place., type: str, required: true}
  cuda_home:
    description:
      - Folder of the CUDA toolkit. V(auto) is the one that the role C(cuda_toolkit) has noted in O(cuda_record), with
        the compiler that it found for it.
      - Empty builds without one.
    type: path
    default: ""
  cuda_record:
    description: The file on the node in which the role C(cuda_toolkit) has noted what it proved.
    type: path
    default: ""
  nvcc:
    description: Whether the build calls nvcc. Without a toolkit it is then refused.
    type: bool
    default: false
  nvcc_versions:
    description:
      - The versions of nvcc, such as V(13.0), with which the build may be made; with another it is refused. Empty takes
        any.
    type: list
    elements: str
    default: []
  architectures:
    description: Compute capabilities, such as V(8.0), or names of AMD's, such as V(gfx90a), to compile for.
    type: list
    elements: str
    default: []
  native:
    description:
      - Whether the build compiles for the very processor that it runs on (C(-march=native)). The instructions of that
        processor then belong to the inputs, and a node that lacks one of them is not given the wheel.
    type: bool
    default: false
  build_isolation:
    description:
      - Whether the build gets an environment of its own, with what the project says that it needs, as suits a project
        that compiles nothing. What is compiled against torch must be built without.
    type: bool
    default: false
  jobs:
    description: How many compilers may run at once. V(0) is what cores and memory allow.
    type: int
    default: 0
  memory_per_job:
    description: GiB of memory that one compiler takes.
    type: float
    default: 2
  timeout:
    description: Seconds after which the build is stopped.
    type: int
    default: 7200
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
    description: Folders on the node, or URLs of pages, to look for the source in.
    type: list
    elements: str
    default: []
  artifacts:
    description: Folder on the control node that keeps finished wheels.
    type: path
    required: true
  step:
    description: What the action asks of the module, which it runs more than once.
    type: str
    choices: [look, start, watch]
    default: look
  key:
    description: The build that V(watch) of O(step) is about.
    type: str
    default: ""
attributes:
  check_mode:
    description:
      - Can run in check mode and say whether a build would be made, and what would be installed for it, also where
        there is no environment yet.
    support: full
  diff_mode:
    description: Shows the packages of the system that are installed.
    support: partial
"""

EXAMPLES = r"""
- name: Build DeepSpeed with an op, once for all nodes
  fromzero.deepspeed.wheel_build:
    name: deepspeed
    source: deepspeed==0.19.8
    prefix: /opt/fromzero/envs/train
    environment: {DS_BUILD_FUSED_ADAM: 1, DS_ENABLE_NINJA: 1}
    user: trainer
    needs: [compiler, headers, ninja]
    install_needs: true
    requirements: [psutil, py-cpuinfo]
    torch_extension: true
    cuda_home: /usr/local/cuda-13.0
    architectures: ["8.0", "9.0"]
    artifacts: "{{ inventory_dir }}/artifacts/wheels"
  run_once: true
  delegate_to: node1
  register: built

- name: Bring it to every node
  fromzero.deepspeed.wheel_delivery:
    wheel: "{{ built.wheel }}"
    prefix: /opt/fromzero/envs/train
    dest: /opt/fromzero/envs/train/.fromzero/wheels
"""

RETURN = r"""
wheel:
  description:
    - The wheel. C(path) is where it lies on the control node, C(built_on) the node that has built it, C(inputs) what
      it was built from, C(needs) what a node must have to use it.
    - Empty in check mode, where it would be built.
  returned: success
  type: dict
  sample:
    name: deepspeed
    version: 0.19.8
    filename: deepspeed-0.19.8-cp311-cp311-linux_x86_64.whl
    sha256: 0d1c3f9e0b1e4a7f8f3f5a1f6c0de8fbb1a94ce2b2e2a06d3c0c62a0b7f1d2aa
    size: 5570560
    seconds: 104.6
    key: 5b0c1e77a3d94f02
    built_on: node1
    path: /home/ada/cluster/artifacts/wheels/deepspeed-5b0c1e77a3d94f02/deepspeed-0.19.8-cp311-cp311-linux_x86_64.whl
    inputs: {source: deepspeed==0.19.8, python: "3.11"}
    needs: {python: "3.11", machine: x86_64, glibc: "2.36", torch: 2.13.0+cu130, instructions: []}
key:
  description: A short name for the set of inputs; empty in check mode where there is no environment yet.
  returned: success
  type: str
  sample: 5b0c1e77a3d94f02
host:
  description: The node that this is about.
  returned: success
  type: str
  sample: node1
installed:
  description: Packages of the system that were installed for the build, with their versions.
  returned: success
  type: dict
  sample: {"g++": "4:12.2.0-3"}
environment:
  description:
    - What of the environment decides which packages a build needs, C(prefix), C(python), C(headers) and the version of
      C(torch); empty in check mode where there is none yet.
  returned: success
  type: dict
  sample: {prefix: /opt/fromzero/envs/train, python: 3.11.2, headers: false, torch: 2.13.0+cu130}
log:
  description: The log of the build on the node.
  returned: success
  type: str
  sample: /opt/fromzero/envs/train/.fromzero/builds/deepspeed/5b0c1e77a3d94f02/log.txt
state:
  description: How the build stands on the node.
  returned: success
  type: str
  sample: finished
progress:
  description: Seconds since the build began, and how many files are compiled, as far as that is known.
  returned: success
  type: dict
  sample: {"seconds": 250, "steps": "12 of 37 files"}
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build import wheel as build
from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.failure import explain
from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import (
    INDEX,
    GitMissing,
    Source,
    SourceError,
    identity,
    lay_out,
    parse_source,
    substitute,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import Recorded, recorded
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.facts import glibc
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.memory import available
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.processor import instructions
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import EnvironmentMissing
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import canonical


def _git(argv: Sequence[str], variables: Mapping[str, str], timeout: float) -> Finished:
    return run(argv, "", {**os.environ, **variables}, timeout)


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _source(params: dict[str, Any]) -> Source:
    return parse_source(params["source"], params["checksum"], params["submodules"], params["subdirectory"])


def _wish(params: dict[str, Any], source: Source) -> build.Wish:
    given = params["cuda_home"]
    toolkit = recorded(Path(params["cuda_record"])) if given == "auto" else Recorded(given)
    return build.Wish(
        name=canonical(params["name"]),
        source=source,
        prefix=params["prefix"],
        switches=_strings(params["environment"]),
        options=params["build_options"],
        scope=params["build_options_scope"],
        substitutions=params["substitutions"],
        cuda_home=toolkit.home,
        nvcc=params["nvcc"],
        nvcc_versions=params["nvcc_versions"],
        variables={**toolkit.variables, **_strings(params["variables"])},
        architectures=params["architectures"],
        native=params["native"],
        isolated=params["build_isolation"],
        jobs=params["jobs"],
        memory=params["memory_per_job"],
        timeout=params["timeout"],
        sources=Sources(
            index_url=params["index_url"],
            extra_index_urls=tuple(params["extra_index_urls"]),
            find_links=tuple(params["find_links"]),
        ),
    )


def _answer(wish: build.Wish, key: str) -> dict[str, Any]:
    folder = build.folder_of(wish, key)
    state = build.state(folder)
    found: dict[str, Any] = {
        "changed": False,
        "key": key,
        "state": state,
        "log": str(folder / "log.txt"),
        "wheel": build.manifest(folder),
        "progress": build.progress(folder),
    }
    if found["wheel"]:
        found["wheel"]["path_on_node"] = str(folder / found["wheel"]["filename"])
    return found


def _look(module: AnsibleModule, wish: build.Wish) -> tuple[build.Node, dict[str, Any]]:
    timeout = module.params["source_timeout"]
    node = build.describe(
        run,
        wish,
        os.environ,
        glibc=glibc(os.confstr),
        instructions=instructions(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")),
        cores=len(os.sched_getaffinity(0)),
        free=available(),
    )
    return node, build.inputs(wish, node, identity(wish.source, _git, open_address, timeout))


def _environment(wish: build.Wish, node: build.Node) -> dict[str, Any]:
    torch = str(node.torch.get("version") or "")
    return {"prefix": wish.prefix, "python": node.python, "headers": node.headers, "torch": torch}


def _start(module: AnsibleModule, wish: build.Wish) -> dict[str, Any]:
    node, found = _look(module, wish)
    problems = build.obstacles(wish, node, shutil.which)
    if problems:
        raise build.BuildError(" ".join([*problems, "Or let another node build (the role's variable _builder)."]))
    if wish.substitutions and wish.source.kind == INDEX:
        raise build.BuildError(
            "Texts can be replaced in a source that is git, an archive or a folder, not in an index."
        )

    def bring(folder: Path) -> Path:
        root = lay_out(wish.source, folder, _git, open_address, module.params["source_timeout"])
        substitute(root, wish.substitutions)
        return root

    build.begin(wish, node, found, os.environ, bring)
    return {**_answer(wish, build.key(found)), "changed": True}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "source_on_node": {"type": "bool", "default": False},
            "checksum": {"type": "str", "default": ""},
            "submodules": {"type": "bool", "default": False},
            "subdirectory": {"type": "str", "default": ""},
            "source_timeout": {"type": "int", "default": 600},
            "prefix": {"type": "path", "required": True},
            "user": {"type": "str", "default": ""},
            "needs": {"type": "list", "elements": "str", "default": []},
            "install_needs": {"type": "bool", "default": False},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "torch_extension": {"type": "bool", "default": False},
            "keep": {"type": "list", "elements": "str", "default": []},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "environment": {"type": "dict", "default": {}},
            "variables": {"type": "dict", "default": {}},
            "build_options": {"type": "list", "elements": "str", "default": []},
            "build_options_scope": {"type": "str", "choices": ["command", "global"], "default": "command"},
            "substitutions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "file": {"type": "str", "required": True},
                    "text": {"type": "str", "required": True},
                    "by": {"type": "str", "required": True},
                },
            },
            "cuda_home": {"type": "path", "default": ""},
            "cuda_record": {"type": "path", "default": ""},
            "nvcc": {"type": "bool", "default": False},
            "nvcc_versions": {"type": "list", "elements": "str", "default": []},
            "architectures": {"type": "list", "elements": "str", "default": []},
            "native": {"type": "bool", "default": False},
            "build_isolation": {"type": "bool", "default": False},
            "jobs": {"type": "int", "default": 0},
            "memory_per_job": {"type": "float", "default": 2},
            "timeout": {"type": "int", "default": 7200},
            "index_url": {"type": "str", "default": ""},
            "extra_index_urls": {"type": "list", "elements": "str", "default": []},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "artifacts": {"type": "path", "required": True},
            "step": {"type": "str", "choices": ["look", "start", "watch"], "default": "look"},
            "key": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        wish = _wish(given, _source(given))
        if given["step"] == "watch":
            answer = _answer(wish, given["key"])
            if answer["state"] in (build.FAILED, build.CUT_OFF, build.ABSENT):
                folder = build.folder_of(wish, given["key"])
                module.fail_json(msg=build.failure(folder, wish, explain), **answer)
            if answer["state"] == build.FINISHED:
                build.forget_others(wish, given["key"])
        elif given["step"] == "start":
            answer = _start(module, wish)
        else:
            node, found = _look(module, wish)
            answer = {**_answer(wish, build.key(found)), "environment": _environment(wish, node)}
        module.exit_json(**answer)
    except EnvironmentMissing as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        # In check mode nothing before this task has made it.
        module.exit_json(changed=True, key="", state=build.ABSENT, log="", wheel={}, progress={}, environment={})
    except GitMissing as error:
        module.fail_json(msg=str(error), git_missing=True)
    except (build.BuildError, SourceError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{given['prefix']} cannot take a build: {error}.")


if __name__ == "__main__":
    main()
