"""The packages of a CUDA toolkit: real names, dependencies and alternatives."""

from __future__ import annotations

from pathlib import Path

from sandbox.nvidia.deb import File, Package, tree

# As NVIDIA's do it: the newest toolkit takes /usr/local/cuda over, as long as nobody has chosen. dpkg says what happens
# in a word, rpm in the number of packages that there will be.
_POSTINST = """\
case $1 in
    configure | [12])
        update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-{minor} {priority}
        update-alternatives --install /usr/local/cuda-{major} cuda-{major} /usr/local/cuda-{minor} {priority}
        ;;
esac
"""
_PRERM = """\
case $1 in
    remove | 0)
        update-alternatives --remove cuda /usr/local/cuda-{minor}
        update-alternatives --remove cuda-{major} /usr/local/cuda-{minor}
        ;;
esac
"""
_NVCC = """\
#!/bin/sh
# A STAND-IN for nvcc {minor}: it says so, and compiles by that of {real}.
case " $* " in
    *" --version "* | *" -V "*)
        echo "nvcc: NVIDIA (R) Cuda compiler driver"
        echo "Cuda compilation tools, release {minor}, V{minor}.93"
        ;;
    *) exec /usr/local/cuda-{real}/bin/nvcc "$@" ;;
esac
"""


def real(release: str, toolkit: Path) -> tuple[Package, ...]:
    """The packages of a toolkit that lies in a folder of this machine."""
    files, links = tree(toolkit, f"/usr/local/cuda-{_minor(release)}")
    nvcc = Package(f"cuda-nvcc-{_dashed(release)}", f"{release}-1", files=files, links=links)
    return (nvcc, *_around(release))


def standin(release: str, compiles_by: str) -> tuple[Package, ...]:
    """The packages of another release, whose compiler hands its work to that of a real one."""
    minor, compiler = _minor(release), f"cuda-nvcc-{_dashed(compiles_by)}"
    text = _NVCC.format(minor=minor, real=_minor(compiles_by))
    files: dict[str, str | File] = {
        f"/usr/local/cuda-{minor}/bin/nvcc": File(text, 0o755),
        f"/usr/local/cuda-{minor}/version.json": f'{{"cuda": {{"name": "CUDA SDK", "version": "{release}"}}}}\n',
    }
    nvcc = Package(f"cuda-nvcc-{_dashed(release)}", f"{release}-1", depends=(compiler,), files=files)
    return (nvcc, *_around(release))


def _around(release: str) -> tuple[Package, ...]:
    """What makes nvcc a toolkit, and the meta package that wants a driver too."""
    dashed, minor, version = _dashed(release), _minor(release), f"{release}-1"
    words = {"minor": minor, "major": minor.split(".")[0], "priority": minor.replace(".", "")}
    common = Package(
        f"cuda-toolkit-{dashed}-config-common",
        version,
        architecture="all",
        files={f"/etc/ld.so.conf.d/cuda-{dashed}.conf": f"/usr/local/cuda-{minor}/lib64\n"},
        scripts={"postinst": _POSTINST.format(**words), "prerm": _PRERM.format(**words)},
    )
    toolkit = Package(f"cuda-toolkit-{dashed}", version, depends=(f"cuda-nvcc-{dashed}", common.name))
    return common, toolkit, Package(f"cuda-{dashed}", version, depends=(toolkit.name, "cuda-drivers"))


def _minor(release: str) -> str:
    return ".".join(release.split(".")[:2])


def _dashed(release: str) -> str:
    return _minor(release).replace(".", "-")
