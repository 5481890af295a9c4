# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that a host tells of its GPUs and of what drives them, gathered once."""

from __future__ import annotations

from typing import TypedDict

from ansible_collections.fromzero.deepspeed.plugins.module_utils import (
    _gpu,
    _nvidia_driver,
    _nvidia_findings,
    _nvidia_platform,
    _nvidia_smi,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host import Host


class Report(TypedDict):
    """The fact fromzero_gpus; the module's documentation says what its parts mean."""

    gpus: list[_gpu.Gpu]
    source: str
    error: str | None
    driver: _nvidia_driver.Driver
    nvswitch: int | None
    fabric_manager: _nvidia_platform.FabricManager
    secure_boot: bool | None
    blockers: _nvidia_platform.Blockers
    kernel: _nvidia_platform.Kernel
    findings: list[str]


def gather(host: Host, release: str) -> Report:
    """Reads the host.

    :param release: the running kernel, as uname -r has it.
    """
    devices = _gpu.pci_devices(host)
    found = _gpu.gather(host, devices)
    cuda = _nvidia_smi.highest_cuda(host) if found.source == "nvidia-smi" else None
    driver = _nvidia_driver.gather(host, release, cuda, found.driver_version)
    switches = _nvidia_platform.nvswitches(host, devices)
    manager = _nvidia_platform.fabric_manager(host, driver["packages"])
    idle = any(gpu["vendor"] == "nvidia" for gpu in found.gpus) and driver["loaded"] is None
    blockers = _nvidia_platform.blockers(host, release, in_doubt=idle)
    kernel = _nvidia_platform.kernel(host, release)
    secure_boot = _nvidia_platform.secure_boot(host)
    wrong = _nvidia_findings.findings(
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
