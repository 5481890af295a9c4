"""A simulated host answers, changes and starts anew as a real one would."""

from __future__ import annotations

import os
import platform
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.gpus.files import at_creation
from sandbox.gpus.host import materialise
from sandbox.gpus.machine import Machine
from sandbox.gpus.programs import PROGRAMS

WORLDS = Path("molecule/shared/worlds")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163\n"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n\n"
)
QUERY = "--format=csv,noheader,nounits"


class Host:
    """A machine below a folder, and what its programs say."""

    def __init__(self, root: Path, said: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
        materialise(said, root)
        self.root = root
        self.machine = Machine(root, root / "state", said)
        self.machine.kernel = at_creation(self.machine.world)
        self.capsys = capsys

    def run(self, line: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        name, *arguments = line.split()
        code = PROGRAMS[name](self.machine, arguments)
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def says(self, line: str) -> str:
        code, out, err = self.run(line)
        assert code == 0, err
        return out

    def install(self, version: str, flavour: str = "NVIDIA", more: str = "") -> None:
        """What a package of another driver drops."""
        folder = self.root / LIBRARIES
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("libnvidia-ml", "libcuda"):
            (folder / f"{name}.so.{version}").write_text("", encoding="utf-8")
            (folder / f"{name}.so.1").unlink(missing_ok=True)
            (folder / f"{name}.so.1").symlink_to(f"{name}.so.{version}")
        module = self.root / f"lib/modules/{platform.release()}/updates/dkms/nvidia.ko"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"version: {version}\nlicense: {flavour}\n{more}", encoding="utf-8")


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Host]:
    def make(name: str, **more: Any) -> Host:
        said = yaml.safe_load((WORLDS / f"{name}.yml").read_text(encoding="utf-8"))
        return Host(tmp_path, {**said, **more}, capsys)

    return make


@pytest.fixture
def training() -> Iterator[Callable[[Host], None]]:
    """Somebody who computes on the first GPU: this very process."""
    opened: list[int] = []

    def compute(host: Host) -> None:
        opened.extend(os.open(host.root / "dev" / name, os.O_RDONLY) for name in ("nvidia0", "nvidia-uvm"))

    yield compute
    for number in opened:
        os.close(number)


