"""What a site offers fits what its nodes run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import conda, image, nodes, offers, wheelhouse
from sandbox.shell import SandboxError


@pytest.mark.parametrize(("distribution", "origin"), [("debian12", ""), ("debian13", "image-of-debian12")])
def test_an_environments_python_is_the_one_that_wheels_are_for(
    monkeypatch: pytest.MonkeyPatch, distribution: str, origin: str
) -> None:
    asked = []

    def build(outdir: Path, python: str, image: str) -> conda.Standin:
        asked.append((outdir.name, python, image))
        return conda.Standin(outdir / "installer.sh", "sum", outdir / "channel", "3.11")

    monkeypatch.setattr(image, "ensure", lambda distribution="debian12": f"image-of-{distribution}")
    monkeypatch.setattr(offers, "run", lambda argv: {"image-of-debian12": "3.11.2\n"}[argv[-3]])
    monkeypatch.setattr(conda, "build", build)
    monkeypatch.setattr(wheelhouse, "build", lambda folder, image: Path("/wheels", image))
    cluster = nodes.Cluster("some", 1, f"image-of-{distribution}", distribution=distribution)
    offered = offers.wheels(offers.conda(cluster))
    assert asked == [(f"conda-{distribution}", "3.11.2", origin)]
    assert offered.variables["conda_python_version"] == "3.11"
    assert offered.find_links == [Path("/wheels/image-of-debian12")]


@pytest.mark.parametrize("offer", [offers.nvidia, offers.toolkit])
def test_packages_of_nvidia_are_for_one_distribution(offer: Callable[[nodes.Cluster], nodes.Cluster]) -> None:
    with pytest.raises(SandboxError, match="has packages for debian12, and none for debian13"):
        offer(nodes.Cluster("some", 1, "image", distribution="debian13"))
