"""lsmod, modprobe, rmmod and modinfo of a simulated host; what they do not simulate goes to the real ones.

The words are those of kmod (tools/*.c), read in its source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.gpus.files import NEEDS, NVIDIA_MODULES, OTHER_DRIVERS, listing
from sandbox.gpus.machine import Machine, Refused

_OURS = (*NVIDIA_MODULES, *OTHER_DRIVERS)


def lsmod(machine: Machine, arguments: Sequence[str]) -> int:
    print("Module                  Size  Used by")
    for line in listing(machine.kernel):
        name, size, count, by, *_ = line.split()
        used = int(count) + (len(machine.holders(name)) if name in ("nvidia", "nvidia_uvm") else 0)
        used += machine.world.blockers.in_use if name in OTHER_DRIVERS else 0
        print(f"{name:<19} {size:>8}  {used} {by.rstrip(',') if by != '-' else ''}".rstrip())
    return 0


def modprobe(machine: Machine, arguments: Sequence[str]) -> int:
    flags = {word for word in arguments if word.startswith("-")}
    names = [_canonical(word) for word in arguments if not word.startswith("-")]
    names = [name for name in names if "=" not in name]
    if not names or any(name not in _OURS for name in names):
        os.execv("/usr/bin/kmod", ["modprobe", *arguments])
    quiet = bool(flags & {"-q", "--quiet"})
    if flags & {"-r", "--remove"}:
        return _modprobe_remove(machine, names, quiet)
    if not flags & {"-a", "--all"}:
        # What follows the first name are parameters of the module.
        names = names[:1]
    if flags & {"-D", "--show-depends", "-n", "--dry-run"}:
        for name in names:
            module = machine.module(name)
            if module is None:
                return _say("modprobe", f"FATAL: Module {name} not found in directory /lib/modules/{machine.release}")
            print(f"insmod {module.path} ")
        return 0
    for name in names:
        if flags & {"-b", "--use-blacklist"} and machine.denies(name):
            continue
        command = machine.install_command(name)
        if command and Path(command).name == "true":
            continue
        try:
            if command:
                raise Refused(f"ERROR: could not insert '{name}': Invalid argument")
            _needs_root(machine, name, "insert")
            machine.insert(name)
        except Refused as refused:
            return 1 if quiet else _say("modprobe", str(refused))
    return 0


def _modprobe_remove(machine: Machine, names: Sequence[str], quiet: bool) -> int:
    for name in names:
        loaded = (*machine.kernel.modules, *machine.kernel.other)
        if name not in loaded:
            # kmod has nothing to do, unless it does not know the module at all.
            if machine.module(name) is None and not quiet:
                return _say("modprobe", f"FATAL: Module {name} not found.")
            continue
        reason = machine.in_use(name)
        if reason:
            return 1 if quiet else _say("modprobe", f"FATAL: Module {name} is in use.")
        try:
            _needs_root(machine, name, "remove")
            machine.remove(name)
        except Refused as refused:
            return _say("modprobe", str(refused))
        # What only this module needed goes with it.
        needed = NEEDS.get(name)
        if needed in machine.kernel.modules and machine.in_use(needed) is None:
            _modprobe_remove(machine, [needed], quiet)
    return 0


def rmmod(machine: Machine, arguments: Sequence[str]) -> int:
    names = [_canonical(word) for word in arguments if not word.startswith("-")]
    if not names:
        return _say("rmmod", "ERROR: missing module name.")
    status = 0
    for name in names:
        try:
            if name in (*machine.kernel.modules, *machine.kernel.other) and machine.in_use(name) is None:
                _needs_root(machine, name, "remove")
            machine.remove(name)
        except Refused as refused:
            status = _say("rmmod", str(refused))
    return status


def modinfo(machine: Machine, arguments: Sequence[str]) -> int:
    words = list(arguments)
    wanted = None
    names = []
    while words:
        word = words.pop(0)
        if word in ("-F", "--field") and words:
            wanted = words.pop(0)
        elif word.startswith("--field="):
            wanted = word.partition("=")[2]
        elif word in ("-k", "--set-version") and words:
            machine.release = words.pop(0)
        elif word in ("-n", "--filename"):
            wanted = "filename"
        elif not word.startswith("-"):
            names.append(word)
    status = 0
    for name in names:
        module = machine.module_at(Path(name)) if "/" in name else machine.module(_canonical(name))
        if module is None:
            status = _say("modinfo", f"ERROR: Module {name} not found.")
            continue
        fields = {"filename": str(module.path), **module.fields}
        if wanted is None:
            for key, value in fields.items():
                print(f"{key + ':':<15} {value}")
        elif wanted in fields:
            print(fields[wanted])
    return status


def _canonical(name: str) -> str:
    return name.replace("-", "_") if "/" not in name else name


def _needs_root(machine: Machine, name: str, what: str) -> None:
    if os.geteuid() != 0 and machine.in_node:
        raise Refused(f"ERROR: could not {what} '{name}': Operation not permitted")


def _say(program: str, text: str) -> int:
    print(f"{program}: {text}", file=sys.stderr)
    return 1
