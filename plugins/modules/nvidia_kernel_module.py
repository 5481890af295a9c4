#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_kernel_module
author: The fromzero team (@fromzero)
version_added: 0.2.0
short_description: Loads the kernel module of NVIDIA's driver as it lies on the disk, or says why that takes a reboot
description:
  - After a driver was changed the kernel still runs the old module, and NVML says "Driver/library version mismatch".
    Where nothing uses the GPUs the module is exchanged. Where a process does, it stays, and the processes are named.
  - Other drivers that would take the GPUs are denied by a file of modprobe.d. The initramfs is rebuilt where it would
    still load one, and read again as a proof.
  - A module that is missing for the running kernel is compiled by DKMS before.
  - Services that hold the GPUs are stopped while the module is exchanged. Afterwards they run, and start at every boot.
options:
  state:
    description: Whether the module should be loaded, in the version that is on the disk, or not at all.
    type: str
    choices: [loaded, unloaded]
    default: loaded
  deny:
    description: Drivers that are kept from loading. Empty leaves them and the initramfs alone.
    type: list
    elements: str
    default: [nouveau, nova_core, nova_drm]
  deny_file:
    description: The file that denies them; it belongs to this module.
    type: path
    default: /etc/modprobe.d/fromzero-nvidia-driver.conf
  services:
    description: Units of systemd that hold the GPUs. Those that are not installed are passed over.
    type: list
    elements: str
    default: [nvidia-persistenced]
  timeout:
    description: Seconds that each program may take; compiling and the initramfs take minutes.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Says whether something would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the file that denies other drivers.
    support: full
"""

EXAMPLES = r"""
- name: Run the driver that was just installed
  fromzero.deepspeed.nvidia_kernel_module:
    services: [nvidia-persistenced, nvidia-fabricmanager]
  register: kernel_module

- name: Say what is left to do
  ansible.builtin.debug:
    msg: "{{ kernel_module.reboot_reason }}"
  when: kernel_module.reboot_required
"""

RETURN = r"""
loaded:
  description: The version of the module in the kernel, null where none is.
  returned: success
  type: str
  sample: 580.95.05
reboot_required:
  description: Whether only a reboot of the host helps.
  returned: success
  type: bool
reboot_reason:
  description: Why, as a sentence; empty where none is needed.
  returned: success
  type: str
  sample: >-
    The kernel runs NVIDIA's module 535.54.03, the libraries are of 535.104.05, and the module cannot be taken out while
    processes use the GPUs: python (4242).
done:
  description: What was done, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [reloaded the module]
boot_id:
  description: Which start of which kernel this host runs; two hosts with the same are one machine.
  returned: success
  type: str
  sample: 3f0b0f0e-6a3b-4b1f-9c0a-1f2e3d4c5b6a
"""

import os
import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._driver.kernel_module import (
    KernelModuleError,
    Wish,
    ensure,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host, programs


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["loaded", "unloaded"], "default": "loaded"},
            "deny": {"type": "list", "elements": "str", "default": ["nouveau", "nova_core", "nova_drm"]},
            "deny_file": {"type": "path", "default": "/etc/modprobe.d/fromzero-nvidia-driver.conf"},
            "services": {"type": "list", "elements": "str", "default": ["nvidia-persistenced"]},
            "timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    given = module.params
    called = programs(module.get_bin_path, given["timeout"])
    host = Host(Path("/"), called, privileged=os.geteuid() == 0)
    wish = Wish(
        release=platform.release(),
        loaded=given["state"] == "loaded",
        denied=given["deny"],
        deny_file=Path(given["deny_file"]),
        services=given["services"],
    )
    try:
        outcome = ensure(host, wish, module.check_mode)
    except KernelModuleError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=complaint(error))
    header = given["deny_file"]
    module.exit_json(
        changed=outcome.changed,
        loaded=outcome.loaded,
        reboot_required=bool(outcome.reboot),
        reboot_reason=outcome.reboot,
        done=outcome.done,
        boot_id=host.text("proc/sys/kernel/random/boot_id"),
        diff={"before_header": header, "before": outcome.before, "after_header": header, "after": outcome.after},
    )


if __name__ == "__main__":
    main()
