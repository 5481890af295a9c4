# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel module of NVIDIA's driver: loaded as it lies on the disk, or why that takes a reboot.

The host is read and its programs are run through a Host, so that a folder and a function can stand for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu import driver
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed

# Those that need others come first.
MODULES = ("nvidia_peermem", "nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia")
_INITRAMFS = (
    ("lsinitramfs", "boot/initrd.img-{release}", ("update-initramfs", "-u", "-k", "all")),
    ("lsinitrd", "boot/initramfs-{release}.img", ("dracut", "--force", "--regenerate-all")),
)
_KEY_REJECTED = re.compile(r"Key was rejected|Required key not available", re.IGNORECASE)


class KernelModuleError(RuntimeError):
    """The module cannot be made to run, and a reboot would not help; the text is a sentence for the user."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    :ivar loaded: whether the module should be loaded, as it lies on the disk, or not at all.
    :ivar denied: other drivers of the GPUs, which are kept from loading. deny_file: the file that says so.
    :ivar services: units that hold the GPUs: stopped before the module is taken out, and started behind it.
    """

    release: str
    loaded: bool
    denied: Sequence[str]
    deny_file: Path
    services: Sequence[str]


@dataclass
class Outcome:
    """What was found and done.

    :ivar reboot: why only a reboot of the host helps, as a sentence; empty where none is needed.
    """

    changed: bool = False
    loaded: str | None = None
    reboot: str = ""
    done: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


def deny_text(names: Sequence[str]) -> str:
    """What a file of modprobe.d says to keep drivers from loading by themselves."""
    lines = ["# Written by fromzero.deepspeed: these drivers would take the GPUs before NVIDIA's does."]
    for name in names:
        lines.append(f"blacklist {name}")
        if name == "nouveau":
            lines.append("options nouveau modeset=0")
    return "\n".join(lines) + "\n"


def ensure(host: Host, wish: Wish, check: bool) -> Outcome:
    """Make it so, or say what would be done.

    :raises KernelModuleError: the module is missing, the kernel refuses it, or the initramfs cannot be written.
    """
    outcome = Outcome()
    _deny(host, wish, outcome, check)
    present, kind = driver.loaded(host)
    if wish.loaded:
        _enable(host, wish, outcome, check)
        _built(host, wish, outcome, check)
        files = driver.module_files(host)
        target = driver.module_facts(host, files[wish.release]) if wish.release in files else (None, None)
        if present is None or (present, kind or target[1]) != target:
            _exchange(host, wish, outcome, check)
        if not outcome.reboot:
            _start(host, wish, outcome, check)
    elif present is not None or _taken(host, wish):
        outcome.reboot = _busy(host) if present else ""
        if not check and not outcome.reboot:
            with _stopped(host, wish.services, outcome, restore=False):
                outcome.reboot = _free(host, wish) or _unload(host)
        if not outcome.reboot:
            outcome.changed = True
            outcome.done.append("unloaded the module")
    outcome.loaded = driver.loaded(host)[0]
    return outcome


# Other drivers


