"""The tree of a toolkit as NVIDIA lays it out (bin, include, lib64, nvvm, version.json), from PyPI's wheels."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

from sandbox.shell import run

# Programs that compile by way of this library; nvcc does not, and it is a fourth of all.
_LEFT_OUT = ("libnvvm.so*",)
_PROGRAMS = ("bin", "nvvm/bin")


def build(target: Path, release: str, requirements: Path) -> None:
    """Write the tree.

    :param release: what version.json names, such as 13.0.3.
    :param requirements: the pinned wheels, fetched from wherever this machine's pip gets its packages.
    :raises SandboxError: pip could not fetch one.
    """
    wheels = target.with_name("wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    wanted = ["--only-binary=:all:", "--no-deps", f"--dest={wheels}", f"--requirement={requirements}"]
    run([sys.executable, "-m", "pip", "download", "--quiet", *wanted])
    for wheel in sorted(wheels.iterdir()):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    # Only the folder of the toolkit itself, without what pip keeps beside it.
    inner = next((target / "nvidia").iterdir())
    for part in inner.iterdir():
        part.rename(target / part.name)
    shutil.rmtree(target / "nvidia")
    for leftover in target.glob("*.dist-info"):
        shutil.rmtree(leftover)
    shutil.rmtree(wheels)
    _finish(target, release, requirements)


def _finish(target: Path, release: str, requirements: Path) -> None:
    (target / "lib").rename(target / "lib64")
    libraries = target / "lib64"
    for pattern in _LEFT_OUT:
        for path in libraries.glob(pattern):
            path.unlink()
    for path in sorted(libraries.glob("lib*.so.*")):
        (libraries / f"{path.name.split('.so.')[0]}.so").symlink_to(path.name)
    for folder in _PROGRAMS:
        for path in (target / folder).iterdir():
            if path.is_file() and path.suffix != ".profile":
                path.chmod(0o755)
    pins = dict(line.split("==") for line in requirements.read_text().splitlines() if "==" in line)
    versions = {
        "cuda": {"name": "CUDA SDK", "version": release},
        "cuda_nvcc": {"name": "CUDA NVCC", "version": pins["nvidia-cuda-nvcc"]},
    }
    # Laid out as NVIDIA's, one component after the other.
    (target / "version.json").write_text(json.dumps(versions, indent=3) + "\n")
