"""A host that lives: what its kernel has loaded now, who holds the GPUs, what a start finds on the disk.

Inside a node the root is / and the view of the kernel is mounted over /proc and /sys; a test takes a folder for both.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.gpus import drivers
from sandbox.gpus.files import (
    CREATED,
    LIBRARIES,
    LIBRARIES_RPM,
    NVIDIA_MODULES,
    OTHER_DRIVERS,
    SIMULATOR,
    UPDATES,
    Kernel,
    at_creation,
    built,
    devices,
    disk,
    libraries,
    needing,
    view,
)
from sandbox.gpus.tree import Link, write
from sandbox.gpus.world import World, read

# What the kernel shows, and where: the node's own view of it is covered. Not every kernel has every file.
_COVERED = ("proc/driver", "proc/modules", "sys/bus/pci", "sys/module", "sys/firmware")
# Who trains, in the image of the nodes.
TRAINER = "trainer"
# A distribution's kernel trusts its own key; that of DKMS is enrolled by hand, at the console.
TRUSTED = ("Canonical Ltd.", "Debian Secure Boot CA", "Red Hat")
_DENIALS = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")


class Refused(Exception):
    """The kernel or a program refuses; the text is what the real one says."""


@dataclass(frozen=True)
class Module:
    """A kernel module as a file: its path, and the lines that modinfo shows."""

    path: Path
    fields: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.fields.get("version", "")

    @property
    def flavour(self) -> str:
        return "open" if "GPL" in self.fields.get("license", "") else "proprietary"


class Machine:
    """One host below a root; C(state) holds what a restart forgets."""

    def __init__(self, root: Path = Path("/"), state: Path = Path("/run/fromzero-sim"), said: Any = None) -> None:
        self.root = root
        self.state = state
        self.release = platform.release()
        self.hostname = platform.node()
        if said is None:
            said = json.loads(Path(SIMULATOR, "world.json").read_text(encoding="utf-8"))
        self.world: World = read(said)

    @property
    def in_node(self) -> bool:
        """Whether this is a node, where files lie in the way of the real ones, and not a folder of a test."""
        return self.root == Path("/")

    # What is loaded

    @property
    def kernel(self) -> Kernel:
        """What the kernel has loaded now."""
        try:
            said = json.loads((self.state / "kernel.json").read_text(encoding="utf-8"))
        except OSError:
            return Kernel()
        return Kernel(said["driver"], said["flavour"], tuple(said["modules"]), tuple(said["other"]), said["lost"])

    @kernel.setter
    def kernel(self, kernel: Kernel) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "kernel.json").write_text(json.dumps(asdict(kernel)), encoding="utf-8")
        folder = self._view
        for name in ("proc/driver", "sys/module", "sys/bus/pci"):
            _empty(folder / name)
        write(folder, view(self.world, kernel, self.hostname))
        self._make_devices(kernel)

    @property
    def _view(self) -> Path:
        return self.state / "view" if self.in_node else self.root

    def _make_devices(self, kernel: Kernel) -> None:
        folder = self.root / "dev"
        folder.mkdir(exist_ok=True)
        wanted = devices(self.world, kernel)
        for path in folder.glob("nvidia*"):
            if path.name not in wanted:
                path.unlink()
        for name in wanted:
            path = folder / name
            if path.exists():
                continue
            if self.in_node:
                # No driver is behind number 195: opening such a node fails. /dev/full is one that nobody else opens.
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
                path.chmod(0o666)
            else:
                path.touch()

    def holders(self, module: str = "nvidia") -> dict[int, str]:
        """The processes that have a file of a module open: pid -> command."""
        found = {}
        prefix = f"{self.root / 'dev' / module.replace('_', '-')}"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if any(str(link.readlink()).startswith(prefix) for link in (folder / "fd").iterdir()):
                    found[int(folder.name)] = (folder / "comm").read_text(encoding="utf-8").strip()
            except OSError:
                # It ended meanwhile, or belongs to somebody else.
                continue
        return found

    # What lies on the disk

    @property
    def library(self) -> str | None:
        """The version of the library that programs load, by the end of its link."""
        links = (self.root / folder / "libnvidia-ml.so.1" for folder in (LIBRARIES, LIBRARIES_RPM))
        return next((link.resolve().name.partition(".so.")[2] for link in links if link.is_file()), None)

    def module(self, name: str) -> Module | None:
        """The module that modprobe would take: updates come before the kernel's own."""
        folder = self.root / "lib/modules" / self.release
        # The driver's other modules come with the first.
        wanted = "nvidia" if name in NVIDIA_MODULES else name
        spellings = {f"{wanted.replace('_', sign)}.ko" for sign in "_-"}
        found = [path for path in folder.rglob("*.ko*") if path.name.partition(".ko")[0] + ".ko" in spellings]
        if not found:
            return None
        return self.module_at(min(found, key=lambda path: (path.relative_to(folder).parts[0] != "updates", str(path))))

    def module_at(self, path: Path) -> Module | None:
        """The module that is a file."""
        if not path.is_file():
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
        return Module(path, {key: value.strip() for key, _, value in (line.partition(":") for line in lines)})

    def denies(self, name: str) -> bool:
        """Whether a file of modprobe.d keeps a module from being loaded by itself."""
        return any(_denies(text, name) for _, text in self.modprobe_files())

    def modprobe_files(self) -> Iterator[tuple[str, str]]:
        """The files that modprobe reads: path from the root -> text; a folder that is a link of another counts once."""
        folders = dict.fromkeys((self.root / name).resolve() for name in _DENIALS)
        for folder in folders:
            for path in sorted(folder.glob("*.conf")):
                name = path.relative_to(self.root.resolve())
                yield str(name), path.read_text(encoding="utf-8")

    def install_command(self, name: str) -> str | None:
        """The command that modprobe runs in place of loading a module, null where there is none."""
        lines = [line.split() for _, text in self.modprobe_files() for line in text.splitlines()]
        named = (line for line in lines if line[:1] == ["install"] and line[1].replace("-", "_") == name)
        return next((line[2] for line in named if len(line) > 2), None)

    @property
    def image(self) -> Path:
        """The initramfs of the running kernel: here a list of the names in it."""
        folder = self.root / "boot"
        dracut = folder / f"initramfs-{self.release}.img"
        return dracut if dracut.is_file() else folder / f"initrd.img-{self.release}"

    def image_loads(self, name: str) -> bool:
        """Whether the initramfs of the running kernel would load a module: it is in it, and no file in it denies it."""
        names = self.image.read_text(encoding="utf-8").split() if self.image.is_file() else []
        if not any(Path(entry).stem.replace("-", "_") == name and entry.endswith(".ko") for entry in names):
            return False
        texts = dict(self.modprobe_files())
        return not any(_denies(text, name) for path, text in texts.items() if path in names or path[4:] in names)

    # What changes it

    def insert(self, name: str) -> None:
        """Load a module, as the kernel does when modprobe asks.

        :raises Refused: with the words of modprobe.
        """
        kernel = self.kernel
        if name in (*kernel.modules, *kernel.other):
            return
        module = self.module(name)
        if module is None:
            raise Refused(f"FATAL: Module {name} not found in directory /lib/modules/{self.release}")
        if module.fields.get("vermagic", self.release).split()[0] != self.release:
            raise Refused(f"ERROR: could not insert '{name}': Exec format error")
        if self.world.secure_boot and not self._trusts(module):
            raise Refused(f"ERROR: could not insert '{name}': Key was rejected by service")
        if name in OTHER_DRIVERS:
            self.kernel = replace(kernel, other=(*kernel.other, name))
            return
        if kernel.driver:
            version, flavour = kernel.driver, kernel.flavour
        else:
            version, flavour = module.version, module.flavour
        if kernel.other or not any(drivers.runs(gpu, version, flavour) for gpu in self.world.nvidia):
            raise Refused(f"ERROR: could not insert '{name}': No such device")
        wanted = {"nvidia", name, *(["nvidia_modeset"] if name == "nvidia_drm" else [])}
        # udev and the packages' softdep lines bring the others along with the first.
        loaded = NVIDIA_MODULES if name == "nvidia" else [m for m in NVIDIA_MODULES if m in wanted | {*kernel.modules}]
        self.kernel = Kernel(version, flavour, tuple(loaded), kernel.other, kernel.lost)

    def _trusts(self, module: Module) -> bool:
        """Whether Secure Boot lets a module in: it came with the kernel, or one of its keys has signed it."""
        own = self.root / "lib/modules" / self.release / "kernel"
        return module.path.is_relative_to(own) or module.fields.get("signer", "").startswith(TRUSTED)

    def in_use(self, name: str) -> str | None:
        """Why a module cannot be removed, in the kernel's words; null where it can."""
        kernel = self.kernel
        by = needing(kernel, name)
        if by:
            return f"Module {name} is in use by: {' '.join(by)}"
        if name in OTHER_DRIVERS:
            return f"Module {name} is in use" if self.world.blockers.in_use else None
        if name in ("nvidia", "nvidia_uvm") and self.holders(name):
            return f"Module {name} is in use"
        return None

    def remove(self, name: str) -> None:
        """Unload a module.

        :raises Refused: with the words of rmmod.
        """
        kernel = self.kernel
        if name not in (*kernel.modules, *kernel.other):
            raise Refused(f"ERROR: Module {name} is not currently loaded")
        reason = self.in_use(name)
        if reason:
            raise Refused(f"ERROR: {reason}")
        modules = tuple(module for module in kernel.modules if module != name)
        other = tuple(module for module in kernel.other if module != name)
        driver = kernel.driver if "nvidia" in modules else None
        self.kernel = Kernel(driver, kernel.flavour, modules, other, kernel.lost)

    # What starts it

    def create(self) -> None:
        """Make the disk of the world, and the moment at which it begins."""
        write(self.root, disk(self.world, self.release))
        debs = sorted(str(path) for path in Path(SIMULATOR, "packages").glob("*.deb"))
        if debs:
            # What a world says need not be what dpkg would allow: branches mixed, a package left half configured.
            quiet = ["--force-all", "--force-unsafe-io", "--install"]
            subprocess.run(["dpkg", *quiet, *debs], check=False, capture_output=True)
            # Who installed a driver by its name has the rest for its sake: apt would remove that with it.
            needed = {Path(deb).name.partition("_")[0] for deb in debs} - {one.name for one in self.world.packages}
            subprocess.run(["apt-mark", "-qq", "auto", *sorted(needed)], check=False, capture_output=True)
        self._as_said()
        write(self.root, {path: Link(f"{SIMULATOR}/{Path(path).name}") for path in PROGRAMS})
        self.cover()
        self.kernel = at_creation(self.world)
        self.persistence = self.world.driver.persistence
        self._employ()
        self._users()
        (self.root / CREATED.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _as_said(self) -> None:
        """Where packages brought more or less than the world has, the world is right."""
        write(self.root, libraries(self.world))
        (self.root / "lib/modules" / self.release / UPDATES / "nvidia.ko").unlink(missing_ok=True)
        write(self.root, built(self.world.driver, self.release))
        status = self.root / "var/lib/dpkg/status"
        text = status.read_text(encoding="utf-8") if self.world.packages else ""
        for package in self.world.packages:
            record = rf"(?m)(^Package: {re.escape(package.name)}\nStatus: ).*"
            text, found = re.subn(record, rf"\g<1>{package.state}", text)
            if not found:
                raise Refused(f"dpkg has not installed {package.name} {package.version}.")
        if text:
            status.write_text(text, encoding="utf-8")

    def boot(self) -> None:
        """Start anew, unless this is the first start of a node, which has no disk yet."""
        if (self.root / CREATED.lstrip("/")).is_dir():
            self.cover()
            self.boot_now()

    def boot_now(self) -> None:
        """Take what is installed now. Other drivers come first, unless a file denies them, also in the initramfs."""
        other = (name for name in self.world.blockers.loaded if not self.denies(name) or self.image_loads(name))
        self.kernel = Kernel(other=tuple(other))
        self.persistence = self.fabric = False
        if self.module("nvidia") and self.world.nvidia:
            try:
                self.insert("nvidia")
            except Refused as refused:
                print(f"modprobe: {refused}")

    def cover(self) -> None:
        """Mount the view of the kernel where programs look for it."""
        if not self.in_node:
            return
        write(self._view, view(self.world, Kernel(), self.hostname))
        for name in _COVERED:
            target, source = Path("/", name), self._view / name
            if source.exists() and target.exists() and not source.samefile(target):
                subprocess.run(["mount", "--bind", str(source), str(target)], check=True)

    @property
    def persistence(self) -> bool:
        """Persistence mode, as nvidia-smi -pm or the daemon has set it."""
        return (self.state / "persistence").exists()

    @persistence.setter
    def persistence(self, on: bool) -> None:
        self._mark("persistence", on)

    @property
    def fabric(self) -> bool:
        """Whether a fabric manager serves the NVSwitches."""
        return (self.state / "fabric").exists()

    @fabric.setter
    def fabric(self, on: bool) -> None:
        self._mark("fabric", on)

    def _mark(self, name: str, on: bool) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if on:
            (self.state / name).touch()
        else:
            (self.state / name).unlink(missing_ok=True)

    def _employ(self) -> None:
        """Start the services that the world's packages brought, where its driver runs."""
        if not self.in_node or not self.world.driver.loaded:
            return
        wanted = {"nvidia-persistenced": self.world.driver.persistence, "nvidia-fabricmanager": self.world.nvswitch > 0}
        for name, on in wanted.items():
            if on and Path(f"/lib/systemd/system/{name}.service").is_file():
                subprocess.run(["systemctl", "enable", "--quiet", "--now", f"{name}.service"], check=False)

    def _users(self) -> None:
        """A process for each user of the GPUs; it is what it says, but for what it does."""
        folder = self.state / "users"
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.world.users:
            program = folder / name
            write(folder, {name: Link(shutil.which("sleep") or "/usr/bin/sleep")})
            # What CUDA has open: the GPU, and unified memory.
            with (self.root / "dev/nvidia0").open("rb") as gpu, (self.root / "dev/nvidia-uvm").open("rb") as memory:
                subprocess.Popen(
                    [program, "infinity"],
                    stdin=gpu,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[memory.fileno()],
                    start_new_session=True,
                    user=TRAINER if self.in_node else None,
                )


# In the place of the distribution's, which would ask the kernel of the machine that carries the node.
PROGRAMS = (
    *("usr/bin/lsinitramfs", "usr/bin/lsmod", "usr/bin/mokutil"),
    *("usr/sbin/lsmod", "usr/sbin/modinfo", "usr/sbin/modprobe", "usr/sbin/rmmod", "usr/sbin/update-initramfs"),
)


def _denies(text: str, name: str) -> bool:
    words = [line.split() for line in text.splitlines()]
    named = [line for line in words if len(line) > 1 and line[1].replace("-", "_") == name]
    return any(
        line[0] == "blacklist" or (line[2:] and Path(line[2]).name in ("false", "true", "off")) for line in named
    )


def _empty(folder: Path) -> None:
    """Remove what lies in a folder and keep the folder: it may be mounted elsewhere."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
