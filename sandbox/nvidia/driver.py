"""The driver packages of NVIDIA's repositories: names, dependencies and conflicts as NVIDIA ships them, files that are
not theirs.

Sources: debian/templates/control.in of NVIDIA/ubuntu-packaging-nvidia-driver; `dpkg-deb --info` of nvidia-driver-550;
the driver installation guide for the names from 590 on and for the pinning packages. The names of Debian's layout are
from memory of the repository's listing; what role and modules rely on is what NVIDIA's guide names.

What a package does is to drop files: libraries that carry their version in their name, nvidia-smi as a door to the
simulator, a kernel module that is a text, units that really start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sandbox.nvidia.deb import LIBRARIES, File, Package

# Two of each branch, so that an upgrade within it can be shown. From 590 on Ubuntu's names carry no branch.
VERSIONS = {
    "535": ("535.247.01", "535.261.03"),
    "550": ("550.54.15", "550.163.01"),
    "570": ("570.124.06", "570.172.08"),
    "580": ("580.65.06", "580.95.05"),
    "590": ("590.44.01", "590.48.01"),
    "595": ("595.58.03", "595.91.07"),
}
UNVERSIONED_FROM = 590
SIMULATOR = "/usr/local/lib/fromzero-sim"
SOURCE = "nvidia-graphics-drivers"
LIBCUDA, LIBML = "libcuda.so", "libnvidia-ml.so"
METAPACKAGES = {"nvidia-open": "-open", "cuda-drivers": ""}


def _door(program: str, *arguments: str) -> File:
    """A program that is one of the simulator's, which knows what is loaded and who has it open."""
    return File(f'#!/bin/sh\nexec {" ".join((f"{SIMULATOR}/{program}", *arguments))} "$@"\n', 0o755)


_SMI = _door("nvidia-smi")
# What dkms does when a package brings a source: a module for each kernel whose headers are there, else its complaint.
_BUILD = """\
for kernel in $(ls /lib/modules 2>/dev/null; uname -r); do
    if [ -e "/lib/modules/$kernel/build" ]; then
        mkdir -p "/lib/modules/$kernel/@FOLDER@"
        printf 'version: %s\\nlicense: %s\\nvermagic: %s\\n' '@VERSION@' '@LICENSE@' "$kernel" \\
            > "/lib/modules/$kernel/@FOLDER@/nvidia.ko"
    elif [ "$kernel" = "$(uname -r)" ]; then
        echo "Error! Your kernel headers for kernel $kernel cannot be found at /lib/modules/$kernel/build or" \\
            "/lib/modules/$kernel/source."
        echo "Module build for kernel $kernel was skipped since the kernel headers for this kernel do not seem to be" \\
            "installed."
    fi
done
"""
_UNBUILD = """\
for module in /lib/modules/*/@FOLDER@/nvidia.ko; do
    if grep -qx 'version: @VERSION@' "$module" 2>/dev/null; then rm -f "$module"; fi
done
"""
_LICENSES = {"": "NVIDIA", "-open": "Dual MIT/GPL"}
_BLACKLIST = "blacklist nouveau\nblacklist lbm-nouveau\nalias nouveau off\nalias lbm-nouveau off\n"
_PERSISTENCED_UNIT = """\
[Unit]
Description=NVIDIA Persistence Daemon
Wants=syslog.target

[Service]
# The real one forks when it serves; either way a start that fails is a start that failed.
Type=notify
ExecStart=/usr/bin/nvidia-persistenced

[Install]
WantedBy=multi-user.target
"""
_FABRICMANAGER_UNIT = """\
[Unit]
Description=NVIDIA fabric manager service
After=network-online.target
Requires=network-online.target

[Service]
Type=notify
ExecStart=/usr/bin/nv-fabricmanager -c /usr/share/nvidia/nvswitch/fabricmanager.cfg

[Install]
WantedBy=multi-user.target
"""


