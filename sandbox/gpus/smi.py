"""nvidia-smi of a simulated host: the listings and queries that provisioning reads.

Its version is that of the library it finds, the driver's that of the loaded module; where both differ it fails as the
real one does. Exit codes are those of nvidia-smi(1); 18 is NVML_ERROR_LIB_RM_VERSION_MISMATCH of nvml.h. Wording from
outputs that users posted; what a real GPU would measure (temperatures, watts) is a constant.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union
from xml.sax.saxutils import escape

from sandbox.gpus import drivers
from sandbox.gpus.files import taken
from sandbox.gpus.machine import Machine
from sandbox.gpus.world import Gpu

_HELP = "Please run 'nvidia-smi -h' for help.\n"
_ARCHITECTURES = {"5": "Maxwell", "6": "Pascal", "7.0": "Volta", "7": "Turing", "8.9": "Ada Lovelace", "8": "Ampere"}
_ARCHITECTURES |= {"9": "Hopper", "10": "Blackwell", "12": "Blackwell"}
_UNITS = {
    **dict.fromkeys(("memory.total", "memory.used", "memory.free", "memory.reserved"), "MiB"),
    **dict.fromkeys(("power.draw", "power.limit"), "W"),
    "utilization.gpu": "%",
}
_DAEMONS = ("nvidia-persiste", "nvidia-persistenced", "nv-fabricmanager", "nv-fabricmanage")
_LEGEND = """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
"""
# A row of the long report: what -q calls it, what its XML calls it, and a value or rows of its own.
Row = tuple[str, str, Union[str, "list[Row]"]]


class Failed(Exception):
    """nvidia-smi ends with a code after it has said something."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class _Host:
    """What NVML tells of a host that it can talk to."""

    machine: Machine
    version: str
    gpus: Sequence[Gpu]

    @property
    def cuda(self) -> str:
        world = self.machine.world.driver
        return world.cuda if world.cuda and world.library == self.version else drivers.cuda(self.version)

    @property
    def absent(self) -> str:
        """What stands for a value that a GPU does not have."""
        return "[N/A]" if drivers.branch(self.version) >= 470 else "[Not Supported]"

    def bus_id(self, gpu: Gpu) -> str:
        return f"0000{gpu.address}".upper()

    def mig(self, gpu: Gpu) -> str | None:
        """MIG exists on GPUs of 8.0, 9.0 and 10.0, and not everywhere there."""
        return gpu.mig.capitalize() if gpu.mig else None

    def fabric(self, gpu: Gpu) -> tuple[str, str]:
        """The state of the NVLink fabric as since branch 535; GPUs before Hopper do not register with it."""
        if not self.machine.world.nvswitch or float(gpu.compute_capability or 0) < 9:
            return "N/A", "N/A"
        return ("Completed", "Success") if self.machine.fabric else ("In Progress", "N/A")

    def processes(self) -> list[tuple[int, str]]:
        return [(pid, name) for pid, name in sorted(self.machine.holders().items()) if name not in _DAEMONS]


def nvidia_smi(machine: Machine, arguments: Sequence[str]) -> int:
    try:
        _run(machine, list(arguments))
    except Failed as failed:
        print(failed)
        return failed.code
    return 0


def _run(machine: Machine, words: list[str]) -> None:
    version = _library(machine)
    if words[:1] == ["--version"] and drivers.branch(version) >= 530:
        return _version(machine, version)
    host = _connect(machine, version)
    host = _selected(host, words)
    queries: dict[str, Callable[[_Host, Sequence[str], Sequence[str]], None]] = {
        "--query-gpu": _query_gpus,
        "--query-compute-apps": _query_processes,
    }
    for word in words:
        name, _, value = word.partition("=")
        if name in queries:
            formats = next((word.partition("=")[2] for word in words if word.startswith("--format=")), "")
            if "csv" not in formats.split(","):
                raise Failed(2, '"--format=" switch is missing. "csv" has to be specified.\n')
            return queries[name](host, [field.strip() for field in value.split(",")], formats.split(","))
    reports = {"-L": _list, "-q": _long, "-x": _xml, "topo": _topology, "": _table}
    reports |= {"--list-gpus": _list, "-a": _long, "--query": _long, "--xml-format": _xml}
    first = words[0] if words else ""
    if first.startswith(("-pm", "--persistence-mode")):
        return _persistence(host, words)
    if first not in reports or (first == "topo" and words[1:] not in (["-m"], ["--matrix"])):
        raise Failed(2, f"Invalid combination of input arguments. {_HELP}")
    return (_xml if {"-x", "--xml-format"} & set(words) else reports[first])(host)


