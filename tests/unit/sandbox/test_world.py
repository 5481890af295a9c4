"""What the nodes of the sandbox get from the machine that carries them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import world

SOURCES = """\
# the distribution
Types: deb
# a snapshot
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: https://vendor.example/node
Suites: nodistro
Components: main

deb http://mirror.example/security bookworm-security main
deb https://vendor.example/apt cloud-bookworm main
deb-src http://mirror.example/debian bookworm main
"""


def test_only_the_distributions_own_sources_reach_the_image() -> None:
    kept = world.distribution_sources(SOURCES, "bookworm")
    assert "URIs: http://mirror.example/debian" in kept
    assert "deb http://mirror.example/security bookworm-security main" in kept
    assert "vendor.example" not in kept
    assert "deb-src" not in kept


def test_sources_without_comments_stay_one_stanza() -> None:
    kept = world.distribution_sources(SOURCES, "bookworm")
    assert "#" not in kept
    assert kept.split("\n\n")[0].startswith("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm")


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("Suites: bookworm bookworm-updates", "Suites: trixie trixie-updates"),
        ("deb http://m.example/s bookworm-security main", "deb http://m.example/s trixie-security main"),
        ("deb http://m.example/bookworm-snap bookworm main", "deb http://m.example/bookworm-snap trixie main"),
        ("Signed-By: /usr/share/keyrings/old-bookworm.gpg", "Signed-By: /usr/share/keyrings/old-bookworm.gpg"),
    ],
)  # fmt: skip
def test_sources_of_one_release_are_those_of_another_under_its_name(line: str, other: str) -> None:
    assert world.of_release(line, "bookworm", "trixie") == other


def test_a_machine_that_is_no_debian_has_no_sources_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_os_release", lambda: {"ID": "fedora"})
    assert world.suite("trixie") == world.Suite("trixie", "")


@pytest.mark.parametrize(
    ("configuration", "find_links", "lines"),
    [
        pytest.param({}, [], [], id="nothing but the certificates"),
        pytest.param(
            {"index-url": ["https://pip.example/simple"]}, [], ["index-url = https://pip.example/simple"], id="an index"
        ),
        pytest.param({}, [Path("/wheels")], ["find-links = /wheels"], id="wheels built beforehand"),
        pytest.param(
            {"find-links": ["/a"]}, [Path("/b")], ["find-links = /a /b"], id="wheels beside those of the machine"
        ),
    ],
)
def test_pip_conf_hands_on_where_packages_come_from(
    configuration: dict[str, list[str]], find_links: list[Path], lines: list[str]
) -> None:
    text = world.pip_conf(configuration, find_links)
    assert text.splitlines() == ["[global]", f"cert = {world.CA_BUNDLE}", *lines]


def test_folders_that_pip_names_are_mounted_and_an_index_with_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    configuration = {
        "extra-index-url": [f"file://{tmp_path}/index/simple", "https://pip.example/simple"],
        "find-links": [str(tmp_path / "wheels"), str(tmp_path / "absent")],
    }
    assert world.local_paths(configuration) == [tmp_path / "index", tmp_path / "wheels"]
