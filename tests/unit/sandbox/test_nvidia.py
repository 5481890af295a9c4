"""The stand-ins for NVIDIA's repositories: the same bytes each time, and names and needs as theirs have them."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from sandbox import nvidia
from sandbox.nvidia import deb, distribution, driver, redhat, rpm
from sandbox.nvidia.deb import File, Package

SAMPLE = Package(
    "sample",
    "1:2.0-1",
    "all",
    depends=("other (= 1)", "more"),
    takes="role",
    provides=("also",),
    files={"/usr/bin/sample": File("#!/bin/sh\n", 0o755), "/etc/sample.conf": "x=1\n"},
    links={"/usr/lib/sample": "../bin/sample"},
    scripts={"postinst": "true\n"},
    conffiles=("/etc/sample.conf",),
)
RELATIONS = {
    "dkms": "dkms",
    "libcuda1 (= 580.95.05-1)": "libcuda1 = 580.95.05-1",
    "a (<< 2)": "a < 2",
    "a (>= 2)": "a >= 2",
    "a (= 1) | b": "(a = 1 or b)",
}


def members(path: Path) -> dict[str, bytes]:
    """The members of an ar archive."""
    data, position, found = path.read_bytes(), 8, {}
    assert data[:8] == b"!<arch>\n"
    while position < len(data):
        head = data[position : position + 60].decode()
        size = int(head[48:58])
        found[head[:16].strip()] = data[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    return found


def listing(archive: bytes) -> dict[str, tuple[int, str]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: (member.mode, member.linkname) for member in tar}


def test_a_package_has_what_it_says(tmp_path: Path) -> None:
    made = deb.write(SAMPLE, tmp_path)
    assert made.name == "sample_2.0-1_all.deb"
    parts = members(made)
    assert list(parts) == ["debian-binary", "control.tar.gz", "data.tar.gz"]
    assert set(listing(parts["control.tar.gz"])) == {".", "./control", "./postinst", "./conffiles"}
    contents = listing(parts["data.tar.gz"])
    assert contents["./usr/bin/sample"] == (0o755, "")
    assert contents["./etc/sample.conf"] == (0o644, "")
    assert contents["./usr/lib/sample"] == (0o777, "../bin/sample")
    assert {".", "./usr", "./usr/bin", "./usr/lib", "./etc"} < set(contents)


def test_a_package_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = deb.write(SAMPLE, tmp_path), deb.write(SAMPLE, tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()


def test_who_takes_a_role_provides_it_and_excludes_all_others() -> None:
    for line in ("Conflicts: role\n", "Replaces: role\n", "Provides: role, also\n", "Depends: other (= 1), more\n"):
        assert line in SAMPLE.control


def test_the_index_names_each_file_with_its_sum(tmp_path: Path) -> None:
    release = deb.flat(tmp_path, [SAMPLE], "NVIDIA CUDA")
    packages = (tmp_path / "Packages").read_bytes()
    archive = (tmp_path / "sample_2.0-1_all.deb").read_bytes()
    assert f"SHA256: {hashlib.sha256(archive).hexdigest()}" in packages.decode()
    assert gzip.decompress((tmp_path / "Packages.gz").read_bytes()) == packages
    assert f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n" in release


def test_a_folder_becomes_files_and_links(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvcc").touch(0o755)
    (tmp_path / "readme").touch(0o644)
    (tmp_path / "lib64").symlink_to("lib")
    files, links = deb.tree(tmp_path, "/usr/local/cuda-13.0")
    modes = {path: file.mode for path, file in files.items() if isinstance(file, File)}
    assert modes == {"/usr/local/cuda-13.0/bin/nvcc": 0o755, "/usr/local/cuda-13.0/readme": 0o644}
    assert links == {"/usr/local/cuda-13.0/lib64": "lib"}


NAMES = {
    "debian": (driver.debian, "nvidia-open cuda-drivers nvidia-driver-cuda nvidia-kernel-open-dkms nvidia-kernel-dkms"),
    "debian, with a branch": (
        driver.debian,
        "cuda-drivers-580 nvidia-open-580 nvidia-driver-pinning-580 libcuda1 nvlsm",
    ),
    "ubuntu up to 580": (driver.ubuntu, "nvidia-open-580 cuda-drivers-580 nvidia-driver-580-open nvidia-dkms-580-open"),
    "ubuntu, compute only": (driver.ubuntu, "libnvidia-compute-580 nvidia-utils-580 nvidia-headless-no-dkms-580-open"),
    "ubuntu from 590": (
        driver.ubuntu,
        "nvidia-open libnvidia-compute nvidia-dkms-open nvidia-dkms nvidia-persistenced",
    ),
    "fabric manager": (driver.ubuntu, "nvidia-fabricmanager nvidia-fabricmanager-550 nvidia-driver-pinning-580.95.05"),
    "ubuntu's own": (
        distribution.packages,
        "nvidia-driver-580-server-open linux-modules-nvidia-580-server-open-generic",
    ),
    "of old": (
        distribution.packages,
        "libnvidia-encode-440 nvidia-driver-440 libnvidia-ifr1-450 linux-headers-generic",
    ),
    "debian's own": (distribution.packages, "nvidia-driver nvidia-open-kernel-dkms linux-headers-amd64"),
    "red hat": (redhat.packages, "nvidia-open cuda-drivers nvidia-driver-cuda kmod-nvidia-open-dkms"),
    "red hat's own": (redhat.base, "dkms kernel-devel epel-release"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_names_that_people_install_are_there(name: str) -> None:
    recipe, wanted = NAMES[name]
    assert set(wanted.split()) <= {package.name for package in recipe()}


@pytest.mark.parametrize("recipe", [driver.debian, driver.ubuntu, redhat.packages])
def test_every_branch_has_two_versions(recipe: object) -> None:
    assert callable(recipe)
    versions = {package.version for package in recipe() if package.name == "nvidia-open"}
    found = {branch: [text for text in versions if re.match(rf"(3:)?{branch}\.", text)] for branch in driver.VERSIONS}
    assert {branch: len(texts) for branch, texts in found.items()} == dict.fromkeys(driver.VERSIONS, 2)


@pytest.mark.parametrize("recipe", [driver.debian, driver.ubuntu])
def test_what_a_driver_needs_is_there(recipe: object) -> None:
    assert callable(recipe)
    made = recipe()
    there = {package.name for package in made} | {name for package in made for name in package.provides}
    needs = {need.split()[0] for package in made for need in package.depends}
    assert needs <= there


def test_no_two_packages_of_one_version_write_the_same_file() -> None:
    for made in (driver.debian_driver("580", "580.95.05", "1"), driver.ubuntu_driver("580", "580.95.05", "1")):
        paths = [path for package in made for path in package.files]
        assert len(paths) == len(set(paths))


def test_old_packages_are_empty_and_need_the_new_ones() -> None:
    made = {package.name: package for package in distribution.packages()}
    assert made["libnvidia-encode-440"].depends == ("libnvidia-encode-450",)
    assert not made["libnvidia-encode-440"].files


def test_a_module_is_open_or_proprietary() -> None:
    texts = {flavour: driver.module("580.95.05", flavour)["postinst"] for flavour in ("", "-open")}
    assert "'Dual MIT/GPL'" in texts["-open"]
    assert "'NVIDIA'" in texts[""]
    assert "@" not in "".join(texts.values()).replace('"$@"', "")


def test_the_streams_hold_one_kind_of_modules_each() -> None:
    documents = list(yaml.safe_load_all(redhat.streams(redhat.packages())))
    streams = {each["data"]["stream"]: each["data"] for each in documents if each["document"] == "modulemd"}
    assert {"latest-dkms", "open-dkms", "580-dkms", "580-open"} <= set(streams)
    names = [text.rsplit("-", 2)[0] for text in streams["580-open"]["artifacts"]["rpms"]]
    assert "kmod-nvidia-open-dkms" in names
    assert "kmod-nvidia-latest-dkms" not in names
    assert all(":580." in text for text in streams["580-open"]["artifacts"]["rpms"])


@pytest.mark.parametrize(("debian", "red_hat"), RELATIONS.items())
def test_dependencies_are_said_in_words_of_rpm(debian: str, red_hat: str) -> None:
    assert rpm.relation(debian) == red_hat


def test_a_spec_makes_each_package_with_its_version() -> None:
    text = rpm.spec([SAMPLE])
    for line in ("%package -n sample", "Epoch: 1", "Version: 2.0", "Release: 1", "BuildArch: noarch", "Provides: role"):
        assert f"{line}\n" in text
    assert "%post -n sample\ntrue\n" in text
    assert '"/usr/bin/sample"\n' in text


def test_repositories_are_made_once_and_again_when_packages_change(tmp_path: Path) -> None:
    def made() -> float:
        return (nvidia.build(tmp_path, more).of("debian12") / "InRelease").stat().st_mtime_ns

    more: list[Package] = []
    first = made()
    assert made() == first
    more.append(SAMPLE)
    assert made() != first
    assert (tmp_path / "debian12" / nvidia.MACHINE / "sample_2.0-1_all.deb").is_file()


def test_repositories_are_signed_by_one_key_but_for_the_broken_ones(tmp_path: Path) -> None:
    made = nvidia.build(tmp_path)
    assert made.fingerprint == nvidia.build(tmp_path).fingerprint
    assert "BEGIN PGP SIGNED MESSAGE" in (made.of("ubuntu2204") / "InRelease").read_text()
    assert (made.folder / "broken/foreign/InRelease").is_file()
    assert not (made.folder / "broken/unsigned/InRelease").exists()
    assert made.key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert (made.folder / "keys/cuda.secret").stat().st_mode & 0o077 == 0
    with tarfile.open(fileobj=io.BytesIO(members(made.keyring("debian12"))["data.tar.gz"])) as tar:
        assert f".{nvidia.KEYRING}" in tar.getnames()
