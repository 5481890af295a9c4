"""A stand-in for Miniforge and its channel, for where no host of conda answers.

    python -m sandbox.conda OUTDIR

makes OUTDIR/Miniforge3-standin-Linux-<arch>.sh with its .sha256, and OUTDIR/channel. The installer takes the options
of the real one, needs nothing but the node's own python3 and lays out a prefix with `bin/conda`, which solves and links
through py-rattler. The channel holds python, pip, setuptools, wheel and packaging. Its python is links to the node's
interpreter, so that an environment behaves like a virtual environment of it, or one with headers of its own, as conda's
are. `conda activate NAME` searches the folders that conda/base/context.py does, from `envs_dirs` of the same files. It
is not conda: its output says so, and nothing in the collection may rely on how it words things.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.conda import channel, installer
from sandbox.shell import run, say

HERE = Path(__file__).resolve().parent
# Debian 12's.
PYTHON = "3.11.2"


@dataclass(frozen=True)
class Standin:
    """Where the pieces lie; `sha256` is the installer's, `python` the release in the channel, such as 3.11."""

    installer: Path
    sha256: str
    channel: Path
    python: str


def build(outdir: Path, python: str = PYTHON, image: str = "") -> Standin:
    """Make the installer and the channel in `outdir`, or reuse them when nothing they are made of has changed.

    :param python: the version that environments will have; without an image that of the nodes' own python3.
    :param image: where the distribution that environments get a Python of their own from is installed.
    :raises SandboxError: pip could not fetch a wheel, or apt a package.
    """
    script = outdir / f"Miniforge3-standin-Linux-{platform.machine()}.sh"
    digest = script.with_name(f"{script.name}.sha256")
    stamp = outdir / "stamp"
    current = _stamp(python, image)
    minor = ".".join(python.split(".")[:2])
    outdir.mkdir(parents=True, exist_ok=True)
    with (outdir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == current and script.is_file()):
            say(f"Building a STAND-IN conda installer and channel in {outdir}")
            stamp.unlink(missing_ok=True)
            wheels = _wheels(outdir / "wheels", minor)
            packages = [wheel for wheel in wheels if "rattler" not in wheel.name]
            channel.build(outdir / "channel", python, packages, image)
            installer.build(script, next(wheel for wheel in wheels if "rattler" in wheel.name))
            digest.write_text(f"{hashlib.sha256(script.read_bytes()).hexdigest()}  {script.name}\n")
            stamp.write_text(current)
    return Standin(script, digest.read_text().split()[0], outdir / "channel", minor)


def _wheels(folder: Path, minor: str) -> list[Path]:
    """The pinned wheels, from wherever this machine's pip gets its packages."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ["--only-binary=:all:", "--no-deps", f"--python-version={minor}", f"--dest={folder}"]
    run([sys.executable, "-m", "pip", "download", "--quiet", *wanted, f"--requirement={HERE / 'requirements.txt'}"])
    pins = [line.split("==") for line in (HERE / "requirements.txt").read_text().splitlines() if "==" in line]
    return [next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")) for name, version in pins]


def _stamp(python: str, image: str) -> str:
    """Changes when anything that the result is made of changes."""
    sources = sorted(path for path in HERE.iterdir() if path.is_file())
    return hashlib.sha256(f"{python} {image}".encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
