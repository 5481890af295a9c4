"""The Docker engine that carries the nodes: found, else installed and started where this account may."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from sandbox.shell import BUILD, SandboxError, run, say, works

# Docker's own daemon, from the distribution: no repository to add, no key to trust.
PACKAGE = "docker.io"
START_SECONDS = 60
PID_FILE = Path("/var/run/docker.pid")


def ensure() -> None:
    """Return once a Docker engine answers.

    :raises SandboxError: none answers, and this account may neither install nor start one.
    """
    if answers():
        return
    if os.geteuid() != 0:
        raise SandboxError(
            "No Docker engine answers this account. Install one (Debian, Ubuntu: sudo apt-get install docker.io), "
            "let the account use it (sudo usermod -aG docker $USER), log in again, and repeat."
        )
    if shutil.which("dockerd") is None:
        install([PACKAGE])
    start()


def answers() -> bool:
    """Whether `docker` reaches an engine."""
    return works(["docker", "version", "--format", "{{.Server.Version}}"], timeout=20)


def install(packages: list[str]) -> None:
    """Install packages of the distribution on this machine; needs root."""
    if shutil.which("apt-get") is None:
        raise SandboxError(f"Install {' '.join(packages)} by hand: this machine has no apt-get.")
    if os.geteuid() != 0:
        raise SandboxError(f"Install them once: sudo apt-get install {' '.join(packages)}.")
    say(f"Installing {' '.join(packages)} on this machine")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    lock = ["-o", "DPkg::Lock::Timeout=300"]
    run(["apt-get", *lock, "update", "-qq"], env=env)
    run(["apt-get", *lock, "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)


def start() -> None:
    """Start the engine by systemd where it runs this machine, else as a process of our own."""
    if works(["systemctl", "is-system-running", "--quiet"]) or works(["systemctl", "start", "docker"]):
        works(["systemctl", "start", "docker"])
    if not answers():
        BUILD.mkdir(exist_ok=True)
        _forget_a_dead_daemon()
        log = (BUILD / "dockerd.log").open("ab")
        subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise SandboxError(f"dockerd did not answer within {START_SECONDS} s; see {BUILD / 'dockerd.log'}.")
        time.sleep(0.5)


def _forget_a_dead_daemon() -> None:
    """A daemon that was killed leaves its pid behind, and a new one refuses to start once another process has it."""
    try:
        name = Path("/proc", PID_FILE.read_text(encoding="ascii").strip(), "comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = ""
    if name != "dockerd":
        PID_FILE.unlink(missing_ok=True)
