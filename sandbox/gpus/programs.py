"""The programs of a simulated host by name, and how they come into a node.

C(boot) and C(create) are the simulator's own; C(dracut) and C(lsinitrd) lie in no PATH until a scenario that plays a
distribution with them links them there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from sandbox.gpus import kmod, smi, tools
from sandbox.gpus.machine import Machine


def _boot(machine: Machine, arguments: Sequence[str]) -> int:
    machine.boot()
    return 0


def _create(machine: Machine, arguments: Sequence[str]) -> int:
    machine.create()
    return 0


PROGRAMS: Mapping[str, Callable[[Machine, Sequence[str]], int]] = {
    "boot": _boot,
    "create": _create,
    "dkms": tools.dkms,
    "dracut": tools.dracut,
    "lsinitramfs": tools.lsinitramfs,
    "lsinitrd": tools.lsinitrd,
    "lsmod": kmod.lsmod,
    "modinfo": kmod.modinfo,
    "modprobe": kmod.modprobe,
    "mokutil": tools.mokutil,
    "nv-fabricmanager": tools.nv_fabricmanager,
    "nvidia-installer": tools.nvidia_installer,
    "nvidia-persistenced": tools.nvidia_persistenced,
    "nvidia-smi": smi.nvidia_smi,
    "rmmod": kmod.rmmod,
    "update-initramfs": tools.update_initramfs,
}
# Each is this script by another name; -I keeps what a user's environment says of Python out of it.
LAUNCHER = """\
#!/usr/bin/python3 -I
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/usr/local/lib/fromzero-sim/python")
from sandbox.gpus.programs import main
sys.exit(main("@NAME@"))
"""


def main(name: str) -> int:
    """Run one of the programs on this node's own state."""
    return PROGRAMS[name](Machine(), sys.argv[1:])
