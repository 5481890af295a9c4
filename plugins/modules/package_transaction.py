#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: package_transaction
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Installs and removes packages of the system in one transaction
description:
  - Packages that exclude each other, as drivers of two branches do, cannot be exchanged by one task that removes and
    another that installs. In between the system has none, and what needs them goes along. This module hands both to
    the package manager at once.
  - Nothing is run where the installed packages satisfy what is asked for already.
  - What the package manager would do is planned first. A plan that removes anything which nobody asked for, that moves
    to an older version or changes a package that is held, without leave, is refused before anything has changed.
  - Waits for other package managers with a bound. Questions are answered as the files on the node are, which stay.
options:
  install:
    description:
      - What must be installed, by name, or by name and version as in V(nvidia-open=580.95.05-1). A version may be a
        pattern such as V(580*), of which the newest that is offered is taken.
      - A name alone is satisfied by any version.
    type: list
    elements: str
    default: []
  remove:
    description:
      - What must not be installed, by name or by pattern. A pattern means what is installed, one that begins with
        V(!) spares what it matches. What O(install) names stays in any case.
    type: list
    elements: str
    default: []
  purge:
    description: Remove the configuration along with the packages. apt only.
    type: bool
    default: false
  allow_removing:
    description:
      - Patterns of what may go beside O(remove), where the new packages conflict with it or it needs what goes.
        Anything else that would go makes the task fail before it has begun.
    type: list
    elements: str
    default: []
  allow_downgrade:
    description: Let packages move to an older version.
    type: bool
    default: false
  allow_held:
    description: Change also packages that are held and that O(unhold) does not name.
    type: bool
    default: false
  unhold:
    description:
      - Patterns of packages that are not to be held any more. They are released before the transaction, and held again
        where it fails.
    type: list
    elements: str
    default: []
  hold:
    description:
      - Patterns of packages to hold at the version that they have after the transaction, so that no upgrade of the
        system moves them. They mean what is installed then, and take precedence over O(unhold).
      - With dnf this needs its plugin C(versionlock), which may be among what is installed.
    type: list
    elements: str
    default: []
  pins:
    description:
      - Versions to prefer while the transaction is planned, also of packages that come along as dependencies. apt
        only, in its own terms.
    type: list
    elements: dict
    default: []
    suboptions:
      packages:
        description: The packages, as in V(src:*nvidia*:any).
        type: str
        required: true
      version:
        description: The version, or a pattern such as V(580*).
        type: str
        required: true
  streams:
    description:
      - Module streams to enable before, such as V(nvidia-driver:580-open). Another stream of the same module is reset,
        and enabled again where the transaction fails. dnf only.
    type: list
    elements: str
    default: []
  recommends:
    description: Install also what the packages recommend.
    type: bool
    default: false
  update:
    description:
      - When to fetch the lists of packages. V(auto) does it where a package or a version is not in those that are here,
        or where a package that they name is gone; V(always) before every transaction that has something to do.
      - In check mode they are never fetched. A package that they do not name is then taken for granted.
    type: str
    choices: [auto, always, never]
    default: auto
  repair:
    description:
      - Bring to its end what was interrupted, as by a loss of power, where that keeps the package manager from working.
        C(dpkg --configure -a) or C(rpm --rebuilddb) does it. Otherwise it is named and the task fails. Packages that
        the transaction removes or installs need no repair of their own.
    type: bool
    default: true
  advice:
    description:
      - What to do where a package of O(install) cannot be installed, a sentence by its name. It ends the message of the
        task where the package manager names that package.
    type: dict
    default: {}
    version_added: 0.4.0
  lock_timeout:
    description: Seconds to wait for another package manager to end.
    type: int
    default: 300
  timeout:
    description: Seconds after which a package manager that does not end is stopped.
    type: int
    default: 3600
  manager:
    description: The package manager. V(auto) is dnf on the RHEL family, and elsewhere apt.
    type: str
    choices: [auto, apt, dnf]
    default: auto
notes:
  - Of dnf, version 4 is meant, that of the RHEL family 8, 9 and 10. A node with dnf 5 is refused.
attributes:
  check_mode:
    description: Can run in check mode and return what would change, also where the packages are in no list yet.
    support: full
  diff_mode:
    description: Shows the packages that change, with their versions, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Exchange the driver's branch in one transaction
  fromzero.deepspeed.package_transaction:
    install: [cuda-drivers-550]
    remove: ["*nvidia*-4[0-9][0-9]*", "!*container*"]
    unhold: ["*nvidia*"]
    hold: ["*nvidia*-550*"]

