# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is gathered from a simulated host is what its world says; the simulator's programs answer.

The worlds are readings: written from what vendors document and users post, not recorded on machines.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fromzero.deepspeed.plugins.module_utils._gpu.report import gather
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host, Run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.gpus import completed
from sandbox.gpus.files import at_creation
from sandbox.gpus.host import materialise
from sandbox.gpus.machine import Machine
from sandbox.gpus.programs import PROGRAMS
from sandbox.gpus.world import Gpu, World, read

WORLDS = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted(Path("molecule/shared/worlds").glob("*.yml"))
}
RELEASE = "6.1.0-28-amd64"
# Programs that a package of the world brings; the others are there on every host.
FROM_PACKAGES = ("nvidia-smi", "nv-fabricmanager", "mokutil")


def programs(root: Path, said: Any) -> Run:
    """The simulator's programs on a root, and the real dpkg-query on its records."""
    machine = Machine(root, root / "run/fromzero-sim", said)
    machine.release = RELEASE
    machine.kernel = at_creation(machine.world)

    def run(command: Sequence[str]) -> Finished | None:
        name, *arguments = command
        if name == "dpkg-query":
            query = [name, f"--admindir={root / 'var/lib/dpkg'}", *arguments]
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            return Finished(done.returncode, done.stdout, done.stderr)
        if name not in PROGRAMS or (name in FROM_PACKAGES and not (root / "usr/bin" / name).exists()):
            return None
        output = io.StringIO()
        arguments = [one.replace(str(root), "") if name == "lsinitramfs" else one for one in arguments]
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = PROGRAMS[name](machine, arguments)
        return Finished(status, output.getvalue())

    return run


@pytest.fixture
def observe(tmp_path: Path) -> Callable[[str], tuple[World, dict[str, Any]]]:
    if shutil.which("dpkg-query") is None:
        pytest.skip("dpkg-query reads what a world has installed")

    def observe(name: str) -> tuple[World, dict[str, Any]]:
        said = WORLDS[name]
        materialise(said, tmp_path, release=RELEASE)
        report = gather(Host(tmp_path, programs(tmp_path, said)), RELEASE)
        return read(said), completed(report, rows("gpus"), rows("drivers"))

    return observe


def as_said(gpu: Gpu) -> tuple[str, str, str | None, str | None]:
    return (gpu.pci_id, gpu.address, gpu.compute_capability, gpu.gfx)


# What is wrong with a world, in words of the sentence that must tell it. Of all others nothing is told.
FINDINGS = {
    "lost-gpu": ["Unable to determine the device handle", "fallen off the bus"],
    "mismatch": ["reload the module or reboot"],
    "mismatch-in-use": ["reload the module or reboot"],
    "mixed-branches": [
        "install the kernel module of 470.182.03",
        "Not installed whole: nvidia-dkms-450",
        "of several branches: 450.80.02 (nvidia-dkms-450 and nvidia-driver-450) and 470",
        "next boot starts kernel 6.1.0-29-amd64",
    ],
    "new-kernel": ["no kernel module; build one", "or reboot into 6.1.0-29-amd64"],
    "nouveau": ["nouveau has the GPUs"],
    "runfile-over-packages": ["535.54.03 and 535.183.01", "from a runfile lies over"],
    "secure-boot": ["Secure Boot is on"],
    "unmet-440-450": [
        "and 450.119.03 (libnvidia-decode-440, libnvidia-encode-440 and libnvidia-gl-440); bring them to one"
    ],
}


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_wrong_with_the_world_is_found_and_nothing_else(
    name: str, observe: Callable[[str], tuple[World, dict[str, Any]]]
) -> None:
    _world, report = observe(name)
    words = FINDINGS.get(name, [])
    assert len(report["findings"]) == len(words), report["findings"]
    assert all(any(part in sentence for sentence in report["findings"]) for part in words), report["findings"]


@pytest.mark.parametrize("name", WORLDS)
def test_the_report_is_what_the_world_says(name: str, observe: Callable[[str], tuple[World, dict[str, Any]]]) -> None:
    world, report = observe(name)
    driver = report["driver"]
    assert [(gpu["pci_id"], gpu["pci_address"], gpu["compute_capability"], gpu["gfx"]) for gpu in report["gpus"]] == [
        as_said(gpu) for gpu in world.gpus if not gpu.lost
    ]
    assert all(gpu["architecture"] and gpu["name"] for gpu in report["gpus"])
    assert (driver["loaded"], driver["library"]) == (world.driver.loaded, world.driver.library)
    assert driver["flavour"] == (world.driver.flavour if world.driver.loaded else None)
    assert driver["built"]["version"] == world.driver.built
    assert driver["runfile"] == world.runfile
    # The subnet manager has versions of its own.
    named = {package.name: package for package in world.packages if package.name != "nvlsm"}
    told = {package["name"]: package for package in driver["packages"] if package["name"] in named}
    assert {name: (one["version"], one["held"], one["broken"]) for name, one in told.items()} == {
        name: (one.version, one.held, one.broken) for name, one in named.items()
    }
    assert report["nvswitch"] == world.nvswitch
    assert report["blockers"]["loaded"] == list(world.blockers.loaded)
    assert report["secure_boot"] is bool(world.secure_boot)
    assert report["kernel"]["headers"] is world.headers
    lost = [gpu.address for gpu in world.gpus if gpu.lost]
    assert all(any(address in sentence for sentence in report["findings"]) for address in lost)
    if world.driver.cuda:
        assert driver["cuda"] == world.driver.cuda