ANSWERS = [
    ("v100s-driver450", f"--query-gpu=index,memory.total {QUERY}", "0, 32510\n1, 32510\n"),
    ("v100s-driver450", f"--query-gpu=driver_version {QUERY} -i 0", "450.80.02\n"),
    ("v100s-driver450", f"--query-gpu=mig.mode.current {QUERY} -i 0", "[Not Supported]\n"),
    ("v100s-driver450", f"--query-gpu=pci.bus_id,pci.device_id {QUERY} -i 1", "00000000:0F:00.0, 0x1DF610DE\n"),
    ("v100s-driver450", "--query-gpu=memory.total --format=csv -i 00000000:07:00.0", "memory.total [MiB]\n32510 MiB\n"),
    ("mixed", f"--query-gpu=compute_cap,mig.mode.current {QUERY}", "8.0, Disabled\n7.0, [N/A]\n"),
    ("h100x8-driver535", f"--query-gpu=fabric.state {QUERY} -i 7", "In Progress\n"),
]  # fmt: skip
REFUSALS = [
    ("v100s-driver450", "--query-gpu=compute_cap --format=csv", 2, 'Field "compute_cap" is not a valid field'),
    ("v100s-driver450", "--query-gpu=index", 2, '"--format=" switch is missing. "csv" has to be specified.\n'),
    ("v100s-driver450", "-i 7", 6, "No devices were found\n"),
    ("v100s-driver450", "--version", 2, "Invalid combination of input arguments. "),
    ("mismatch", "-L", 18, MISMATCH),
    ("secure-boot", "", 9, NO_DRIVER),
    ("none", "", 12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system."),
]  # fmt: skip


@pytest.mark.parametrize(("world", "arguments", "answer"), ANSWERS)
def test_nvidia_smi_answers_queries(host: Callable[..., Host], world: str, arguments: str, answer: str) -> None:
    assert host(world).says(f"nvidia-smi {arguments}") == answer


@pytest.mark.parametrize(("world", "arguments", "code", "words"), REFUSALS)
def test_nvidia_smi_fails_in_the_words_of_the_real_one(
    host: Callable[..., Host], world: str, arguments: str, code: int, words: str
) -> None:
    ended, out, _ = host(world).run(f"nvidia-smi {arguments}")
    assert (ended, out[: len(words)]) == (code, words)


def test_nvidia_smi_lists_and_reports_every_gpu(host: Callable[..., Host]) -> None:
    machine = host("a100x8-driver470")
    assert re.findall(
        r"^GPU \d: NVIDIA A100-SXM4-80GB \(UUID: GPU-[0-9a-f-]{36}\)$", machine.says("nvidia-smi -L"), re.M
    )
    assert "Driver Version: 470.182.03   CUDA Version: 11.4" in machine.says("nvidia-smi")
    assert machine.says("nvidia-smi -q").count("Product Architecture") == 8
    log = ET.fromstring(machine.says("nvidia-smi -q -x"))
    assert [gpu.findtext("mig_mode/current_mig") for gpu in log.findall("gpu")] == ["Disabled"] * 8
    assert machine.says("nvidia-smi topo -m").count("NV12") == 8 * 7


def test_a_lost_gpu_fails_until_the_host_starts_anew(host: Callable[..., Host]) -> None:
    gpu = {"pci_id": "10de:1eb8", "name": "Tesla T4", "memory_mib": 15360, "compute_capability": "7.5"}
    machine = host(
        "mismatch", gpus=[gpu, {**gpu, "lost": True}], driver={"loaded": "550.54.14", "library": "550.54.14"}
    )
    code, out, _ = machine.run("nvidia-smi -L")
    assert code == 15
    assert out.startswith(
        "Unable to determine the device handle for GPU1: 0000:0F:00.0: GPU is lost.  Reboot the system"
    )
    machine.machine.boot_now()
    assert machine.says("nvidia-smi -L").count("Tesla T4") == 2


def test_a_mismatch_ends_when_the_module_is_loaded_anew(host: Callable[..., Host]) -> None:
    machine = host("mismatch")
    machine.says("modprobe -r nvidia_uvm nvidia_drm nvidia_modeset nvidia")
    assert not (machine.root / "proc/driver/nvidia").exists()
    assert not list((machine.root / "dev").iterdir())
    machine.says("modprobe nvidia")
    assert machine.says(f"nvidia-smi --query-gpu=driver_version {QUERY}") == "550.163.01\n" * 2
    assert "550.163.01" in (machine.root / "proc/driver/nvidia/version").read_text(encoding="utf-8")


def test_a_module_in_use_stays(host: Callable[..., Host], training: Callable[[Host], None]) -> None:
    machine = host("mismatch")
    assert machine.run("rmmod nvidia")[2] == "rmmod: ERROR: Module nvidia is in use by: nvidia_uvm nvidia_modeset\n"
    training(machine)
    machine.says("modprobe -r nvidia_drm")
    assert machine.run("rmmod nvidia_uvm")[2] == "rmmod: ERROR: Module nvidia_uvm is in use\n"
    assert machine.run("modprobe -r nvidia") == (1, "", "modprobe: FATAL: Module nvidia is in use.\n")
    assert re.search(r"^nvidia +62324736  2 nvidia_uvm$", machine.says("lsmod"), re.M)


def test_a_start_loads_what_is_installed(host: Callable[..., Host]) -> None:
    machine = host("v100s-driver450")
    machine.install("580.95.05")
    assert machine.run("nvidia-smi")[0] == 18
    machine.machine.boot_now()
    assert machine.says(f"nvidia-smi --query-gpu=driver_version,compute_cap {QUERY} -i 0") == "580.95.05, 7.0\n"
    assert "CUDA Version: 13.0" in machine.says("nvidia-smi")


@pytest.mark.parametrize(
    ("world", "module", "reason"),
    [
        ("v100s-driver450", ("580.95.05", "Dual MIT/GPL"), "No such device"),
        ("v100s-driver450", ("590.48.01", "NVIDIA"), "No such device"),
        ("b200x8-driver570", ("580.95.05", "NVIDIA"), "No such device"),
        ("a100x2-no-driver", ("580.95.05", "NVIDIA", "vermagic: 5.4.0-1 SMP\n"), "Exec format error"),
        ("secure-boot", ("580.95.05", "Dual MIT/GPL"), "Key was rejected by service"),
    ],
)
def test_the_kernel_refuses_a_module(
    host: Callable[..., Host], world: str, module: tuple[str, ...], reason: str
) -> None:
    machine = host(world)
    machine.install(*module)
    machine.machine.boot_now()
    assert machine.run("modprobe nvidia") == (1, "", f"modprobe: ERROR: could not insert 'nvidia': {reason}\n")
    assert machine.run("nvidia-smi") == (9, NO_DRIVER, "")


def test_secure_boot_takes_a_module_that_the_distribution_has_signed(host: Callable[..., Host]) -> None:
    machine = host("secure-boot")
    assert machine.says("mokutil --sb-state") == "SecureBoot enabled\n"
    machine.install("580.95.05", "NVIDIA", "signer: Canonical Ltd. Kernel Module Signing\n")
    assert machine.says("modinfo -F signer nvidia") == "Canonical Ltd. Kernel Module Signing\n"
    machine.says("modprobe nvidia")


def test_nouveau_goes_when_it_is_denied_and_the_image_knows(host: Callable[..., Host]) -> None:
    machine = host("nouveau")
    image = f"/boot/initrd.img-{platform.release()}"
    assert machine.run("modprobe -r nouveau")[2] == "modprobe: FATAL: Module nouveau is in use.\n"
    machine.install("580.95.05", "Dual MIT/GPL")
    (machine.root / "etc/modprobe.d/no-nouveau.conf").write_text("blacklist nouveau\n", encoding="utf-8")
    machine.machine.boot_now()
    assert re.search(r"^nouveau +\d+  1$", machine.says("lsmod"), re.M), "the image loads it before the file is read"
    assert machine.run("modprobe nvidia")[2].endswith("No such device\n")
    machine.says("update-initramfs -u")
    assert {"etc/modprobe.d/no-nouveau.conf"} < set(machine.says(f"lsinitramfs {image}").split())
    machine.machine.boot_now()
    assert "nouveau" not in machine.says("lsmod")
    assert "Tesla T4" in machine.says("nvidia-smi -L")


def test_dkms_wants_headers(host: Callable[..., Host]) -> None:
    release = platform.release()
    machine = host(
        "mismatch", kernel={"headers": False}, driver={"loaded": "550.54.14", "library": "550.163.01", "built": None}
    )
    assert machine.says("dkms status") == "nvidia/550.163.01: added\n"
    code, _, errors = machine.run("dkms install nvidia/550.163.01")
    assert (code, errors.partition("\n")[0]) == (
        1,
        f"Error! Your kernel headers for kernel {release} cannot be found at /lib/modules/{release}/build or "
        f"/lib/modules/{release}/source.",
    )
    (machine.root / f"lib/modules/{release}/build").mkdir()
    machine.says("dkms install nvidia/550.163.01")
    assert machine.says("dkms status") == f"nvidia/550.163.01, {release}, x86_64: installed\n"
    assert machine.says("modinfo -F version nvidia") == "550.163.01\n"


def test_a_runfile_takes_itself_away(host: Callable[..., Host]) -> None:
    machine = host("runfile-over-packages")
    machine.says("nvidia-installer --uninstall --silent")
    left = [path.name for path in machine.root.rglob("*535.54.03*")]
    assert left == []
    assert (machine.root / LIBRARIES / "libnvidia-ml.so.535.183.01").is_file()


def test_the_fabric_manager_serves_its_own_version_alone(host: Callable[..., Host]) -> None:
    machine = host("a100x8-driver470")
    code, _, errors = machine.run("nv-fabricmanager 470.199.02")
    assert (code, errors) == (
        1,
        "fabric manager NVIDIA GPU driver interface version 470.199.02 don't match with driver version 470.182.03. "
        "Please update with matching NVIDIA driver package.\n",
    )
    machine.machine.fabric = True
    assert host("h100x8-driver535").says(f"nvidia-smi --query-gpu=fabric.state {QUERY} -i 0") == "Completed\n"