def ubuntu() -> list[Package]:
    """What NVIDIA's repositories for Ubuntu hold."""
    packages = []
    for branch, versions in VERSIONS.items():
        packages += pinning(branch, versions, "ubuntu1")
        for version in versions:
            packages += ubuntu_driver(branch, version, f"{version}-0ubuntu1")
            packages += ubuntu_metapackages(branch, f"{version}-0ubuntu1")
            packages += fabric_manager(branch, version, f"{version}-0ubuntu1")
    return [*packages, dkms(), nvlsm()]


def debian() -> list[Package]:
    """What NVIDIA's repositories for Debian hold."""
    packages = []
    for branch, versions in VERSIONS.items():
        packages += pinning(branch, versions, "1")
        for version in versions:
            packages += debian_driver(branch, version, f"{version}-1")
            packages += fabric_manager(branch, version, f"{version}-1")
    return [*packages, dkms(), nvlsm()]


def ubuntu_driver(branch: str, version: str, full: str) -> list[Package]:
    """One driver under Ubuntu's names, which carry the branch up to 580."""
    suffix = f"-{branch}" if int(branch.removesuffix("-server")) < UNVERSIONED_FROM else ""
    bounds = f" (<= {version}-1)", f" (>= {version})"
    # The name carries the whole version, so an upgrade leaves the old one behind.
    firmware = f"nvidia-firmware{suffix}-{version}" if suffix else "nvidia-firmware"
    common = tuple(f"nvidia-kernel-common{suffix}{bound}" for bound in bounds)

    def one(name: str, flavour: str = "", takes: str | None = None) -> Package:
        """A package that takes the place of the same one of another branch."""
        taken = name if suffix and takes is None else takes or ""
        return Package(f"{name}{suffix}{flavour}", full, source=f"{SOURCE}{suffix}", takes=taken)

    def exactly(*names: str, flavour: str = "") -> tuple[str, ...]:
        return tuple(f"{name}{suffix}{flavour} (= {full})" for name in names)

    def shared(name: str, *needs: str) -> Package:
        return replace(one(name), multi_arch="same", depends=exactly(*needs))

    compute = shared("libnvidia-compute")
    libcuda, libml = library(LIBCUDA, version), library(LIBML, version)
    utils = replace(one("nvidia-compute-utils"), depends=(compute.name,))
    packages = [
        replace(compute, files={**libcuda[0], **libml[0]}, links={**libcuda[1], **libml[1]}),
        replace(
            one("libnvidia-common", takes=""), architecture="all", provides=("libnvidia-common",) if suffix else ()
        ),
        shared("libnvidia-decode", "libnvidia-compute"),
        shared("libnvidia-encode", "libnvidia-decode"),
        shared("libnvidia-extra", "libnvidia-compute"),
        shared("libnvidia-gl", "libnvidia-common"),
        shared("libnvidia-fbc1", "libnvidia-gl"),
        shared("libnvidia-cfg1"),
        replace(one("xserver-xorg-video-nvidia"), depends=exactly("libnvidia-cfg1")),
        replace(one("nvidia-utils"), depends=exactly("libnvidia-compute"), files={"/usr/bin/nvidia-smi": _SMI}),
        replace(one("nvidia-kernel-common"), depends=(firmware,), files=_blacklist(f"nvidia-kernel-common{suffix}")),
        Package(firmware, full, source=f"{SOURCE}{suffix}"),
    ]
    if suffix:
        # From here comes the daemon on Ubuntu, up to the branch in which it has a package of its own.
        packages.append(replace(utils, takes="nvidia-persistenced", files=persistenced()))
    else:
        packages += [utils, Package("nvidia-persistenced", full, source=SOURCE, files=persistenced())]
    for flavour in ("", "-open"):
        source = one("nvidia-kernel-source", flavour, takes="nvidia-kernel-source-any")
        built = one("nvidia-dkms", flavour, takes="nvidia-dkms-kernel")
        headless = one("nvidia-headless-no-dkms", flavour, takes="")
        packages += [
            replace(source, files={f"/usr/src/nvidia{suffix}{flavour}-{version}/dkms.conf": ""}),
            replace(built, depends=("dkms", source.name, *common), scripts=module(version, flavour)),
            replace(
                headless,
                depends=(f"{source.name} (= {full})", *exactly("libnvidia-compute", "nvidia-compute-utils")),
            ),
            replace(one("nvidia-headless", flavour, takes=""), depends=(headless.name, built.name)),
            replace(
                one("nvidia-driver", flavour, takes=""),
                depends=(
                    *exactly("libnvidia-gl"),
                    *(f"{built.name}{bound}" for bound in bounds),
                    *common,
                    f"{source.name} (= {full})",
                    *exactly("libnvidia-compute", "libnvidia-extra", "nvidia-compute-utils", "libnvidia-decode"),
                    *exactly("libnvidia-encode", "nvidia-utils", "xserver-xorg-video-nvidia", "libnvidia-cfg1"),
                    *exactly("libnvidia-fbc1"),
                ),
                recommends=("nvidia-settings", "nvidia-prime (>= 0.8)"),
            ),
        ]
    return packages


