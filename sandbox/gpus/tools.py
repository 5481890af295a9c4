"""The smaller programs of a simulated host: mokutil, dkms, the initramfs, a runfile's uninstaller, the daemons."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from sandbox.gpus.files import LIBRARIES, UPDATES
from sandbox.gpus.files import module as module_text
from sandbox.gpus.machine import Machine


def mokutil(machine: Machine, arguments: Sequence[str]) -> int:
    """The state of Secure Boot. Keys are enrolled at the console of a host; here nobody sits at it."""
    on = machine.world.secure_boot
    if on is None:
        print("EFI variables are not supported on this system", file=sys.stderr)
        return 1
    if "--sb-state" in arguments:
        print("SecureBoot enabled" if on else "SecureBoot disabled")
    elif "--test-key" in arguments:
        print(f"{arguments[-1]} is not enrolled")
    elif "--list-enrolled" in arguments:
        print(
            "[key 1]\nSHA1 Fingerprint: 53:61:0c:f8:1f:bd:7e:0c:eb:67:91:3c:9e:f3:e7:94:a9:63:3e:cb\n"
            "        Subject: CN=Debian Secure Boot CA"
        )
    else:
        print("Usage:\n  mokutil OPTIONS [ARGS...]", file=sys.stderr)
        return 1
    return 0


def lsinitramfs(machine: Machine, arguments: Sequence[str]) -> int:
    """The names in an image."""
    for name in (word for word in arguments if not word.startswith("-")):
        path = machine.root / name.lstrip("/")
        if not path.is_file():
            print(f"cpio: {name}: Cannot open: No such file or directory", file=sys.stderr)
            return 2
        print(path.read_text(encoding="utf-8"), end="")
    return 0


def update_initramfs(machine: Machine, arguments: Sequence[str]) -> int:
    """Write images anew as mkinitramfs does: the files of modprobe.d go in, and no module is left out for them."""
    words = list(arguments)
    release = words[words.index("-k") + 1] if "-k" in words[:-1] else machine.release
    if os.geteuid() != 0 and machine.in_node:
        print("E: update-initramfs needs to be run as root", file=sys.stderr)
        return 1
    folder = machine.root / "boot"
    images = sorted(folder.glob("initrd.img-*")) if release == "all" else [folder / f"initrd.img-{release}"]
    for image in images:
        print(f"update-initramfs: Generating /boot/{image.name}")
        _write_image(machine, image, image)
    return 0


def dracut(machine: Machine, arguments: Sequence[str]) -> int:
    """The same on the RHEL family, where the image has another name and is not written over unless forced."""
    words = [word for word in arguments if not word.startswith("-")]
    image = machine.root / "boot" / f"initramfs-{machine.release}.img"
    if words and words[0].startswith("/"):
        image = machine.root / words[0].lstrip("/")
    old = machine.image
    if image.is_file() and not {"-f", "--force"} & set(arguments):
        print(f"dracut: Will not override existing initramfs (/boot/{image.name}) without --force", file=sys.stderr)
        return 1
    _write_image(machine, old, image)
    return 0


def lsinitrd(machine: Machine, arguments: Sequence[str]) -> int:
    """The names in an image, as `ls -l` would show them; that of the running kernel where none is named."""
    named = [word for word in arguments if not word.startswith("-")]
    image = machine.root / named[0].lstrip("/") if named else machine.image
    if not image.is_file():
        print(f"No <initramfs file> specified and the default image '{image}' cannot be accessed!", file=sys.stderr)
        return 1
    print(f"Image: {image}: 40M\n{'=' * 72}")
    for name in image.read_text(encoding="utf-8").split():
        print(f"-rw-r--r--   1 root     root            0 Jan  1  1970 {name}")
    return 0


def _write_image(machine: Machine, old: Path, new: Path) -> None:
    names = old.read_text(encoding="utf-8").split() if old.is_file() else []
    kept = [name for name in names if not name.startswith(("etc/modprobe.d/", "lib/modprobe.d/"))]
    copied = [name for name, _ in machine.modprobe_files() if not name.startswith(("run/", "usr/local/"))]
    written = {*kept, *(name.removeprefix("usr/") for name in copied)}
    new.write_text("".join(f"{name}\n" for name in sorted(written)), encoding="utf-8")


def dkms(machine: Machine, arguments: Sequence[str]) -> int:
    """DKMS 3: what is built is what lies among a kernel's updates, what is added is a source."""
    action, *rest = arguments or ("status",)
    named = dict(zip(rest[::2], rest[1::2], strict=False))
    given = next((word for word in rest if "/" in word), "nvidia/")
    version = named.get("-v") or given.partition("/")[2]
    kernel = named.get("-k") or machine.release
    modules = machine.root / "lib/modules"
    if action == "status":
        for line in _dkms_lines(machine):
            print(line)
    elif action in ("build", "install", "autoinstall"):
        if not (modules / kernel / "build").exists():
            print(
                f"Error! Your kernel headers for kernel {kernel} cannot be found at /lib/modules/{kernel}/build or "
                f"/lib/modules/{kernel}/source.\nPlease install the linux-headers-{kernel} package or use the "
                "--kernelsourcedir option to tell DKMS where it's located.",
                file=sys.stderr,
            )
            return 1
        for source, flavour in _dkms_sources(machine):
            if action != "build" and version in ("", source):
                target = modules / kernel / UPDATES / "nvidia.ko"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(module_text(source, flavour, kernel, "DKMS module signing key"), encoding="utf-8")
                print("nvidia.ko:\nRunning module version sanity check.\n - Installation")
                print(f"   - Installing to /lib/modules/{kernel}/updates/dkms/")
    elif action == "remove":
        for path in modules.glob(f"*/{UPDATES}/nvidia.ko"):
            if not version or f"version: {version}\n" in path.read_text(encoding="utf-8"):
                path.unlink()
    return 0