def _library(machine: Machine) -> str:
    """The version of the library; nvidia-smi loads it by its link."""
    if machine.library:
        return machine.library
    raise Failed(
        12,
        "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display "
        "Driver is properly installed and present in your system.\nPlease also try adding directory that contains "
        "libnvidia-ml.so to your system PATH.",
    )


def _connect(machine: Machine, version: str) -> _Host:
    kernel = machine.kernel
    if not kernel.driver:
        raise Failed(
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n",
        )
    if kernel.driver != version:
        short = version.rpartition(".")[0] if version.count(".") == 2 else version
        second = f"\nNVML library version: {short}" if drivers.branch(version) >= 530 else ""
        raise Failed(18, f"Failed to initialize NVML: Driver/library version mismatch{second}")
    gpus = taken(machine.world, kernel)
    if not gpus:
        raise Failed(6, "No devices were found")
    lost = [f"{number}: {gpu.address.upper()}" for number, gpu in enumerate(gpus) if gpu.lost and kernel.lost]
    if lost:
        # Before branch 550 the address alone: "GPU 0000:3F:00.0: GPU is lost."
        named = f"GPU{lost[0]}" if drivers.branch(version) >= 550 else f"GPU {lost[0].partition(': ')[2]}"
        raise Failed(
            15,
            f"Unable to determine the device handle for {named}: GPU is lost.  Reboot the system to recover this GPU\n",
        )
    # The order of the bus, counted from 0: GPUs of another vendor are none.
    return _Host(machine, version, [_counted(gpu, index) for index, gpu in enumerate(gpus)])


def _counted(gpu: Gpu, index: int) -> Gpu:
    return gpu if gpu.index == index else Gpu(**{**vars(gpu), "index": index})


def _selected(host: _Host, words: list[str]) -> _Host:
    """Only the GPUs that -i names: by index, UUID or bus id; the option is taken out of the words."""
    for position, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("-i", "--id"):
            if not equals and position + 1 == len(words):
                raise Failed(2, f"Invalid combination of input arguments. {_HELP}")
            wanted = (value if equals else words[position + 1]).lower().split(",")
            del words[position : position + (1 if equals else 2)]
            names = {
                gpu.index: (
                    str(gpu.index),
                    gpu.uuid(host.machine.hostname).lower(),
                    host.bus_id(gpu).lower(),
                    gpu.address,
                )
                for gpu in host.gpus
            }
            gpus = [gpu for gpu in host.gpus if set(names[gpu.index]) & set(wanted)]
            if not gpus:
                raise Failed(6, "No devices were found")
            return _Host(host.machine, host.version, gpus)
    return host


def _list(host: _Host) -> None:
    for gpu in host.gpus:
        print(f"GPU {gpu.index}: {gpu.name} (UUID: {gpu.uuid(host.machine.hostname)})")


def _version(machine: Machine, version: str) -> None:
    driver = machine.kernel.driver or "N/A"
    short = version.rpartition(".")[0] if version.count(".") == 2 else version
    cuda = drivers.cuda(driver) if machine.kernel.driver else "N/A"
    print(f"NVIDIA-SMI version  : {version}\nNVML version        : {short}")
    print(f"DRIVER version      : {driver}\nCUDA Version        : {cuda}")


def _values(host: _Host, gpu: Gpu) -> Mapping[str, str]:
    """The values of one GPU by the names of the query form."""
    vendor, device = gpu.pci_id.split(":")
    uuid = gpu.uuid(host.machine.hostname)
    used = 1024 * len(host.processes())
    mig = host.mig(gpu) or host.absent
    state, status = host.fabric(gpu)
    persistence = "Enabled" if host.machine.persistence else "Disabled"
    return {
        **{"index": str(gpu.index), "count": str(len(host.gpus)), "timestamp": time.strftime("%Y/%m/%d %H:%M:%S.000")},
        **{"name": gpu.name, "gpu_name": gpu.name, "uuid": uuid, "gpu_uuid": uuid, "serial": host.absent},
        **{"pci.bus_id": host.bus_id(gpu), "gpu_bus_id": host.bus_id(gpu), "pci.domain": "0x0000"},
        **{"pci.device_id": f"0x{device}{vendor}".upper().replace("X", "x"), "driver_version": host.version},
        **{"memory.total": f"{gpu.memory_mib} MiB", "memory.used": f"{used} MiB", "memory.reserved": "0 MiB"},
        **{"memory.free": f"{gpu.memory_mib - used} MiB", "utilization.gpu": "0 %", "temperature.gpu": "33"},
        **{"power.draw": "61.55 W", "power.limit": "400.00 W", "pstate": "P0", "compute_mode": "Default"},
        **{"compute_cap": gpu.compute_capability or host.absent, "ecc.mode.current": "Enabled"},
        **{"mig.mode.current": mig, "mig.mode.pending": mig, "persistence_mode": persistence},
        **{"display_active": "Disabled", "display_mode": "Enabled", "fabric.state": state, "fabric.status": status},
    }


