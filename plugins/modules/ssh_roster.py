#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_roster
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Remember what is publicly known of each node of the mesh
description:
  - Lays what this run found out about nodes over what earlier runs stored, and stores the result. So a run with
    C(--limit), or one in which a node is out of reach, neither loses nor damages what other nodes know of it.
  - Nodes that are no longer members are forgotten.
  - Keeps the id of the cluster beside the records, in C(cluster.json), with the inventory that it belongs to. Nodes
    have the id too. Where there is none yet, that of the nodes counts; a run over nodes of another cluster is refused.
  - Only public keys, names, addresses and ports are stored. The module is for the control node.
options:
  path:
    description: The file that stores the records. Its folder is made where it is missing.
    type: path
    required: true
  members:
    description: The names of all nodes, in the order in which files list them.
    type: list
    elements: str
    required: true
  run:
    description: The names of the hosts that this run was asked to touch.
    type: list
    elements: str
    required: true
  records:
    description: RV(fromzero.deepspeed.ssh_identity#module:record) of each node that was seen in this run.
    type: list
    elements: dict
    required: true
  remembered:
    description: Records that nodes of this run remember, M(fromzero.deepspeed.ssh_memory), for members that nobody saw.
    type: list
    elements: dict
    default: []
  sources:
    description: The inventories of this run, C(ansible_inventory_sources).
    type: list
    elements: str
    default: []
  adopt:
    description: Nodes that shall belong to this cluster, whatever cluster they belong to now.
    type: list
    elements: str
    default: []
  asked:
    description:
      - Members that no run has seen were asked as well, so those that are still missing are named in a warning.
      - Where this is false and members are missing, nothing is stored, as the caller asks them first.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what would change and gives back the same records.
    support: full
  diff_mode:
    description: Shows the file.
    support: full
"""

EXAMPLES = r"""
- name: Remember the nodes of this run
  fromzero.deepspeed.ssh_roster:
    path: "{{ playbook_dir }}/artifacts/ssh_mesh.json"
    members: "{{ groups['nodes'] }}"
    run: "{{ ansible_play_hosts_all }}"
    records: "{{ found }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
records:
  description: What is known of each member, in the order of O(members).
  returned: success
  type: list
  elements: dict
missing:
  description: Members of which nothing is known.
  returned: success
  type: list
  elements: str
  sample: [node7]
cluster:
  description: The id of the cluster.
  returned: success
  type: str
  sample: 3f2a9c1b7d04
memory:
  description: What every node shall remember, for M(fromzero.deepspeed.ssh_trust).
  returned: success
  type: str
networks:
  description: The networks of the members' addresses, or the addresses themselves where their network is not known.
  returned: success
  type: list
  elements: str
  sample: [10.0.0.0/24]
rotating:
  description: Whether new keys wait and every member can be told of them in this run.
  returned: success
  type: bool
"""

import secrets
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import (
    Identity,
    Membership,
    claimed,
    decide,
    memory_text,
    read_identity,
    store,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.landing import Landing, land, see
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.roster import merge, write_roster


def identify(module: AnsibleModule, folder: Path) -> tuple[Identity, bool]:
    """The identity of the cluster, and whether it is another than the one that is stored. A new cluster gets an id."""
    given = module.params
    before = read_identity(folder)
    held = {record["name"]: Membership(**record["membership"]) for record in given["records"] if "membership" in record}
    cluster, problems = decide(before, held, given["adopt"], folder)
    if problems:
        module.fail_json(msg=" ".join(problems))
    after = claimed(folder, Identity(cluster or secrets.token_hex(6), before.inventory), given["sources"])
    return after, after != before


def roster(module: AnsibleModule) -> dict[str, Any]:
    """Does the work and says what to give back."""
    given = module.params
    before = see(Path(given["path"]))
    identity, renewed = identify(module, Path(given["path"]).parent)
    merged = merge(given["members"], given["run"], given["records"], before.text or "", given["remembered"])
    complete = given["asked"] or not merged.missing
    text = write_roster(merged.records) if complete else before.text
    landing = Landing(before=before, text=text, mode=None, ours=True)
    renewed = renewed and complete
    if renewed and not module.check_mode:
        store(Path(given["path"]).parent, identity)
    if landing.changed and not module.check_mode:
        before.path.parent.mkdir(parents=True, exist_ok=True)
        land(landing)
    for warning in merged.warnings if complete else ():
        module.warn(warning)
    return {
        "changed": landing.changed or renewed,
        "cluster": identity.cluster,
        "memory": memory_text(identity.cluster, merged.records),
        "records": merged.records,
        "missing": merged.missing,
        "networks": merged.networks,
        "rotating": bool(merged.waiting) and not merged.outside,
        "diff": landing.diff,
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "members": {"type": "list", "elements": "str", "required": True},
            "run": {"type": "list", "elements": "str", "required": True},
            "records": {"type": "list", "elements": "dict", "required": True},
            "remembered": {"type": "list", "elements": "dict", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "asked": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = roster(module)
    except OSError as error:
        module.fail_json(msg=f"The roster {module.params['path']} cannot be stored: {error}; set ssh_mesh_roster.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
