"""The toolkit of the sandbox has the names, dependencies and layout of NVIDIA's."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.nvidia.toolkit import RELEASE, STANDIN_RELEASES, VERSION, Toolkit, packages, payload

REQUIREMENTS = "# a comment\nnvidia-cuda-nvcc==13.0.88\nnvidia-nvvm==13.0.88\n"
WHEELS = {
    "nvcc.whl": [
        "nvidia/cu13/bin/nvcc",
        "nvidia/cu13/bin/nvcc.profile",
        "nvidia/cu13/include/crt.h",
        "a.dist-info/RECORD",
    ],
    "nvvm.whl": ["nvidia/cu13/nvvm/bin/cicc", "nvidia/cu13/lib/libnvvm.so.4", "nvidia/cu13/lib/libcudart.so.13"],
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tree of a toolkit from two small wheels."""

    def download(argv: Sequence[str]) -> str:
        folder = Path(next(word for word in argv if word.startswith("--dest=")).removeprefix("--dest="))
        folder.mkdir()
        for name, members in WHEELS.items():
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                for member in members:
                    archive.writestr(member, member)
            (folder / name).write_bytes(content.getvalue())
        return ""

    monkeypatch.setattr(payload, "run", download)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(REQUIREMENTS)
    payload.build(tmp_path / "toolkit", "13.0.3", requirements)
    return tmp_path / "toolkit"


def test_wheels_are_laid_out_as_a_toolkit(tree: Path) -> None:
    found = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir())
    assert found == [
        *("bin/nvcc", "bin/nvcc.profile", "include/crt.h", "lib64/libcudart.so", "lib64/libcudart.so.13"),
        *("nvvm/bin/cicc", "version.json"),
    ]
    assert (tree / "lib64" / "libcudart.so").readlink() == Path("libcudart.so.13")
    assert [path.stat().st_mode & 0o111 != 0 for path in sorted((tree / "bin").iterdir())] == [True, False]


def test_the_toolkit_names_its_versions(tree: Path) -> None:
    versions = json.loads((tree / "version.json").read_text())
    assert (versions["cuda"]["version"], versions["cuda_nvcc"]["version"]) == ("13.0.3", "13.0.88")


def test_packages_have_the_names_of_nvidias_and_only_the_meta_package_wants_a_driver(tree: Path) -> None:
    made = {package.name: package for package in Toolkit(tree / "run", "", tree).packages}
    for release in (RELEASE, *STANDIN_RELEASES):
        dashed = "-".join(release.split(".")[:2])
        toolkit = made[f"cuda-toolkit-{dashed}"]
        assert set(toolkit.depends) <= set(made)
        assert made[f"cuda-{dashed}"].depends == (toolkit.name, "cuda-drivers")
    assert [name for name, package in made.items() if "cuda-drivers" in package.depends] == ["cuda-13-0", "cuda-12-8"]


def test_the_newest_toolkit_has_the_highest_priority_among_alternatives() -> None:
    scripts = [
        package.scripts["postinst"] for package in packages.standin("12.8.1", RELEASE) if "postinst" in package.scripts
    ]
    assert "--install /usr/local/cuda cuda /usr/local/cuda-12.8 128" in "".join(scripts)


def test_the_standin_says_its_own_version_and_compiles_by_the_real_one() -> None:
    nvcc = packages.standin("12.8.1", RELEASE)[0]
    script = nvcc.files["/usr/local/cuda-12.8/bin/nvcc"]
    assert f"exec /usr/local/cuda-{VERSION}/bin/nvcc" in str(script)
    assert "release 12.8" in str(script)
