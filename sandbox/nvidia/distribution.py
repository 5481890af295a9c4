"""What distributions have of their own: kernel headers, drivers of Ubuntu's archive and of Debian's non-free section.

Ubuntu's and Debian's packages lie in one repository, since their names differ; a node of the sandbox takes those that
the system which it plays would have.
"""

from __future__ import annotations

import platform
from dataclasses import replace

from sandbox.nvidia.deb import Package
from sandbox.nvidia.driver import debian_driver, ubuntu_driver

# The kernel that carries the containers, and those that a world may name in its place.
KERNELS = (platform.release(), "5.15.0-105-generic", "6.1.0-28-amd64", "6.1.0-30-amd64")
SERVER = {"535-server": "535.261.03", "570-server": "570.172.08", "580-server": "580.95.05"}
OLD = ("450.80.02", "450.119.03")
# Those of which Ubuntu 20.04 made empty packages when 440 became 450.
_RENAMED = ("common", "compute", "decode", "encode", "fbc1", "gl", "ifr1")


def packages() -> list[Package]:
    """What the repository of the distribution holds."""
    return [*_kernels(), *_servers(), *_old(), *_non_free()]


def _kernels() -> list[Package]:
    headers = [
        Package(
            f"linux-headers-{release}",
            "1.0-1",
            section="kernel",
            files={f"/usr/src/linux-headers-{release}/Makefile": "# Stands in for the headers of a kernel.\n"},
            links={f"/lib/modules/{release}/build": f"/usr/src/linux-headers-{release}"},
        )
        for release in dict.fromkeys(KERNELS)
    ]
    newest = {"linux-headers-generic": "5.15.0-105-generic", "linux-headers-amd64": "6.1.0-30-amd64"}
    metapackages = [
        Package(name, "1.0-1", section="kernel", depends=(f"linux-headers-{release}",))
        for name, release in newest.items()
    ]
    return [*headers, *metapackages]


def _servers() -> list[Package]:
    """Ubuntu's drivers for servers, and the modules that Canonical has built and signed for its kernels."""
    made = []
    for branch, version in SERVER.items():
        full = f"{version}-0ubuntu0.22.04.1"
        made += ubuntu_driver(branch, version, full)
        for flavour, license in (("", "NVIDIA"), ("-open", "Dual MIT/GPL")):
            name = f"linux-modules-nvidia-{branch}{flavour}"
            folder = f"nvidia-{branch.replace('-server', 'srv')}{flavour}"
            made += [
                Package(
                    f"{name}-{release}",
                    full,
                    section="restricted/kernel",
                    depends=(f"nvidia-kernel-common-{branch} (>= {version})",),
                    files={
                        f"/lib/modules/{release}/kernel/{folder}/nvidia.ko": f"version: {version}\n"
                        f"license: {license}\nvermagic: {release}\nsigner: Canonical Ltd. Kernel Module Signing\n"
                    },
                )
                for release in dict.fromkeys(KERNELS)
            ]
            made.append(Package(f"{name}-generic", full, depends=(f"{name}-5.15.0-105-generic",)))
    return made


def _old() -> list[Package]:
    """440 became 450 on Ubuntu 20.04: empty packages of the old names that need those of the new ones."""
    made = []
    for version in OLD:
        full = f"{version}-0ubuntu0.20.04.1"
        made += ubuntu_driver("450", version, full)
        needs = (f"libnvidia-gl-450 (= {full})",)
        made.append(Package("libnvidia-ifr1-450", full, depends=needs, takes="libnvidia-ifr1"))
    newest = f"{OLD[-1]}-0ubuntu0.20.04.1"
    return made + [
        Package(f"{name}-440", newest, depends=(f"{name}-450",))
        for name in (*(f"libnvidia-{part}" for part in _RENAMED), "nvidia-driver", "nvidia-utils", "nvidia-dkms")
    ]


def _non_free() -> list[Package]:
    """Debian's own driver: the names that NVIDIA took over, and for the open modules one of its own."""
    names = ("nvidia-open", "cuda-drivers", "nvidia-driver-cuda")
    made = []
    for package in debian_driver("535", "535.247.01", "535.247.01-1~deb12u1"):
        if package.name.startswith(names):
            continue
        needs = tuple(_debian_name(need) for need in package.depends)
        made.append(replace(package, name=_debian_name(package.name), depends=needs))
    return made


def _debian_name(text: str) -> str:
    return text.replace("nvidia-kernel-open-dkms", "nvidia-open-kernel-dkms")
