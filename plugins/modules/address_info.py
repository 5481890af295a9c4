#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: address_info
author: The fromzero team (@fromzero)
version_added: 0.4.0
short_description: Says which addresses a node cannot install from
description:
  - Looks at all addresses at the same time, for a few seconds, and downloads nothing.
  - Uses the proxies and bundles of certificates that the environment and pip's configuration name. An address that
    begins with C(file://) is looked at as a file.
  - Where a package manager has a proxy of its own, nothing is said about its addresses.
options:
  addresses:
    description: What is to be installed, and where from.
    type: list
    elements: dict
    required: true
    suboptions:
      what:
        description: What is fetched there.
        type: str
        required: true
      variable:
        description: The variable that names another address.
        type: str
        required: true
      tool:
        description:
          - What fetches it, which decides what is looked at. V(server) is content with any answer.
        type: str
        choices: [apt, conda, dnf, fetch, git, pip, server]
        required: true
      urls:
        description: The addresses. One that answers is enough. None for V(pip) means those of its configuration.
        type: list
        elements: str
        default: []
      links:
        description: Folders or pages with wheels, where a project may be too.
        type: list
        elements: str
        default: []
      project:
        description: The Python project that is looked for in an index.
        type: str
        default: ""
      unless:
        description: Patterns of paths; where one of them is there, nothing needs to be fetched.
        type: list
        elements: str
        default: []
  timeout:
    description: Seconds for all addresses together.
    type: float
    default: 15
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look whether torch can be fetched
  fromzero.deepspeed.address_info:
    addresses:
      - what: torch
        variable: torch_index_url
        tool: pip
        urls: [https://download.pytorch.org/whl/cu126]
        project: torch
"""

RETURN = r"""
unreachable_addresses:
  description: What cannot be fetched, with the address, the reason, and the variable that names another one.
  returned: success
  type: list
  elements: dict
  sample:
    - what: torch
      variable: torch_index_url
      url: https://download.pytorch.org/whl/cu126/torch/
      reason: Name or service not known
unknown:
  description: Sentences about what could not be looked at.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reachability import (
    Address,
    environment,
    unreachable,
)


def main() -> None:
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "addresses": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "what": {"type": "str", "required": True},
                    "variable": {"type": "str", "required": True},
                    "tool": {
                        "type": "str",
                        "choices": ["apt", "conda", "dnf", "fetch", "git", "pip", "server"],
                        "required": True,
                    },
                    "urls": texts,
                    "links": texts,
                    "project": {"type": "str", "default": ""},
                    "unless": texts,
                },
            },
            "timeout": {"type": "float", "default": 15},
        },
        supports_check_mode=True,
    )
    addresses = [Address(**address) for address in module.params["addresses"]]
    found, unknown = unreachable(addresses, module.params["timeout"], Path("/"), Path.home(), environment())
    module.exit_json(changed=False, unreachable_addresses=found, unknown=unknown)


if __name__ == "__main__":
    main()
