# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A value that several roles use has one owner: a change of it is followed by every reader."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import yaml

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.role_variables import ROLES

LOOKUP = "lookup('fromzero.deepspeed.cluster', 'cuda_toolkit_record')"
# Where the record of CUDA toolkits is read: a variable of each role.
READERS = {
    "apex": ("defaults", "apex_cuda_record"),
    "deepspeed": ("defaults", "deepspeed_cuda_record"),
    "training_libs": ("defaults", "training_libs_cuda_record"),
    "hostfile": ("vars", "__hostfile_cuda_record_path"),
}
# What users set, and where the record is then.
CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "/opt/fromzero/etc/cuda_toolkit.json"),
    ({"cluster_prefix": "/srv/ai"}, "/srv/ai/etc/cuda_toolkit.json"),
    ({"cuda_toolkit_record": ""}, "/opt/fromzero/etc/cuda_toolkit.json"),
    ({"cuda_toolkit_record": "/data/cuda.json"}, "/data/cuda.json"),
    ({"cuda_toolkit_record": "{{ cluster_prefix }}/cuda.json", "cluster_prefix": "/srv/ai"}, "/srv/ai/cuda.json"),
    # The folder of the launch files says nothing about the record.
    ({"hostfile_prefix": "/srv/launch"}, "/opt/fromzero/etc/cuda_toolkit.json"),
]
# Templates that call lookups need Ansible's own import of collections, which a process can have only from its start.
_EVALUATE = """
import json, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
given, templates = json.load(sys.stdin)
for variables in given:
    known = {name: trust_as_template(value) for name, value in variables.items()}
    templar = Templar(loader=DataLoader(), variables={"ansible_facts": {}, **known})
    print(json.dumps([templar.template(trust_as_template(template)) for template in templates]))
"""


def variables(role: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLES / role / kind / "main.yml").read_text(encoding="utf-8"))
    return found


def test_a_change_of_the_record_is_followed_by_all_who_read_it() -> None:
    templates = [variables(role, kind)[name] for role, (kind, name) in READERS.items()]
    # And by the one who writes it.
    [task] = yaml.safe_load((ROLES / "cuda_toolkit" / "tasks" / "decide.yml").read_text(encoding="utf-8"))
    templates.append(task["fromzero.deepspeed.cuda_toolkit_decision"]["record"])
    given = json.dumps([[case for case, _path in CASES], templates])
    command = [sys.executable, "-c", _EVALUATE, str(ROLES.parents[3])]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, cwd=ROLES.parent)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [[path] * len(templates) for _case, path in CASES]


def test_nobody_else_names_the_file_or_reads_the_variable_past_the_lookup() -> None:
    named, read = [], []
    for path in sorted(ROLES.glob("*/*/*.yml")):
        text = path.read_text(encoding="utf-8")
        where = f"{path.relative_to(ROLES)}"
        named += [where] if "cuda_toolkit.json" in text and path.parent.name != "meta" else []
        read += [where] if "cuda_toolkit_record" in text.replace(LOOKUP, "") else []
    assert named == []
    assert read == ["cuda_toolkit/defaults/main.yml", "cuda_toolkit/meta/argument_specs.yml"]


def test_the_default_of_the_owner_is_not_the_lookup_that_would_ask_for_it_again() -> None:
    assert variables("cuda_toolkit", "defaults")["cuda_toolkit_record"] == ""