def _deny(host: Host, wish: Wish, outcome: Outcome, check: bool) -> None:
    if not wish.denied:
        return
    path = host.root / str(wish.deny_file).lstrip("/")
    outcome.before = path.read_text(encoding="utf-8") if path.is_file() else ""
    outcome.after = deny_text(wish.denied)
    if outcome.before != outcome.after:
        outcome.changed = True
        outcome.done.append(f"denied {', '.join(wish.denied)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, outcome.after, 0o644)
    for tool, image, rebuild in _INITRAMFS:
        name = image.format(release=wish.release)
        if host.is_there(name) and _would_load(host.said(tool, str(host.root / name)), wish):
            outcome.changed = True
            outcome.done.append("rebuilt the initramfs")
            if not check:
                _rebuild(host, wish, (tool, name), rebuild)


def _would_load(listed: str, wish: Wish) -> bool:
    """Whether an image holds a driver that is denied, and not the file that denies it."""
    held = any(re.search(rf"/{name.replace('_', '[-_]')}\.ko", listed) for name in wish.denied)
    return held and f"modprobe.d/{wish.deny_file.name}" not in listed


def _rebuild(host: Host, wish: Wish, proof: tuple[str, str], command: Sequence[str]) -> None:
    tool, image = proof
    done = host.run(command)
    if done is None or done.rc != 0:
        why = done.last_words if done else f"there is no {command[0]}"
        raise KernelModuleError(
            f"The initramfs cannot be rebuilt ({why}), so {wish.denied[0]} would take the GPUs at the next start; run "
            f"'{' '.join(command)}' and run again."
        )
    if _would_load(host.said(tool, str(host.root / image)), wish):
        raise KernelModuleError(
            f"/{image} still loads {', '.join(wish.denied)} after '{' '.join(command)}': {wish.deny_file} is not in "
            "it; see how this system makes its initramfs."
        )


# The module on disk


def _built(host: Host, wish: Wish, outcome: Outcome, check: bool) -> None:
    """Have DKMS compile what is missing for the running kernel: the libraries' own version."""
    files = driver.module_files(host)
    on_disk = driver.module_facts(host, files[wish.release])[0] if wish.release in files else None
    library = driver.library(host)[0]
    if on_disk is not None and library in (None, on_disk):
        return
    outcome.changed = True
    outcome.done.append(f"had DKMS compile the module for {wish.release}")
    if check:
        return
    done = host.run(["dkms", "autoinstall", "-k", wish.release])
    if done is None:
        raise KernelModuleError(
            f"No module of NVIDIA's driver {library or ''} is on disk for the running kernel {wish.release}, and there "
            "is no dkms to compile it; install the driver's packages for this kernel, or restart into the newest one."
        )
    files = driver.module_files(host)
    on_disk = driver.module_facts(host, files[wish.release])[0] if wish.release in files else None
    if on_disk is None or library not in (None, on_disk):
        raise KernelModuleError(
            f"DKMS has not compiled NVIDIA's driver {library or ''} for the running kernel {wish.release}: "
            f"{done.last_words or 'it found nothing to compile'}. Its log is /var/lib/dkms/nvidia/*/build/make.log; "
            "headers of this kernel are needed, and a compiler that fits it."
        )


# The module in the kernel


def _exchange(host: Host, wish: Wish, outcome: Outcome, check: bool) -> None:
    present = driver.loaded(host)[0]
    if present is not None:
        outcome.reboot = _busy(host)
    if not check and not outcome.reboot:
        outcome.reboot = _free(host, wish)
    if not check and not outcome.reboot:
        with _stopped(host, wish.services, outcome):
            outcome.reboot = _unload(host)
            if not outcome.reboot:
                _load(host, wish)
    if not outcome.reboot:
        outcome.changed = True
        outcome.done.append("reloaded the module" if present else "loaded the module")


def _taken(host: Host, wish: Wish) -> list[str]:
    """The other drivers that are loaded; those that need others come first."""
    return [name for name in reversed(wish.denied) if host.is_there(f"sys/module/{name}")]


def _free(host: Host, wish: Wish) -> str:
    """Take other drivers off the GPUs; why that did not work, empty where it did."""
    for name in _taken(host, wish):
        done = host.run(["modprobe", "-r", name])
        if host.is_there(f"sys/module/{name}"):
            words = done.last_words if done else "there is no modprobe"
            return (
                f"{name} has the GPUs and cannot be taken out of the running kernel ({words}); it is denied from the "
                "next start on."
            )
    return ""


def _busy(host: Host) -> str:
    users = driver.users(host)
    if not users:
        return ""
    several = listed([f"{user['command']} ({user['pid']})" for user in users], most=4)
    module, library = driver.loaded(host)[0], driver.library(host)[0]
    return (
        f"The kernel runs NVIDIA's module {module}, the libraries are of {library or 'no driver'}, and "
        f"the module cannot be taken out while processes use the GPUs: {several}."
    )


def _unload(host: Host) -> str:
    """Take all parts of the module out; why that did not work, empty where it did."""
    gone: list[str] = []
    for name in MODULES:
        if not host.is_there(f"sys/module/{name}"):
            continue
        done = host.run(["modprobe", "-r", name])
        if done is None or done.rc != 0:
            for part in reversed(gone):
                host.run(["modprobe", part])
            words = done.last_words if done else "there is no modprobe"
            why = (
                _busy(host) or f"The NVIDIA module {driver.loaded(host)[0]} cannot be taken out of the kernel: {words}"
            )
            return why
        gone.append(name)
    return ""


def _load(host: Host, wish: Wish) -> None:
    done = host.run(["modprobe", "nvidia"])
    if done is not None and done.rc == 0:
        host.run(["modprobe", "nvidia_uvm"])
        return
    words = done.last_words if done else "there is no modprobe"
    if _KEY_REJECTED.search(words):
        raise KernelModuleError(
            f"Secure Boot keeps the kernel from loading NVIDIA's module ({words}): nobody whom the firmware knows has "
            "signed it. Enrol the key that DKMS signs with (mokutil --import, then the console at the next start), "
            "take modules that the distribution has signed, or switch Secure Boot off."
        )
    raise KernelModuleError(
        f"NVIDIA's module for {wish.release} is on disk and cannot be loaded ({words}); dmesg says why, in lines with "
        "NVRM."
    )


# The services around it


@contextmanager
def _stopped(host: Host, services: Sequence[str], outcome: Outcome, restore: bool = True) -> Iterator[None]:
    """Stop the services that hold the GPUs, as long as the module is worked on; what ran is started again."""
    ran = [name for name in services if _state(host, name) == "active"]
    for name in ran:
        host.run(["systemctl", "stop", name])
    try:
        yield
    finally:
        if restore or outcome.reboot:
            for name in reversed(ran):
                host.run(["systemctl", "start", name])


def _enable(host: Host, wish: Wish, outcome: Outcome, check: bool) -> None:
    for name in wish.services:
        asked = host.run(["systemctl", "is-enabled", name])
        if asked is not None and asked.stdout.strip() == "disabled":
            outcome.changed = True
            outcome.done.append(f"enabled {name}")
            if not check:
                host.run(["systemctl", "enable", name])


def _start(host: Host, wish: Wish, outcome: Outcome, check: bool) -> None:
    for name in wish.services:
        if _state(host, name) in ("active", ""):
            continue
        outcome.changed = True
        outcome.done.append(f"started {name}")
        if check:
            continue
        done = host.run(["systemctl", "restart", name])
        if done is None or done.rc != 0 or _state(host, name) != "active":
            raise KernelModuleError(
                f"The service {name} does not start beside the driver {driver.loaded(host)[0]}: "
                f"{_last_log(host, name) or (done.last_words if done else '')}"
            )


def _state(host: Host, name: str) -> str:
    """active, inactive, failed; empty where there is no such unit or no systemd."""
    asked = host.run(["systemctl", "is-active", name])
    if asked is None or host.said("systemctl", "cat", name) == "":
        return ""
    return asked.stdout.strip()


def _last_log(host: Host, name: str) -> str:
    lines = host.said("journalctl", "--unit", name, "--output", "cat", "--lines", "20", "--no-pager").splitlines()
    told = [line for line in lines if not line.startswith(("Started", "Starting", "Stopped", "Failed to start"))]
    return next((line.strip() for line in reversed(told) if "systemd" not in line and "exited" not in line), "")
