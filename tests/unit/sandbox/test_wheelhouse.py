"""A build that fails or is interrupted leaves nothing that looks finished, and a finished one is not made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import wheelhouse
from sandbox.shell import SandboxError


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that a build was made for; each build leaves one wheel."""
    made: list[str] = []

    def build(draft: Path, image: str, versions: wheelhouse.Versions) -> None:
        made.append(image)
        (draft / "deepspeed.whl").touch()

    monkeypatch.setattr(wheelhouse, "_build", build)
    monkeypatch.setattr(wheelhouse, "_content", lambda versions, image: f"content-of-{image}")
    return made


def test_wheels_are_built_once(tmp_path: Path, builds: list[str]) -> None:
    folders = [wheelhouse.build(tmp_path, "image") for _ in range(2)]
    assert builds == ["image"]
    assert folders[0] == folders[1]
    assert (folders[0] / "deepspeed.whl").is_file()


def test_other_content_is_built_anew(tmp_path: Path, builds: list[str]) -> None:
    folders = {wheelhouse.build(tmp_path, image) for image in ("one", "two")}
    assert (builds, len(folders)) == (["one", "two"], 2)


@pytest.mark.parametrize("ending", [SandboxError("no network"), KeyboardInterrupt()])
def test_interrupted_build_leaves_nothing_that_looks_finished(
    tmp_path: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    whole = wheelhouse._build

    def half(draft: Path, image: str, versions: wheelhouse.Versions) -> None:
        (draft / "half.whl").touch()
        raise ending

    monkeypatch.setattr(wheelhouse, "_build", half)
    with pytest.raises(type(ending)):
        wheelhouse.build(tmp_path, "image")
    monkeypatch.setattr(wheelhouse, "_build", whole)
    assert [file.name for file in wheelhouse.build(tmp_path, "image").iterdir()] == ["deepspeed.whl"]


def test_versions_are_those_of_the_roles() -> None:
    versions = wheelhouse.versions()
    assert all(part.isdigit() for version in (versions.torch, versions.deepspeed) for part in version.split("."))
