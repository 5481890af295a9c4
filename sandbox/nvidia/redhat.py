"""The driver packages of NVIDIA's repositories for the RHEL family, their module streams, and what the family brings.

Sources: the driver installation guide for what people install; genmodules.py of NVIDIA/cuda-repo-management for the
streams. The dependencies are from memory of the packages.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace

import yaml

from sandbox.nvidia.deb import File, Package
from sandbox.nvidia.driver import (
    METAPACKAGES,
    SIMULATOR,
    VERSIONS,
    fabric_manager,
    library,
    module,
    nvlsm,
    persistenced,
)

EPOCH, RELEASE = "3", "1.el9"
KERNELS = (platform.release(), "5.14.0-427.el9.x86_64", "5.14.0-503.el9.x86_64")
_KMODS = {"-open": "kmod-nvidia-open-dkms", "": "kmod-nvidia-latest-dkms"}
_LIBRARIES = "/usr/lib64"
_MODULES = "extra"


def packages() -> list[Package]:
    """What NVIDIA's repository holds."""
    return [
        *(
            package
            for branch, versions in VERSIONS.items()
            for version in versions
            for package in driver(branch, version)
        ),
        nvlsm(),
    ]


def driver(branch: str, version: str) -> list[Package]:
    """One driver; a newer one is an upgrade, and which one is seen is decided by the module stream."""
    full = f"{EPOCH}:{version}-{RELEASE}"

    def one(name: str, *needs: str) -> Package:
        return Package(name, full, depends=tuple(f"{need} (= {EPOCH}:{version})" for need in needs))

    def kmod(flavour: str) -> Package:
        other = next(name for kind, name in _KMODS.items() if kind != flavour)
        return replace(
            one(_KMODS[flavour]),
            depends=("dkms",),
            provides=(f"nvidia-kmod (= {EPOCH}:{version})",),
            conflicts=(other,),
            scripts=module(version, flavour, _MODULES),
        )

    smi = File(f'#!/bin/sh\nexec {SIMULATOR}/nvidia-smi "$@"\n', 0o755)
    libcuda, libml = library("libcuda.so", version, _LIBRARIES), library("libnvidia-ml.so", version, _LIBRARIES)
    manager = fabric_manager("590", version, full)[0]
    return [
        kmod("-open"),
        kmod(""),
        replace(one("nvidia-driver-cuda-libs", "libnvidia-ml"), files=libcuda[0], links=libcuda[1]),
        replace(one("libnvidia-ml"), files=libml[0], links=libml[1]),
        replace(one("nvidia-persistenced"), files=persistenced()),
        replace(
            one("nvidia-driver-cuda", "nvidia-driver-cuda-libs", "nvidia-kmod-common", "nvidia-persistenced"),
            files={"/usr/bin/nvidia-smi": smi},
        ),
        replace(
            one("nvidia-kmod-common", "nvidia-kmod"),
            files={"/usr/lib/modprobe.d/nvidia.conf": "blacklist nouveau\nblacklist nova_core\n"},
        ),
        one("nvidia-driver-libs", "libnvidia-ml"),
        one("nvidia-driver", "nvidia-driver-libs", "nvidia-kmod-common"),
        *(one(name, "nvidia-driver", "nvidia-driver-cuda", _KMODS[flavour]) for name, flavour in METAPACKAGES.items()),
        manager,
    ]


def base() -> list[Package]:
    """What the family itself and EPEL bring: headers of kernels, dkms, and the release that dnf asks for."""
    # The shell is Debian's, which rpm knows nothing of, and the scripts of packages need one.
    release = Package("system-release", "9.4-1.el9", "all", provides=("system-release(releasever) (= 9)", "/bin/sh"))
    headers = []
    for kernel in dict.fromkeys(KERNELS):
        version, _dash, rest = kernel.partition("-")
        headers.append(
            Package(
                "kernel-devel",
                f"{version}-{(rest or '1').removesuffix('.x86_64').replace('-', '.')}",
                provides=(f"kernel-devel-{kernel}",),
                files={f"/usr/src/kernels/{kernel}/Makefile": "# Stands in for the headers of a kernel.\n"},
                links={f"/lib/modules/{kernel}/build": f"/usr/src/kernels/{kernel}"},
            )
        )
    door = File(f'#!/bin/sh\nexec {SIMULATOR}/dkms "$@"\n', 0o755)
    return [
        release,
        *headers,
        Package("kernel-headers", "5.14.0-503.el9"),
        Package("dkms", "3.2.1-1.el9", "all", files={"/usr/sbin/dkms": door}),
        Package("epel-release", "9-8.el9", "all"),
        Package("python3-dnf-plugin-versionlock", "4.3.0-13.el9", "all"),
    ]


def streams(made: Sequence[Package]) -> str:
    """The text of modules.yaml: for each branch, and for the latest, a stream with each kind of modules."""
    newest = max(VERSIONS, key=int)
    documents = []
    for branch in ("latest", *VERSIONS):
        own = newest if branch == "latest" else branch
        for kind, kmod in (("dkms", _KMODS[""]), ("open", _KMODS["-open"])):
            stream = "open-dkms" if (branch, kind) == ("latest", "open") else f"{branch}-{kind}"
            other = next(name for name in _KMODS.values() if name != kmod)
            artifacts = [
                f"{package.name}-{package.version}.{platform.machine()}"
                for package in made
                if package.version.startswith(f"{EPOCH}:{own}.") and package.name != other
            ]
            documents.append(_stream(stream, own, artifacts, kmod))
    defaults = {
        "document": "modulemd-defaults",
        "version": 1,
        "data": {"module": "nvidia-driver", "stream": "latest-dkms"},
    }
    return yaml.safe_dump_all([*documents, defaults], sort_keys=False, explicit_start=True)


def _stream(stream: str, branch: str, artifacts: Sequence[str], kmod: str) -> dict[str, object]:
    profile = ["nvidia-driver", "nvidia-driver-cuda", kmod]
    data = {
        "name": "nvidia-driver",
        "stream": stream,
        "version": 20260101000000,
        "context": f"standin{branch}",
        "arch": platform.machine(),
        "summary": f"Nvidia driver for {branch} branch",
        "description": "A stand-in.",
        "license": {"module": ["MIT"]},
        "profiles": {"default": {"rpms": profile}},
        "artifacts": {"rpms": list(artifacts)},
    }
    return {"document": "modulemd", "version": 2, "data": data}