def ubuntu_metapackages(branch: str, full: str) -> list[Package]:
    """What people install by name: the driver with the open or with the proprietary modules."""
    packages = []
    for name, flavour in METAPACKAGES.items():
        if int(branch) < UNVERSIONED_FROM:
            driver = f"nvidia-driver-{branch}{flavour} (>= {full})"
            packages.append(Package(f"{name}-{branch}", full, source=name, depends=(driver,)))
            packages.append(Package(name, full, source=name, depends=(f"{name}-{branch} (= {full})",)))
        else:
            packages.append(Package(name, full, source=name, depends=(f"nvidia-driver{flavour} (= {full})",)))
    return packages


def debian_driver(branch: str, version: str, full: str) -> list[Package]:
    """One driver under Debian's names, which never carry the branch: a newer one is an upgrade."""

    def one(name: str, *needs: str) -> Package:
        depends = tuple(f"{need} (= {full})" for need in needs)
        return Package(name, full, source=SOURCE, depends=depends)

    def kernel(name: str, flavour: str) -> Package:
        made = replace(one(name, "nvidia-kernel-support"), takes="nvidia-kernel-any", scripts=module(version, flavour))
        return replace(made, depends=("dkms", *made.depends))

    def with_module(package: Package) -> Package:
        either = " | ".join(f"{name} (= {full})" for name in ("nvidia-kernel-dkms", "nvidia-kernel-open-dkms"))
        return replace(package, depends=(*package.depends, either))

    encoding = ("libnvcuvid1", "libnvidia-encode1", "nvidia-opencl-icd")
    empty = (*encoding, "libnvidia-ptxjitcompiler1", "firmware-nvidia-gsp", "nvidia-alternative", "nvidia-driver-bin")
    compute = one("nvidia-driver-cuda", "libcuda1", "libnvidia-ml1", *encoding, "nvidia-smi", "nvidia-persistenced")
    desktop = one("nvidia-driver", "nvidia-driver-libs", "nvidia-driver-bin", "xserver-xorg-video-nvidia")
    libcuda, libml = library(LIBCUDA, version), library(LIBML, version)
    return [
        *(one(name) for name in empty),
        replace(one("libcuda1", "libnvidia-ptxjitcompiler1"), files=libcuda[0], links=libcuda[1]),
        replace(one("libnvidia-ml1"), files=libml[0], links=libml[1]),
        replace(one("nvidia-smi", "libnvidia-ml1"), files={"/usr/bin/nvidia-smi": _SMI}),
        replace(one("nvidia-persistenced"), files=persistenced()),
        replace(
            one("nvidia-kernel-support", "firmware-nvidia-gsp"),
            files=_blacklist("nvidia-kernel-support"),
        ),
        kernel("nvidia-kernel-dkms", ""),
        kernel("nvidia-kernel-open-dkms", "-open"),
        with_module(compute),
        one("nvidia-driver-libs", "nvidia-alternative"),
        one("xserver-xorg-video-nvidia", "nvidia-alternative"),
        with_module(desktop),
        *(
            one(name, "nvidia-driver", "nvidia-driver-cuda", f"nvidia-kernel{flavour}-dkms")
            for name, flavour in METAPACKAGES.items()
        ),
        *(
            Package(f"{name}-{branch}", full, "all", source=name, depends=(f"{name} (= {full})",))
            for name in METAPACKAGES
            if int(branch) < UNVERSIONED_FROM
        ),
    ]


