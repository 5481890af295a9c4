# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The C++ compilers of a node, and the one that nvcc can work with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.toolkit import Start

GCC_SECONDS = 20
# A gcc by its number, as Debian names them, that of conda, and the one without a number, which is the default.
_NAME = re.compile(r"^(?:[a-z0-9_]+-conda-linux-gnu-)?gcc(?:-\d+(?:\.\d+)?)?$")
# Where the RHEL family keeps further ones: newer (gcc-toolset) and, on 7, all (devtoolset).
_TOOLSETS = "opt/rh/*/root/usr/bin"


@dataclass(frozen=True)
class Compiler:
    """A pair of gcc and g++ of one version."""

    cc: str
    cxx: str
    version: str
    default: bool = False

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find(path: Sequence[str], environments: Iterable[Path], start: Start, root: Path = Path("/")) -> list[Compiler]:
    """Every gcc that has its g++: on the PATH, among the toolsets of the RHEL family, and in conda environments.

    The default, which C(gcc) without a number starts, comes first, the others from the newest down.
    """
    folders = [root / folder.lstrip("/") for folder in path]
    default = next((folder / "gcc" for folder in folders if (folder / "gcc").exists()), None)
    folders += [*sorted(root.glob(_TOOLSETS)), *(environment / "bin" for environment in environments)]
    found: dict[Path, Compiler] = {}
    for cc in (cc for folder in folders for cc in _in(folder)):
        cxx = cc.with_name(cc.name.replace("gcc", "g++"))
        if not cxx.exists() or (cc.resolve() in found and cc != default):
            continue
        version = start([str(cc), "-dumpfullversion", "-dumpversion"], GCC_SECONDS).stdout.strip()
        if re.fullmatch(r"\d+(\.\d+)*", version):
            found[cc.resolve()] = Compiler(str(cc), str(cxx), version, cc == default)
    return sorted(found.values(), key=lambda compiler: (not compiler.default, -compiler.major, compiler.cc))


def choose(compilers: Sequence[Compiler], greatest: str) -> Compiler | None:
    """The default where it is old enough, else the newest that is; None where there is none.

    :param greatest: the newest gcc that the toolkit accepts, such as 13; empty where any will do.
    """
    return next((each for each in compilers if not greatest or each.major <= int(greatest)), None)


def variables(compiler: Compiler | None) -> Mapping[str, str]:
    """What makes nvcc, torch and CMake use a compiler; nothing where it is what they take by themselves."""
    if compiler is None or compiler.default:
        return {}
    cc, cxx = compiler.cc, compiler.cxx
    return {"NVCC_CCBIN": cxx, "CUDAHOSTCXX": cxx, "CC": cc, "CXX": cxx}


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _NAME.match(path.name))
    except OSError:
        return []
