"""Many light ssh targets on this machine: containers of the sandbox's image that run sshd and nothing else."""

from __future__ import annotations

import json
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox import engine, image
from sandbox.shell import BUILD, SandboxError, run

USER = "trainer"
# docker serialises most of a start: more threads only queue.
WORKERS = 4
BOOT_SECONDS = 60
# What a target is before anything was done to it; `reset` puts it back.
_START = """
ssh-keygen -q -A && mkdir -p /run/sshd /pristine
printf '%s\\n' "$ADMIT" > /pristine/authorized_keys && cp /etc/hosts /pristine/hosts
/usr/local/bin/reset-target
cat /etc/ssh/ssh_host_ed25519_key.pub
exec /usr/sbin/sshd -D
"""
_RESET = """#!/bin/sh -e
rm -rf /home/trainer/.ssh /etc/ssh/ssh_known_hosts /etc/ssh/ssh*_config.d/*fromzero*
install -d -m 700 -o trainer -g trainer /home/trainer/.ssh
install -m 600 -o trainer -g trainer /pristine/authorized_keys /home/trainer/.ssh/authorized_keys
cat /pristine/hosts > /etc/hosts
"""

# Processor time of a container, by the name of its file in version 1 and 2 of control groups.
_USAGE: dict[str, Callable[[str], float]] = {
    "cpuacct/docker/{}/cpuacct.usage": lambda text: int(text) / 1e9,
    "*.slice/docker-{}.scope/cpu.stat": lambda text: int(text.split()[1]) / 1e6,
    "docker/{}/cpu.stat": lambda text: int(text.split()[1]) / 1e6,
}


@dataclass(frozen=True)
class Targets:
    """Running targets, and what it takes to reach them.

    :param addresses: by alias, in order.
    :param options: what ssh needs to log in, with host keys checked.
    """

    folder: Path
    prefix: str
    addresses: dict[str, str]
    options: list[str]

    def inventory(self, count: int) -> Path:
        """Write the inventory of the first targets, as a user would."""
        folder = self.folder / str(count)
        folder.mkdir(exist_ok=True)
        hosts = {name: {"ansible_host": address} for name, address in list(self.addresses.items())[:count]}
        variables = {
            "ansible_user": USER,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": " ".join(self.options),
        }
        path = folder / "hosts.yml"
        path.write_text(yaml.safe_dump({"nodes": {"hosts": hosts, "vars": variables}}, sort_keys=False), "utf-8")
        return path

    def cpu(self) -> float:
        """The seconds of processor time that all targets have used so far; 0 where this kernel does not tell."""
        total = 0.0
        for container in run(["docker", "ps", "--quiet", "--no-trunc", "--filter", f"name={self.prefix}-"]).split():
            for pattern, read in _USAGE.items():
                for file in Path("/sys/fs/cgroup").glob(pattern.format(container)):
                    total += read(file.read_text(encoding="utf-8"))
        return total

    def reset(self, count: int) -> None:
        """Take away all that was done to the first targets."""
        with ThreadPoolExecutor(WORKERS) as pool:
            containers = [f"{self.prefix}-{name}" for name in list(self.addresses)[:count]]
            list(pool.map(lambda name: run(["docker", "exec", name, "reset-target"]), containers))
        shutil.rmtree(self.folder / str(count), ignore_errors=True)


@contextmanager
def targets(count: int) -> Iterator[Targets]:
    """So many targets on a network of their own; they and all that belongs to them go at the end."""
    engine.ensure()
    node = image.ensure()
    prefix = f"fromzero-bench-{uuid.uuid4().hex[:8]}"
    folder = BUILD / prefix
    folder.mkdir(parents=True)
    key = folder / "id_ed25519"
    names = [f"node{number}" for number in range(1, count + 1)]
    try:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)])
        (folder / "reset-target").write_text(_RESET, encoding="utf-8")
        (folder / "reset-target").chmod(0o755)
        run(["docker", "network", "create", prefix])
        admit = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda name: _start(prefix, name, node, admit, folder), names))
        addresses = _addresses(prefix, names)
        known = "".join(f"{addresses[name]} {_host_key(f'{prefix}-{name}')}\n" for name in names)
        (folder / "known_hosts").write_text(known, encoding="utf-8")
        options = ["-i", str(key), "-o", f"UserKnownHostsFile={folder}/known_hosts", "-o", "StrictHostKeyChecking=yes"]
        for address in addresses.values():
            _wait(address)
        yield Targets(folder, prefix, addresses, options)
    finally:
        _remove(prefix, names)
        shutil.rmtree(folder, ignore_errors=True)


def _start(prefix: str, name: str, node: str, admit: str, folder: Path) -> None:
    run(
        [
            *("docker", "run", "--detach", "--init", "--name", f"{prefix}-{name}", "--hostname", name),
            *("--network", prefix, "--env", f"ADMIT={admit}"),
            *("--volume", f"{folder}/reset-target:/usr/local/bin/reset-target:ro"),
            *(node, "sh", "-ec", _START),
        ]
    )


def _addresses(prefix: str, names: Sequence[str]) -> dict[str, str]:
    found = json.loads(run(["docker", "inspect", *(f"{prefix}-{name}" for name in names)]))
    return {
        name: settings["NetworkSettings"]["Networks"][prefix]["IPAddress"]
        for name, settings in zip(names, found, strict=True)
    }


def _host_key(container: str) -> str:
    """The host key that a target showed on its own output, so over Docker's channel."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        words = run(["docker", "logs", container]).split()
        if "ssh-ed25519" in words:
            return " ".join(words[words.index("ssh-ed25519") :][:2])
        time.sleep(0.1)
    raise SandboxError(f"{container} showed no host key within {BOOT_SECONDS} s; see 'docker logs {container}'.")


def _wait(address: str) -> None:
    """Return once sshd listens."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            socket.create_connection((address, 22), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SandboxError(f"The target {address} did not answer within {BOOT_SECONDS} s.") from error
            time.sleep(0.1)


def _remove(prefix: str, names: Sequence[str]) -> None:
    there = set(run(["docker", "ps", "--all", "--filter", f"name={prefix}-", "--format", "{{.Names}}"]).split())
    with ThreadPoolExecutor(WORKERS) as pool:
        containers = [f"{prefix}-{name}" for name in names if f"{prefix}-{name}" in there]
        list(pool.map(lambda name: run(["docker", "rm", "--force", "--volumes", name]), containers))
    if prefix in run(["docker", "network", "ls", "--format", "{{.Name}}"]).split():
        run(["docker", "network", "rm", prefix])
