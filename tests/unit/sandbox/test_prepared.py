"""An image is made once for what it is made of, one process at a time, and a failure leaves none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import image, nodes, offers, prepared
from sandbox.shell import SandboxError


class Docker:
    """The images that there are, and what each was made from."""

    def __init__(self) -> None:
        self.images: dict[str, str] = {}

    def works(self, argv: list[str], timeout: float | None = None) -> bool:
        name = argv[-1]
        if argv[:3] == ["docker", "image", "rm"]:
            return bool(self.images.pop(name))
        return name in self.images

    def run(self, argv: list[str]) -> str:
        repository = argv[-1].removeprefix("reference=")
        return "\n".join(name for name in self.images if name.startswith(f"{repository}:"))

    def make(self, cluster: nodes.Cluster, playbook: Path, tag: str) -> None:
        self.images[tag] = cluster.image


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    engine = Docker()

    def wheels(cluster: nodes.Cluster) -> nodes.Cluster:
        assert cluster.image == "bare"
        return replace(cluster, find_links=[Path("/wheels/1")])

    monkeypatch.setattr(prepared, "BUILD", tmp_path)
    monkeypatch.setattr(prepared, "works", engine.works)
    monkeypatch.setattr(prepared, "run", engine.run)
    monkeypatch.setattr(prepared, "_make", engine.make)
    monkeypatch.setattr(image, "ensure", lambda distribution: "bare")
    monkeypatch.setattr(prepared.world, "pip_configuration", dict)
    monkeypatch.setattr(offers, "BY_NAME", {"wheels": wheels})
    return engine


def test_images_are_made_one_from_the_other_and_only_once(docker: Docker) -> None:
    tags = [prepared.ensure("torch") for _ in range(2)]
    assert tags[0] == tags[1]
    [environment] = [name for name in docker.images if "environment" in name]
    assert docker.images == {environment: "bare", tags[0]: environment}


def _offering(version: str) -> dict[str, Callable[[nodes.Cluster], nodes.Cluster]]:
    return {"wheels": lambda cluster: replace(cluster, variables={"torch_version": version})}


@pytest.mark.parametrize(
    ("place", "value", "differs"),
    [
        ((prepared, "STRIP"), prepared.STRIP, False),
        ((prepared, "STRIP"), "true", True),
        ((prepared, "reached"), lambda files: [], True),
        ((prepared.world, "pip_configuration"), lambda: {"index-url": ["https://mirror"]}, True),
        ((offers, "BY_NAME"), _offering("2.0"), True),
        ((image, "ensure"), lambda distribution: "another", True),
    ],
)
def test_what_an_image_is_made_of_is_in_its_name_and_the_one_before_goes(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, place: tuple[object, str], value: object, differs: bool
) -> None:
    monkeypatch.setattr(offers, "BY_NAME", _offering("1.0"))
    before = prepared.ensure("torch")
    monkeypatch.setattr(*place, value)
    assert (prepared.ensure("torch") != before) == differs
    assert [name.split(":")[0] for name in docker.images] == [
        "fromzero/node-environment-debian12",
        "fromzero/node-torch-debian12",
    ]


def test_a_failure_leaves_no_image(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cluster: nodes.Cluster, playbook: Path, tag: str) -> None:
        raise SandboxError("no network")

    monkeypatch.setattr(prepared, "_make", fail)
    with pytest.raises(SandboxError):
        prepared.ensure("environment")
    monkeypatch.setattr(prepared, "_make", docker.make)
    assert prepared.ensure("environment") in docker.images


@pytest.mark.parametrize("preparation", prepared.PREPARATIONS.values(), ids=list(prepared.PREPARATIONS))
def test_a_preparation_names_what_there_is(preparation: prepared.Preparation) -> None:
    assert (prepared.PLAYBOOKS / preparation.playbook).is_file()
    assert preparation.base is None or preparation.base in prepared.PREPARATIONS
    assert set(preparation.offers) <= set(offers.BY_NAME)
