"""A world's file becomes the files of a host; what cannot be is refused in a sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.gpus.host import materialise
from sandbox.gpus.world import WorldError, read

WORLDS = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted(Path("molecule/shared/worlds").glob("*.yml"))
}
RELEASE = "6.1.0-28-amd64"
T4 = {"pci_id": "10de:1eb8", "name": "Tesla T4", "memory_mib": 15360, "compute_capability": "7.5"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def text(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_shows_its_gpus_and_its_driver(root: Path, name: str) -> None:
    said = WORLDS[name]
    materialise(said, root, release=RELEASE)
    world = read(said)
    pci = root / "sys/bus/pci/devices"
    for gpu in world.gpus:
        assert text(pci / gpu.address, "vendor") + text(pci / gpu.address, "device") == "0x{}\n0x{}\n".format(
            *gpu.pci_id.split(":")
        )
        assert text(pci / gpu.address, "class") == f"0x{gpu.pci_class}00\n"
    version = root / "proc/driver/nvidia/version"
    assert version.is_file() is (world.driver.loaded is not None)
    if world.driver.loaded:
        assert world.driver.loaded in version.read_text(encoding="utf-8")
        assert len(list((root / "proc/driver/nvidia/gpus").iterdir())) == len(world.nvidia)
        assert len(list((root / "dev").glob("nvidia[0-9]*"))) == len(world.nvidia)
    if world.driver.library:
        library = root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
        assert library.resolve().name == f"libnvidia-ml.so.{world.driver.library}"
    status = text(root, "var/lib/dpkg/status")
    assert {package.name for package in world.packages} <= set(re.findall(r"^Package: (.*)$", status, re.MULTILINE))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"gpu": T4}, "The world has no key 'gpu'. 'gpus' may be meant."),
        ({"gpus": {**T4, "memory": 1}}, "gpus has no key 'memory'. 'memory_mib' may be meant."),
        ({"gpus": {**T4, "pci_id": "10DE:1EB8"}}, 'gpus needs a pci_id such as "10de:20b2"'),
        ({"gpus": {**T4, "compute_capability": 7.5}}, 'needs a quoted compute_capability such as "8.0"'),
        ({"gpus": {**T4, "count": 17}}, "The world has 17 GPUs; a host has at most 16 here."),
        ({"driver": {"loaded": 535.54}}, "driver.loaded is 535.54; it must be a quoted version"),
        ({"driver": {"flavour": "free"}}, "driver.flavour is 'free'; it must be open or proprietary."),
        ({"packages": {"dkms": 3}}, "packages.dkms needs a quoted version"),
        ({"blockers": ["nouveau"]}, "blockers is ['nouveau']; it must be a mapping."),
    ],
)
def test_a_world_that_cannot_be_is_refused_in_a_sentence(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorldError, match=re.escape(sentence)):
        read(said)