def _query_gpus(host: _Host, fields: Sequence[str], formats: Sequence[str]) -> None:
    rows = [_values(host, gpu) for gpu in host.gpus]
    for field in fields:
        if field not in rows[0] or drivers.FIELDS.get(field, 0) > drivers.branch(host.version):
            raise Failed(2, f'Field "{field}" is not a valid field to query.\n')
    _csv(fields, rows, formats)


def _query_processes(host: _Host, fields: Sequence[str], formats: Sequence[str]) -> None:
    rows = [
        {"pid": str(pid), "process_name": name, "name": name, "used_memory": "1024 MiB", "used_gpu_memory": "1024 MiB"}
        for pid, name in host.processes()
    ]
    for row in rows:
        row |= {"gpu_uuid": host.gpus[0].uuid(host.machine.hostname), "gpu_name": host.gpus[0].name}
    for field in fields:
        if rows and field not in rows[0]:
            raise Failed(2, f'Field "{field}" is not a valid field to query.\n')
    _csv(fields, rows, formats)


def _csv(fields: Sequence[str], rows: Sequence[Mapping[str, str]], formats: Sequence[str]) -> None:
    if "noheader" not in formats:
        print(", ".join(f"{field} [{_UNITS[field]}]" if field in _UNITS else field for field in fields))
    for row in rows:
        values = [row[field] for field in fields]
        if "nounits" in formats:
            values = [re.sub(r"(?<=\d) (MiB|W|%)$", "", value) for value in values]
        print(", ".join(values))


def _table(host: _Host) -> None:
    line = "+-----------------------------------------+----------------------+----------------------+"
    versions = f"NVIDIA-SMI {host.version:<22} Driver Version: {host.version:<12} CUDA Version: {host.cuda}"
    print(time.strftime("%a %b %d %H:%M:%S %Y"))
    print(f"+{'-' * 87}+\n| {versions:<85} |\n|{line[1:-1]}+")
    print("| GPU  Name                 Persistence-M | Bus-Id        Disp.A | Volatile Uncorr. ECC |")
    print("| Fan  Temp   Perf          Pwr:Usage/Cap |         Memory-Usage | GPU-Util  Compute M. |")
    print("|                                         |                      |               MIG M. |")
    print(f"|{line[1:-1].replace('-', '=')}|")
    for gpu in host.gpus:
        on = "On" if host.machine.persistence else "Off"
        memory = f"{1024 * len(host.processes())}MiB / {gpu.memory_mib}MiB"
        print(f"| {gpu.index:>3}  {gpu.name:<28.28} {on:>4}  | {host.bus_id(gpu)} Off | {'0':>20} |")
        print(f"| N/A   33C    P0              61W / 400W | {memory:>20} |      0%      Default |")
        print(
            f"|                                         |                      | {host.mig(gpu) or 'N/A':>20} |\n{line}"
        )
    print(f"\n+{'-' * 87}+\n| {'Processes:':<85} |")
    print(f"| {' GPU   GI   CI        PID   Type   Process name':<74}GPU Memory  |")
    print(f"| {'       ID   ID':<74}Usage       |\n|{'=' * 87}|")
    for pid, name in host.processes():
        print(f"| {f'   0   N/A  N/A {pid:>10}      C   {name}':<74}1024MiB     |")
    if not host.processes():
        print(f"| {' No running processes found':<85} |")
    print(f"+{'-' * 87}+")


def _report(host: _Host, gpu: Gpu) -> list[Row]:
    """The long report of one GPU."""
    values = _values(host, gpu)
    mig = host.mig(gpu) or "N/A"
    capability = gpu.compute_capability or ""
    architecture = _ARCHITECTURES.get(capability) or _ARCHITECTURES.get(capability.partition(".")[0], "Unknown")
    rows: list[Row] = [
        ("Product Name", "product_name", gpu.name),
        (
            "Product Brand",
            "product_brand",
            "GeForce" if "GeForce" in gpu.name else "Tesla" if "Tesla" in gpu.name else "NVIDIA",
        ),
        ("Product Architecture", "product_architecture", architecture),
        ("Persistence Mode", "persistence_mode", values["persistence_mode"]),
        ("MIG Mode", "mig_mode", [("Current", "current_mig", mig), ("Pending", "pending_mig", mig)]),
        ("GPU UUID", "uuid", values["uuid"]),
        ("Minor Number", "minor_number", str(gpu.index)),
        (
            "PCI",
            "pci",
            [
                ("Bus", "pci_bus", f"0x{gpu.address[5:7].upper()}"),
                ("Device", "pci_device", "0x00"),
                ("Domain", "pci_domain", "0x0000"),
                ("Device Id", "pci_device_id", values["pci.device_id"]),
                ("Bus Id", "pci_bus_id", values["pci.bus_id"]),
            ],
        ),
        (
            "FB Memory Usage",
            "fb_memory_usage",
            [
                ("Total", "total", values["memory.total"]),
                ("Reserved", "reserved", values["memory.reserved"]),
                ("Used", "used", values["memory.used"]),
                ("Free", "free", values["memory.free"]),
            ],
        ),
        ("Compute Mode", "compute_mode", values["compute_mode"]),
    ]
    if drivers.branch(host.version) >= drivers.FIELDS["fabric.state"]:
        state, status = host.fabric(gpu)
        rows.append(("Fabric", "fabric", [("State", "state", state), ("Status", "status", status)]))
    return rows