def pinning(branch: str, versions: Iterable[str], revision: str) -> list[Package]:
    """Packages that keep apt on a branch, or on one version of it; they conflict with each other."""
    return [
        Package(
            f"nvidia-driver-pinning-{target}",
            f"{target}-{revision}",
            architecture="all",
            source="nvidia-driver-pinning",
            takes="nvidia-driver-pinning",
            files={
                "/etc/apt/preferences.d/nvidia-driver-pinning": "Package: src:*nvidia*:any src:cuda-drivers:any "
                f"src:cuda-compat:any\nPin: version {target}*\nPin-Priority: 1000\n"
            },
            conffiles=("/etc/apt/preferences.d/nvidia-driver-pinning",),
        )
        for target in (branch, *versions)
    ]


def fabric_manager(branch: str, version: str, full: str) -> list[Package]:
    """The fabric manager under its name of before, with the branch, and under that of today."""
    manager = Package(
        "nvidia-fabricmanager",
        full,
        source="fabricmanager",
        files={
            "/usr/bin/nv-fabricmanager": _door("nv-fabricmanager", version),
            "/usr/share/nvidia/nvswitch/fabricmanager.cfg": "LOG_LEVEL=4\n",
            "/lib/systemd/system/nvidia-fabricmanager.service": _FABRICMANAGER_UNIT,
        },
    )
    if int(branch) >= UNVERSIONED_FROM:
        return [manager]
    return [manager, replace(manager, name=f"{manager.name}-{branch}", takes="nvidia-fabricmanager")]


def dkms() -> Package:
    """What builds kernel modules; the packages that bring a source have done so themselves here."""
    return Package("dkms", "1:3.2.1-1", "all", section="kernel", files={"/usr/sbin/dkms": _door("dkms")})


def nvlsm() -> Package:
    """The subnet manager that the fourth generation of NVSwitch needs beside the fabric manager."""
    return Package("nvlsm", "2025.06.11-1", source="nvlsm")


def module(version: str, flavour: str, folder: str = "updates/dkms") -> dict[str, str]:
    """The scripts of a package that brings the source of a kernel module, and lets DKMS build it."""
    words = {"@VERSION@": version, "@LICENSE@": _LICENSES[flavour], "@FOLDER@": folder}
    texts = {"postinst": _BUILD, "prerm": _UNBUILD}
    for word, value in words.items():
        texts = {name: text.replace(word, value) for name, text in texts.items()}
    return texts


def library(name: str, version: str, folder: str = LIBRARIES) -> tuple[dict[str, str | File], dict[str, str]]:
    """The files and the links of a library."""
    file = f"{folder}/{name}.{version}"
    return {file: f"stand-in for {name} {version}\n"}, {f"{folder}/{name}.1": f"{name}.{version}"}


def _blacklist(name: str) -> dict[str, str | File]:
    return {f"/lib/modprobe.d/{name}.conf": _BLACKLIST}


def persistenced() -> dict[str, str | File]:
    return {
        "/usr/bin/nvidia-persistenced": _door("nvidia-persistenced"),
        "/lib/systemd/system/nvidia-persistenced.service": _PERSISTENCED_UNIT,
    }
