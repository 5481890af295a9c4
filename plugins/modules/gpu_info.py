#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: The NVIDIA GPUs of a node
description:
  - Asks C(nvidia-smi); where it is missing or fails, the loaded driver (C(/proc/driver/nvidia/gpus)); where no driver
    is loaded, the PCI bus. So GPUs are counted before a driver is installed, too.
  - A node without a GPU is a state, not an error.
options: {}
extends_documentation_fragment:
  - fromzero.deepspeed.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the GPUs
  fromzero.deepspeed.gpu_info:

- name: Show how many there are
  ansible.builtin.debug:
    msg: "{{ ansible_facts['fromzero_gpus']['gpus'] | length }}"
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
          description: One entry for each GPU, in the order of the source.
          returned: success
          type: list
          elements: dict
          contains:
            index:
              description: The number of the GPU on its node.
              returned: success
              type: int
              sample: 0
            name:
              description: The name of the product, null where the source cannot tell.
              returned: success
              type: str
              sample: NVIDIA A100-SXM4-80GB
            uuid:
              description: The UUID, null where the source cannot tell.
              returned: success
              type: str
              sample: GPU-5b1c8ad2-3ff0-4a5f-9c4b-6f0f3b1f4c11
            memory_mib:
              description: The memory in MiB, null where the source cannot tell.
              returned: success
              type: int
              sample: 81920
        source:
          description: Who told, one of V(nvidia-smi), V(proc), V(pci), V(none).
          returned: success
          type: str
          sample: nvidia-smi
        error:
          description: What C(nvidia-smi) said when it failed, null otherwise.
          returned: success
          type: str
          sample: "nvidia-smi ended with 18: Failed to initialize NVML: Driver/library version mismatch"
"""

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import gather


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status, output, errors = module.run_command(list(arguments))
        return int(status), str(output), str(errors)

    gpus = gather(Path("/"), run, module.get_bin_path("nvidia-smi"))
    module.exit_json(changed=False, ansible_facts={"fromzero_gpus": gpus})


if __name__ == "__main__":
    main()
