"""Each distribution has an image of its own, from a registry or from this machine's apt sources."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandbox import image, world
from sandbox.shell import SandboxError


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What Docker is told where it has no image and reaches no registry."""
    told: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_options: object) -> str:
        told.append(argv)
        return ""

    monkeypatch.setattr(image, "run", run)
    monkeypatch.setattr(image, "works", lambda argv, timeout=None: False)
    monkeypatch.setattr(image.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(world, "proxies", dict)
    return told


def test_each_distribution_is_made_of_its_own_release(
    built: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "suite", lambda codename: world.Suite(codename, "deb http://mirror.example x main\n"))
    names = {image.ensure(distribution) for distribution in image.DISTRIBUTIONS}
    assert len(names) == len(image.DISTRIBUTIONS)
    assert [argv[-3] for argv in built if argv[0] == "mmdebstrap"] == ["bookworm", "trixie"]
    bases = [word for argv in built for word in argv if word.startswith("--build-arg=BASE=")]
    assert bases == ["--build-arg=BASE=fromzero/base:bookworm", "--build-arg=BASE=fromzero/base:trixie"]


def test_a_machine_without_registry_and_sources_says_so(
    built: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "suite", lambda codename: world.Suite(codename, ""))
    with pytest.raises(SandboxError, match="do not have Debian's trixie; let Docker reach a registry"):
        image.ensure("debian13")
    assert built == []