- name: Install one version of a driver, with libraries of the same version
  fromzero.deepspeed.package_transaction:
    install: [nvidia-driver-pinning-580, nvidia-open=580*]
    pins:
      - packages: "src:*nvidia*:any src:nvidia-open:any"
        version: 580*
    allow_downgrade: true
"""

RETURN = r"""
installed:
  description: Packages that were not there before, with their versions.
  returned: success
  type: dict
  sample: {"nvidia-open": "580.95.05-1"}
upgraded:
  description: Packages that moved to a newer version.
  returned: success
  type: dict
  sample: {"libcuda1": {"before": "570.172.08-1", "after": "580.95.05-1"}}
downgraded:
  description: Packages that moved to an older version.
  returned: success
  type: dict
  sample: {}
removed:
  description: Packages that are gone, with the versions that they had.
  returned: success
  type: dict
  sample: {"nvidia-driver-450": "450.80.02-0ubuntu1"}
held:
  description: Packages that are held and were not before.
  returned: success
  type: list
  elements: str
  sample: [nvidia-open]
unheld:
  description: Packages that are not held any more.
  returned: success
  type: list
  elements: str
repaired:
  description: What was brought to its end before the transaction.
  returned: success
  type: list
  elements: str
streams:
  description: Module streams that were enabled and were not before.
  returned: success
  type: list
  elements: str
lists_fetched:
  description: Whether the lists of packages were fetched.
  returned: success
  type: bool
command:
  description: The command of the transaction; empty where there was nothing to do.
  returned: success
  type: list
  elements: str
  sample: [apt-get, --yes, --no-install-recommends, install, nvidia-open=580.95.05-1, nvidia-driver-450-]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError, uses_dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Manager,
    Outcome,
    Pin,
    TransactionError,
    Wish,
    bring,
    parse,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction_apt import AptManager
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction_dnf import DnfManager


def _wish(params: dict[str, Any]) -> Wish:
    return Wish(
        **{
            **{name: value for name, value in params.items() if name != "manager"},
            "install": [parse(text) for text in params["install"]],
            "pins": [Pin(**pin) for pin in params["pins"]],
        }
    )


def _result(outcome: Outcome) -> dict[str, Any]:
    changes = outcome.changes
    moved = {name: pair for name, pair in changes.items() if all(pair)}
    lines = {
        when: "".join(
            f"{name} {packages[name].version}{' held' if packages[name].held else ''}\n"
            for name in sorted({*changes, *outcome.marked(True), *outcome.marked(False)})
            if name in packages
        )
        for when, packages in (("before", outcome.before), ("after", outcome.after))
    }
    versions = {name: {"before": before, "after": after} for name, (before, after) in moved.items()}
    held, unheld = outcome.marked(True), outcome.marked(False)
    return {
        "changed": bool(changes or held or unheld or outcome.repaired or outcome.streams),
        "installed": {name: after for name, (before, after) in changes.items() if not before},
        "removed": {name: before for name, (before, after) in changes.items() if not after},
        "upgraded": {name: pair for name, pair in versions.items() if name not in outcome.downgraded},
        "downgraded": {name: pair for name, pair in versions.items() if name in outcome.downgraded},
        "held": held,
        "unheld": unheld,
        "repaired": list(outcome.repaired),
        "streams": list(outcome.streams),
        "lists_fetched": outcome.lists_fetched,
        "command": list(outcome.command),
        "diff": lines,
    }


def main() -> None:
    """Run the module."""
    patterns = {"type": "list", "elements": "str", "default": []}
    switch = {"type": "bool", "default": False}
    pin = {"packages": {"type": "str", "required": True}, "version": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "install": patterns,
            "remove": patterns,
            "purge": switch,
            "allow_removing": patterns,
            "allow_downgrade": switch,
            "allow_held": switch,
            "unhold": patterns,
            "hold": patterns,
            "pins": {"type": "list", "elements": "dict", "default": [], "options": pin},
            "streams": patterns,
            "recommends": switch,
            "update": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
            "repair": {"type": "bool", "default": True},
            "advice": {"type": "dict", "default": {}},
            "lock_timeout": {"type": "int", "default": 300},
            "timeout": {"type": "int", "default": 3600},
            "manager": {"type": "str", "choices": ["auto", "apt", "dnf"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    try:
        wish = _wish(module.params)
        bounds = wish.lock_timeout, wish.timeout
        manager: Manager = (
            DnfManager(Dnf(run, os.environ, *bounds), wish)
            if uses_dnf(module.params["manager"])
            else AptManager(Apt(run, os.environ, *bounds), wish)
        )
        outcome = bring(manager, wish, dry=module.check_mode)
    except (ToolError, TransactionError, OSError) as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**_result(outcome))


if __name__ == "__main__":
    main()
