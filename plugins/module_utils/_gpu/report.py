# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that a host tells of its GPUs and of what drives them, gathered once."""

from __future__ import annotations

from typing import TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import driver as nvidia_driver
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import findings as nvidia_findings
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import gpus as gpu
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import nvidia_smi, platform
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host


class Report(TypedDict):
    """The fact fromzero_gpus; the module's documentation says what its parts mean."""

    gpus: list[gpu.Gpu]
    source: str
    error: str | None
    driver: nvidia_driver.Driver
    nvswitch: int | None
    fabric_manager: platform.FabricManager
    secure_boot: bool | None
    blockers: platform.Blockers
    kernel: platform.Kernel
    findings: list[str]


def gather(host: Host, release: str) -> Report:
    """Reads the host.

    :param release: the running kernel, as uname -r has it.
    """
    devices = gpu.pci_devices(host)
    found = gpu.gather(host, devices)
    cuda = nvidia_smi.highest_cuda(host) if found.source == "nvidia-smi" else None
    driver = nvidia_driver.gather(host, release, cuda, found.driver_version)
    switches = platform.nvswitches(host, devices)
    manager = platform.fabric_manager(host, driver["packages"])
    idle = any(gpu["vendor"] == "nvidia" for gpu in found.gpus) and driver["loaded"] is None
    blockers = platform.blockers(host, release, in_doubt=idle)
    kernel = platform.kernel(host, release)
    secure_boot = platform.secure_boot(host)
    wrong = nvidia_findings.findings(
        found,
        driver,
        nvswitch=switches,
        manager=manager,
        secure_boot=secure_boot,
        blockers=blockers,
        kernel=kernel,
    )
    return Report(
        gpus=found.gpus,
        source=found.source,
        error=found.error,
        driver=driver,
        nvswitch=switches,
        fabric_manager=manager,
        secure_boot=secure_boot,
        blockers=blockers,
        kernel=kernel,
        findings=wrong,
    )
