#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The GPUs of a node, the NVIDIA driver, and what stands in its way
description:
  - Counts NVIDIA's GPUs by C(nvidia-smi); where it is missing or fails, by the loaded driver
    (C(/proc/driver/nvidia/gpus)); where no driver is loaded, by the PCI bus. AMD's GPUs are counted by the PCI bus. So
    GPUs are known before a driver is installed, too.
  - Reads the state of the driver, which is more than one version. What is loaded, what programs load, what lies on the
    disk, and by which way it came.
  - Changes nothing, and loads no kernel module. What only root can tell is null without root.
  - A node without a GPU is a state, not an error.
  - An action plugin completes the answer on the control node from the collection's folder C(data). Names of GPUs that
    no driver has named, architectures and compute capabilities by PCI id, and the highest CUDA of a driver by its
    branch. Nothing has to be installed on the node for that.
options:
  timeout:
    description:
      - How many seconds each program, such as C(nvidia-smi), may take. One that hangs, as it does when a GPU has fallen
        off the bus, is given up, and the rest of the facts come without it.
    type: int
    default: 60
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the GPUs
  fromzero.deepspeed.gpu_info:

- name: Show how many there are
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_gpus']['gpus'] | length }}"

- name: Say what is wrong with them
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_gpus']['findings'] }}"
"""

RETURN = r"""
ansible_facts:
  description: What was read, as facts of the node.
  returned: success
  type: dict
  contains:
    fromzero_gpus:
      description: The GPUs of the node.
      returned: success
      type: dict
      contains:
        gpus:
          description: One entry for each GPU. NVIDIA's in the order of C(nvidia-smi), then AMD's by bus address.
          returned: success
          type: list
          elements: dict
          contains:
            index:
              description: The number of the GPU among those of its vendor on the node.
              returned: success
              type: int
              sample: 0
            vendor:
              description: V(nvidia) or V(amd).
              returned: success
              type: str
              sample: nvidia
            name:
              description: The product as its driver names it, else by its PCI id; null where neither knows it.
              returned: success
              type: str
              sample: NVIDIA A100-SXM4-80GB
            architecture:
              description: Such as V(Ampere) or V(CDNA2); null where it is unknown.
              returned: success
              type: str
              sample: Ampere
            compute_capability:
              description: The compute capability of an NVIDIA GPU; null where it is unknown.
              returned: success
              type: str
              sample: "8.0"
            gfx:
              description:
                - The instruction set of an AMD GPU. Null where it is unknown, as for graphics inside a processor, which
                  count as no accelerator.
              returned: success
              type: str
              sample: gfx90a
            memory_mib:
              description: The memory in MiB, null where no driver tells.
              returned: success
              type: int
              sample: 81920
            uuid:
              description: The UUID, null where no driver tells.
              returned: success
              type: str
              sample: GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11
            pci_address:
              description: The address on the PCI bus.
              returned: success
              type: str
              sample: "0000:07:00.0"
            pci_id:
              description: Vendor and device by their PCI numbers.
              returned: success
              type: str
              sample: "10de:20b2"
            mig:
              description: V(enabled) or V(disabled); null where the GPU has no MIG or nobody tells.
              returned: success
              type: str
              sample: disabled
        source:
          description: Who told of NVIDIA's GPUs, one of V(nvidia-smi), V(proc), V(pci), V(none).
          returned: success
          type: str
          sample: nvidia-smi
        error:
          description: What C(nvidia-smi) said when it failed, null otherwise.
          returned: success
          type: str
          sample: "nvidia-smi ended with 18: Failed to initialize NVML: Driver/library version mismatch"
        driver:
          description: The NVIDIA driver.
          returned: success
          type: dict
          contains:
            loaded:
              description: The version of the loaded kernel module, null where none is loaded.
              returned: success
              type: str
              sample: 550.54.14
            library:
              description: The version of the library that programs load, null where there is none.
              returned: success
              type: str
              sample: 550.54.14
            libraries:
              description: All versions of the library on the disk.
              returned: success
              type: list
              elements: str
              sample: [550.54.14]
            agrees:
              description: Whether the loaded module and the library are of one version; null where one is missing.
              returned: success
              type: bool
            flavour:
              description: V(open) or V(proprietary), of the loaded module; null where none is loaded.
              returned: success
              type: str
              sample: open
            cuda:
              description: The highest CUDA that the driver carries, by C(nvidia-smi), else by its branch.
              returned: success
              type: str
              sample: "12.4"
            packages:
              description: The installed packages that belong to a driver, without toolkits and container tools.
              returned: success
              type: list
              elements: dict
              contains:
                name:
                  description: The name.
                  returned: success
                  type: str
                  sample: nvidia-driver-550
                version:
                  description: The version as the package manager writes it.
                  returned: success
                  type: str
                  sample: 550.54.14-0ubuntu1
                held:
                  description: Whether it is held, or locked by dnf's versionlock.
                  returned: success
                  type: bool
                broken:
                  description: Whether it is neither installed whole nor gone.
                  returned: success
                  type: bool
            built:
              description: Kernel modules on the disk.
              returned: success
              type: dict
              contains:
                version:
                  description: The version of the module for the running kernel, null where there is none.
                  returned: success
                  type: str
                  sample: 550.54.14
                flavour:
                  description: V(open) or V(proprietary), of that module.
                  returned: success
                  type: str
                  sample: open
                kernels:
                  description: The releases of all kernels that have a module.
                  returned: success
                  type: list
                  elements: str
                  sample: [6.1.0-28-amd64]
            runfile:
              description: The version that an installer outside of packages left, V(unknown) where it does not say.
              returned: success
              type: str
              sample: 535.54.03
            origin:
              description: Where the driver came from, one of V(packages), V(runfile), V(both), V(none).
              returned: success
              type: str
              sample: packages
            users:
              description:
                - Processes that hold the driver's devices, without the driver's own services. Null where it cannot be
                  told without root.
              returned: success
              type: list
              elements: dict
              sample: [{pid: 1234, command: python}]
        nvswitch:
          description:
            - The number of NVSwitches. Those of B200 and later are no PCI devices. Root can tell them by the bridges
              that lead there; without root it is null where there are bridges of that kind, or network cards like them.
          returned: success
          type: int
          sample: 6
        fabric_manager:
          description: The fabric manager; all null where none is installed.
          returned: success
          type: dict
          contains:
            version:
              description: Its version, which must be the driver's.
              returned: success
              type: str
              sample: 550.54.14
            package:
              description: The name of its package.
              returned: success
              type: str
              sample: nvidia-fabricmanager-550
            active:
              description: Whether its service runs; null where systemd does not tell.
              returned: success
              type: bool
        secure_boot:
          description: Whether Secure Boot is on. False on a machine without EFI, null where it cannot be told.
          returned: success
          type: bool
        blockers:
          description: Other drivers that take NVIDIA's GPUs.
          returned: success
          type: dict
          contains:
            loaded:
              description: Those that are loaded, of V(nouveau), V(nova_core), V(nova_drm), V(nvidiafb).
              returned: success
              type: list
              elements: str
              sample: [nouveau]
            blocked:
              description:
                - Whether modprobe.d or the kernel's command line denies nouveau, and the others where they are loaded
                  or belong to the running kernel.
              returned: success
              type: bool
            initramfs:
              description:
                - Whether the initramfs of the running kernel holds one of them, and no file that denies it. Looked at
                  only where one is loaded or a GPU has no NVIDIA driver loaded; null otherwise.
              returned: success
              type: bool
        kernel:
          description: The kernel.
          returned: success
          type: dict
          contains:
            release:
              description: The running kernel.
              returned: success
              type: str
              sample: 6.1.0-28-amd64
            headers:
              description: Whether modules can be built for it.
              returned: success
              type: bool
            newest:
              description: The newest kernel that is installed, null where none is found.
              returned: success
              type: str
              sample: 6.1.0-30-amd64
        findings:
          description: What is wrong, in sentences that say what to do.
          returned: success
          type: list
          elements: str
          sample:
            - The loaded kernel module is 550.54.14 and the library is 550.163.01, so that no program can use the GPUs;
              reload the module or reboot.
"""

import os
import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.report import gather
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host, programs

# What container engines and WSL lend lies on no PATH of a login.
_LENT = ["/usr/local/nvidia/bin", "/usr/lib/wsl/lib"]


def main() -> None:
    module = AnsibleModule(argument_spec={"timeout": {"type": "int", "default": 60}}, supports_check_mode=True)

    def find(name: str) -> str | None:
        path: str | None = module.get_bin_path(name) or module.get_bin_path(name, opt_dirs=_LENT)
        return path

    host = Host(Path("/"), programs(find, module.params["timeout"]), privileged=os.geteuid() == 0)
    module.exit_json(changed=False, ansible_facts={"fromzero_gpus": gather(host, platform.release())})


if __name__ == "__main__":
    main()
