"""What lies on the nodes and on the control node, and what of it an undisturbed run does not leave."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.soak.runs import TEMPORARY
from bench.soak.world import World

FOLDERS = (
    "/dev/shm",
    "/etc",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/var/cache/apt",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/tmp",
)
# Left out, and why:
IGNORED = re.compile(
    "|".join(
        (
            r"/\.cache(/|$)",  # caches of uv and pip only save time, and fill by themselves
            r"/__pycache__(/|$)|\.pyc$",  # so does bytecode: which file is imported first is chance
            r"^/run/(systemd|user|log|udev|dbus|motd|utmp|credentials|initctl|nologin)",  # systemd's own
            r"^/srv/before",  # the tool's own copy
            r"^/tmp/ansible_[\w.]+_payload_",  # the code of a module that was killed; Ansible itself unpacks it there
            r"/\.ansible/tmp/ansible-tmp-",  # Ansible's own folder for a task; it stays where the run was killed
            r"/\.local/state/ds-launch/",  # logs of launches
            r"/systemd-private-",  # services of systemd, at each boot
            r"^/etc/(\.pwd\.lock|ld\.so\.cache|ssl/certs)",  # written by Debian's triggers
            r"^/var/lib/apt/(lists/[^/]*$|periodic|extended_states)",  # the age of the lists is no run's business
            r"^/var/cache/apt/[^/]*\.bin$|^/var/cache/apt/archives/[^/]*\.deb$",  # apt's caches
            r"^/var/lib/dpkg/(info|.*-old|available|triggers)",  # dpkg's own history
            r"^/home/[^/]+/\.triton|^/tmp/torchinductor|/torch_extensions(/|$)",  # kernels, compiled at a first use
            r"/pkgs/cache(/|$)",  # conda's lists of packages
        )
    )
)
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")
_LIST = rf"find {' '.join(FOLDERS)} -xdev -printf '%y %m %u %p\n' 2>/dev/null || true"
# Processes that a run may leave behind; those of systemd and of logged-in sessions come and go.
_PROCESSES = r"""
ps -eo user:20,args --no-headers | grep -E 'ansible|AnsiballZ|wheel|uv |pip|cc1plus|setup\.py|deepspeed|sudo' |
grep -vE 'grep|ps -eo' || true
"""
# Where a task may have put a key for a moment.
_KEYS = r"""
find /tmp /var/tmp /home/*/.ansible /root/.ansible -xdev -type f -size -128k \
  -exec grep -l 'PRIVATE KEY' {} + 2>/dev/null || true
"""
SECRETS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|b3BlbnNzaC1rZXktdjE")


def normalised(path: str) -> str:
    """A path without what differs from run to run: numbers, sums, random endings."""
    return _NUMBERS.sub("#", path)


def entries(listing: str) -> Counter[str]:
    """The lines of a listing, normalised and counted."""
    found: Counter[str] = Counter()
    for line in listing.splitlines():
        kind, mode, owner, path = line.split(" ", 3)
        if not IGNORED.search(path):
            found[f"{kind} {mode} {owner} {normalised(path)}"] += 1
    return found


def counts(found: str) -> bool:
    """Whether a sentence of a trial counts, by what is left out today."""
    path = found.rpartition(" /")[2]
    return not (found.startswith("left: ") and IGNORED.search(f"/{path}"))


def on_node(world: World, node: str) -> Counter[str]:
    """What lies on a node, and what still runs there."""
    found = entries(world.shell(node, _LIST))
    found.update(f"process {normalised(line)}" for line in world.shell(node, _PROCESSES).splitlines())
    found.update(f"private key in {normalised(line)}" for line in world.shell(node, _KEYS).splitlines())
    found.update(f"dpkg: {line}" for line in world.shell(node, "dpkg --audit").splitlines())
    return found


def on_control(folders: Iterable[Path]) -> Counter[str]:
    """What lies in folders of the control node."""
    found: Counter[str] = Counter()
    for folder in folders:
        for path in folder.rglob("*"):
            if not IGNORED.search(str(path)):
                kind = "d" if path.is_dir() else "f"
                found[f"{kind} {path.stat().st_mode & 0o777:o} {normalised(str(path.relative_to(folder.parent)))}"] += 1
    return found


def everywhere(world: World) -> dict[str, Counter[str]]:
    """The listing of each place; no node is called control."""
    listings = {node: on_node(world, node) for node in world.names}
    return {**listings, "control": on_control([world.artifacts, world.folder / TEMPORARY])}


def differences(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> list[str]:
    """What is there too much (+) or too little (-), one sentence each."""
    found: list[str] = []
    for place, entries_after in after.items():
        for sign, more, less in (("+", entries_after, before[place]), ("-", before[place], entries_after)):
            found += [f"{place} {sign} {entry}" for entry in sorted((more - less).elements())]
    return found


def secrets(folders: Iterable[Path]) -> list[str]:
    """The files in folders that hold a private key: what runs print, and what they leave on the control node."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if SECRETS.search(path.read_text(encoding="utf-8", errors="replace"))]