def _dkms_sources(machine: Machine) -> Iterator[tuple[str, str]]:
    for path in sorted((machine.root / "usr/src").glob("nvidia-*/dkms.conf")):
        name = re.fullmatch(r"nvidia-(?:[\w-]*?-)?(\d+\.[\d.]+)", path.parent.name)
        if name:
            yield name[1], "open" if "-open-" in path.parent.name else "proprietary"


def _dkms_lines(machine: Machine) -> Iterator[str]:
    found = set()
    for path in sorted((machine.root / "lib/modules").glob(f"*/{UPDATES}/nvidia.ko")):
        version = re.search(r"^version: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if version:
            found.add(version[1])
            yield f"nvidia/{version[1]}, {path.parents[2].name}, x86_64: installed"
    for version_added, _ in _dkms_sources(machine):
        if version_added not in found:
            yield f"nvidia/{version_added}: added"


def nvidia_installer(machine: Machine, arguments: Sequence[str]) -> int:
    """What a runfile leaves to take itself away again: nvidia-uninstall is this one with --uninstall."""
    if "--uninstall" not in arguments:
        print("ERROR: Unable to find the kernel module sources of the driver to install.", file=sys.stderr)
        return 1
    record = machine.root / "var/lib/nvidia/log"
    if not record.is_file():
        print("ERROR: There is no NVIDIA driver currently installed.", file=sys.stderr)
        return 1
    version = record.read_text(encoding="utf-8").partition(":")[2].strip()
    names = [f"{LIBRARIES}/{name}.so.{end}" for name in ("libnvidia-ml", "libcuda") for end in (version, "1")]
    names += ["usr/bin/nvidia-installer", "usr/bin/nvidia-uninstall", "usr/bin/nvidia-smi"]
    names += ["usr/lib/modprobe.d/nvidia-installer-disable-nouveau.conf"]
    for name in names:
        (machine.root / name).unlink(missing_ok=True)
    record.unlink()
    record.parent.rmdir()
    module = machine.root / "lib/modules" / machine.release / UPDATES / "nvidia.ko"
    if module.is_file() and f"version: {version}\n" in module.read_text(encoding="utf-8"):
        module.unlink()
    print(
        "Uninstallation of existing driver: NVIDIA Accelerated Graphics Driver for Linux-x86_64 "
        f"({version}) is complete."
    )
    return 0


def nvidia_persistenced(machine: Machine, arguments: Sequence[str]) -> int:
    """The daemon that keeps the GPUs open, so that the driver stays initialised without a user."""
    if not machine.kernel.driver:
        print(
            "nvidia-persistenced failed to initialize. Check syslog for more details.",
            file=sys.stderr,
        )
        return 1
    if machine.library != machine.kernel.driver:
        print(
            "Failed to query NVIDIA devices. Please ensure that the NVIDIA device files (/dev/nvidia*) exist, and that "
            "user 0 has read and write permissions for those files.",
            file=sys.stderr,
        )
        return 1
    machine.persistence = True
    status = _hold(machine, "nvidia[0-9]*")
    machine.persistence = False
    return status


def nv_fabricmanager(machine: Machine, arguments: Sequence[str]) -> int:
    """The fabric manager: it serves the driver of exactly its own version; the first argument is that version."""
    version = next((word for word in arguments if re.fullmatch(r"\d+(\.\d+)+", word)), "")
    loaded = machine.kernel.driver
    if "--version" in arguments or "-v" in arguments:
        print(f"Fabric Manager version is : {version}")
        return 0
    if not machine.world.nvswitch:
        print(
            "request to query NVSwitch device information from NVSwitch driver failed with error:"
            "WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]",
            file=sys.stderr,
        )
        return 1
    if loaded != version:
        print(
            f"fabric manager NVIDIA GPU driver interface version {version} don't match with driver version {loaded}. "
            "Please update with matching NVIDIA driver package.",
            file=sys.stderr,
        )
        return 1
    machine.fabric = True
    status = _hold(machine, "nvidia-nvswitch*")
    machine.fabric = False
    return status


def _ready() -> None:
    """Tell systemd that the service serves, as sd_notify(3) does."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            # A name that begins with @ is in the abstract namespace.
            channel.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)


def _hold(machine: Machine, pattern: str) -> int:
    """Keep files of the driver open until the service is stopped."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with ExitStack() as opened:
        for path in sorted((machine.root / "dev").glob(pattern)):
            opened.enter_context(path.open("rb"))
        _ready()
        signal.sigwait(ends)
    return 0
