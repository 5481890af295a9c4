"""A Python that an environment has to itself, headers included, as conda's are: Debian's own, made to run anywhere.

CPython finds its prefix from where it lies. What Debian has changed for its own use is changed back: the folder for
packages is site-packages, and the headers are those below the prefix.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox import world
from sandbox.shell import SandboxError, run

PACKAGES = ("python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib", "libpython{0}-dev")
# Unpacked in a container of the image, whose apt knows the packages of its release.
RECIPE = """
set -eu
cd /tmp
apt-get update -qq
apt-get download -qq "$@"
for package in *.deb; do dpkg-deb --extract "$package" /out; done
chown -R "$OWNER" /out
"""
# A library to link programs with Python into, and what holds pip off.
LEFT_OUT = ("config-*", "EXTERNALLY-MANAGED", "__pycache__")
# Debian's way to ask for a virtual environment, outside of which its packages lie in dist-packages.
DEBIANS = 'sys.base_prefix != sys.prefix or hasattr(sys, "real_prefix")'
# The site module is frozen into the program; this one is read by it.
SITECUSTOMIZE = """\
import site, sys
if sys.prefix == sys.base_prefix:
    site.addsitedir(f"{sys.prefix}/lib/python%s/site-packages")
"""
# What names folders of the system, where builds look for headers and libraries.
SYSCONFIG = """
import sys
for _name in ("BINDIR", "CONFINCLUDEDIR", "CONFINCLUDEPY", "DESTSHARED", "INCLUDEDIR", "INCLUDEPY", "LIBDEST"):
    build_time_vars[_name] = sys.base_prefix + build_time_vars[_name].removeprefix("/usr")
"""


def build(root: Path, image: str, minor: str) -> None:
    """Fill a folder with Python `minor` (such as 3.11) out of the packages of an image's distribution.

    :raises SandboxError: the packages are not to be had, or are not as they are known here.
    """
    scratch = root.with_name(f"{root.name}-unpacked")
    scratch.mkdir(parents=True)
    _unpack(scratch, image, [package.format(minor) for package in PACKAGES])
    arrange(scratch / "usr", root, minor)
    shutil.rmtree(scratch)


def _unpack(folder: Path, image: str, packages: list[str]) -> None:
    bundle = world.ca_bundle()
    mounts = [f"{folder}:/out", *([f"{bundle}:{world.CA_BUNDLE}:ro"] if bundle else [])]
    variables = {**world.proxies(), "OWNER": f"{os.getuid()}:{os.getgid()}"}
    run(
        [
            *("docker", "run", "--rm", "--entrypoint", "sh"),
            *(word for mount in mounts for word in ("--volume", mount)),
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
            *(image, "-c", RECIPE, "sh", *packages),
        ]
    )


def arrange(usr: Path, root: Path, minor: str) -> None:
    """Lay out what Debian's packages have below /usr as a prefix.

    :raises SandboxError: it is not as it is known here.
    """
    library = root / "lib" / f"python{minor}"
    headers = root / "include" / f"python{minor}"
    shutil.copytree(usr / "lib" / library.name, library, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copytree(usr / "include" / headers.name, headers)
    # Debian's own file only leads to the one of the machine's architecture, in a folder of the system's.
    shutil.copy(_only(usr / "include", f"*/{headers.name}/pyconfig.h"), headers / "pyconfig.h")
    (root / "bin").mkdir()
    shutil.copy(usr / "bin" / f"python{minor}", root / "bin")
    for name in ("python", "python3"):
        (root / "bin" / name).symlink_to(f"python{minor}")
    scheme = library / "sysconfig.py"
    text = scheme.read_text(encoding="utf-8")
    if DEBIANS not in text:
        raise SandboxError(f"{scheme.name} of Debian's Python {minor} does not ask for '{DEBIANS}' any more.")
    scheme.write_text(text.replace(DEBIANS, "True"), encoding="utf-8")
    customize = library / "sitecustomize.py"
    customize.unlink(missing_ok=True)
    customize.write_text(SITECUSTOMIZE % minor, encoding="utf-8")
    data = next(file for file in library.glob("_sysconfigdata_*.py") if not file.is_symlink())
    data.write_text(data.read_text(encoding="utf-8") + SYSCONFIG, encoding="utf-8")


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SandboxError(f"{len(found)} files in place of one are {folder}/{pattern}.")
    return found[0]