def _long(host: _Host) -> None:
    print("\n==============NVSMI LOG==============\n")
    for name, value in (
        ("Timestamp", time.strftime("%a %b %d %H:%M:%S %Y")),
        ("Driver Version", host.version),
        ("CUDA Version", host.cuda),
    ):
        print(f"{name:<42}: {value}")
    print(f"\n{'Attached GPUs':<42}: {len(host.gpus)}")
    for gpu in host.gpus:
        print(f"GPU {host.bus_id(gpu)}")
        _lines(_report(host, gpu), 4)
        print()


def _lines(rows: Sequence[Row], indent: int) -> None:
    for name, _, value in rows:
        if isinstance(value, str):
            print(f"{' ' * indent + name:<42}: {value}")
        else:
            print(" " * indent + name)
            _lines(value, indent + 4)


def _xml(host: _Host) -> None:
    print('<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>')
    print(f"\t<timestamp>{time.strftime('%a %b %d %H:%M:%S %Y')}</timestamp>")
    print(f"\t<driver_version>{host.version}</driver_version>\n\t<cuda_version>{host.cuda}</cuda_version>")
    print(f"\t<attached_gpus>{len(host.gpus)}</attached_gpus>")
    for gpu in host.gpus:
        print(f'\t<gpu id="{host.bus_id(gpu)}">')
        _elements(_report(host, gpu), 2)
        print("\t</gpu>")
    print("</nvidia_smi_log>")


def _elements(rows: Sequence[Row], depth: int) -> None:
    for _, tag, value in rows:
        if isinstance(value, str):
            print(f"{chr(9) * depth}<{tag}>{escape(value)}</{tag}>")
        else:
            print(f"{chr(9) * depth}<{tag}>")
            _elements(value, depth + 1)
            print(f"{chr(9) * depth}</{tag}>")


def _topology(host: _Host) -> None:
    world = host.machine.world
    newest = max(float(gpu.compute_capability or 0) for gpu in host.gpus)
    inside = world.link or ("PIX" if not world.nvswitch else "NV18" if newest >= 9 else "NV12")
    half = len(host.gpus) / 2
    # Since branch 535 there is one column more; the header is underlined, on a terminal or not.
    more = ["", "N/A"] if drivers.branch(host.version) >= 535 else []
    titles = [
        *(f"GPU{gpu.index}" for gpu in host.gpus),
        "CPU Affinity",
        "NUMA Affinity",
        *(["GPU NUMA ID"] * bool(more)),
    ]
    print("\t\x1b[4m" + "\t".join(titles) + "\x1b[0m")
    for one in host.gpus:
        row = [f"GPU{one.index}"]
        for other in host.gpus:
            near = inside.startswith("NV") or (one.index < half) == (other.index < half)
            row.append(" X " if one is other else inside if near else "SYS")
        numa = int(one.index >= half)
        print("\t".join([*row, f"{numa * 32}-{numa * 32 + 31}", str(numa), *more]))
    print(_LEGEND, end="")


def _persistence(host: _Host, words: Sequence[str]) -> None:
    value = words[0].partition("=")[2] or next(iter(words[1:]), "")
    if value not in ("0", "1"):
        raise Failed(2, f"Invalid combination of input arguments. {_HELP}")
    for gpu in host.gpus:
        if os.geteuid() != 0 and host.machine.in_node:
            raise Failed(
                4,
                f"Unable to set persistence mode for GPU {host.bus_id(gpu)}: Insufficient Permissions\n"
                "Terminating early due to previous error.\n",
            )
        now = host.machine.persistence == (value == "1")
        word = "Enabled" if value == "1" else "Disabled"
        print(
            f"Persistence mode is already {word} for GPU {host.bus_id(gpu)}."
            if now
            else f"{word} persistence mode for GPU {host.bus_id(gpu)}."
        )
    host.machine.persistence = value == "1"
    print("All done.")
