# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources, of_pip, of_uv

NOWHERE = Path("/nonexistent")


@pytest.fixture
def node(tmp_path: Path) -> dict[str, str]:
    """The variables of a process on a node whose files are all below one folder."""
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "etc")}


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


SETTINGS = [
    ("[global]\nindex-url = https://m/simple\n", Sources(index_url="https://m/simple")),
    ("[global]\nindex_url = https://m/simple\n", Sources(index_url="https://m/simple")),
    ("[global]\nfind-links = /a /b\n", Sources(find_links=("/a", "/b"))),
    ("[global]\nfind-links =\n    /a\n    https://h/whl\n", Sources(find_links=("/a", "https://h/whl"))),
    ("[global]\nextra-index-url = file:///p/simple https://m/x\n", Sources(extra_index_urls=("file:///p/simple", "https://m/x"))),
    ("[global]\nno-index = true\nfind-links = /a\n", Sources(no_index=True, find_links=("/a",))),
    ("[global]\nno-index = 0\n", Sources()),
    ("[global]\ncert = /etc/ca.pem\ntrusted-host = m1 m2\n", Sources(cert="/etc/ca.pem", trusted_hosts=("m1", "m2"))),
    ("[global]\nproxy = http://p:3128\n", Sources(proxy="http://p:3128")),
    ("[global]\nindex-url = https://a\n[install]\nindex-url = https://b\n", Sources(index_url="https://b")),
    ("[list]\nindex-url = https://a\n", Sources()),
    ("[global]\nindex-url = https://h/100%/simple\n", Sources(index_url="https://h/100%/simple")),
    ("index-url = https://a\n", Sources()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sources"), SETTINGS)
def test_pip_conf_is_read_as_pip_reads_it(node: dict[str, str], tmp_path: Path, text: str, sources: Sources) -> None:
    _write(tmp_path / "etc" / "pip" / "pip.conf", text)
    assert of_pip(str(tmp_path / "env"), node, NOWHERE) == sources


def test_nearer_configuration_of_pip_wins(node: dict[str, str], tmp_path: Path) -> None:
    found = []
    for file in ("etc/pip/pip.conf", "home/.pip/pip.conf", "home/.config/pip/pip.conf", "env/pip.conf"):
        _write(tmp_path / file, f"[global]\nindex-url = https://{file}\n")
        found.append(of_pip(str(tmp_path / "env"), node, NOWHERE).index_url)
    found.append(of_pip(str(tmp_path / "env"), {**node, "PIP_INDEX_URL": "https://variable"}, NOWHERE).index_url)
    assert found == [
        "https://etc/pip/pip.conf",
        "https://home/.pip/pip.conf",
        "https://home/.config/pip/pip.conf",
        "https://env/pip.conf",
        "https://variable",
    ]


def test_variable_of_pip_may_hold_several_locations(node: dict[str, str]) -> None:
    assert of_pip("/env", {**node, "PIP_FIND_LINKS": "/wheels /opt/wheelhouse"}, NOWHERE).find_links == (
        "/wheels",
        "/opt/wheelhouse",
    )


def test_pip_without_configuration_files(node: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".pip" / "pip.conf", "[global]\nindex-url = https://a\n")
    assert of_pip("/env", {**node, "PIP_CONFIG_FILE": "/dev/null"}, NOWHERE) == Sources()


def test_uv_is_handed_the_configuration_of_pip(node: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".config" / "pip" / "pip.conf", "[global]\nfind-links = /wheels\ncert = /ca.pem\n")
    assert of_uv("/env", node, NOWHERE) == Sources(find_links=("/wheels",), cert="/ca.pem")


OWN = [
    "[[index]]\nurl = 'https://u'\n",
    "index-url = 'https://u'\n",
    "[pip]\nindex-url = 'https://u'\n",
    "[[pip.index]]\nurl = 'https://u'\n",
    "find-links = ['/u']\n",
]


@pytest.mark.parametrize("text", OWN)
def test_uv_with_indexes_of_its_own_keeps_them(node: dict[str, str], tmp_path: Path, text: str) -> None:
    _write(tmp_path / "home" / ".config" / "uv" / "uv.toml", text)
    assert of_uv("/env", {**node, "PIP_INDEX_URL": "https://pip"}, NOWHERE).index_url == ""


def test_configuration_of_uv_about_other_things_does_not_hide_that_of_pip(node: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".config" / "uv" / "uv.toml", "link-mode = 'copy'\n")
    assert of_uv("/env", {**node, "PIP_INDEX_URL": "https://pip"}, NOWHERE).index_url == "https://pip"


def test_variables_of_uv_are_kept_beside_what_a_task_asks_for(node: dict[str, str]) -> None:
    variables = {**node, "UV_FIND_LINKS": "/u1,/u2", "UV_DEFAULT_INDEX": "https://u"}
    assert of_uv("/env", variables, NOWHERE).joined(Sources(find_links=("/task",))) == Sources(
        index_url="https://u", find_links=("/task", "/u1", "/u2")
    )


JOINED = [
    (Sources(index_url="https://node"), Sources(), Sources(index_url="https://node")),
    (Sources(index_url="https://node"), Sources(index_url="https://task"), Sources(index_url="https://task")),
    (Sources(find_links=("/node",)), Sources(find_links=("/task",)), Sources(find_links=("/task", "/node"))),
    (Sources(cert="/ca"), Sources(no_index=True), Sources(cert="/ca", no_index=True)),
]


@pytest.mark.parametrize(("node_has", "task_asks", "together"), JOINED)
def test_task_comes_on_top_of_the_node(node_has: Sources, task_asks: Sources, together: Sources) -> None:
    assert node_has.joined(task_asks) == together


OPTIONS = [
    (Sources(), []),
    (
        Sources(index_url="https://i", extra_index_urls=("https://e",), find_links=("/f",)),
        ["--index-url=https://i", "--extra-index-url=https://e", "--find-links=/f"],
    ),
    (Sources(index_url="https://i", find_links=("/f",), no_index=True), ["--no-index", "--find-links=/f"]),
]


@pytest.mark.parametrize(("sources", "options"), OPTIONS)
def test_sources_as_options(sources: Sources, options: list[str]) -> None:
    assert sources.options("--index-url", "--extra-index-url") == options
