# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import http.server
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._network import reachability
from ansible_collections.fromzero.deepspeed.plugins.module_utils._network.reachability import (
    Address,
    Pip,
    own_proxy,
    pages,
    pip_files,
    pip_settings,
    shown,
    unreachable,
)


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by the path: /404 with that status, /get with no HEAD, /slow late, /account only to ann."""

    def answer(self) -> None:
        name = self.path.strip("/").partition("/")[0]
        if name == "slow":
            time.sleep(3)
        status = int(name) if name.isdigit() else 200
        if name == "account" and self.headers.get("Authorization") != "Basic YW5uOnB3":
            status = 500
        if name == "get" and self.command == "HEAD":
            status = 405
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{running.server_port}"
    running.shutdown()


ANSWERS = [
    ("fetch", "http://{}/file", ""),
    ("fetch", "http://{}/get", ""),
    ("fetch", "http://{}/403", ""),
    ("fetch", "http://ann:pw@{}/account", ""),
    ("fetch", "http://{}/404", "HTTP 404"),
    ("fetch", "http://{}/503", "HTTP 503"),
    ("server", "http://{}/404", ""),
    ("fetch", "http://127.0.0.1:9/x", "Connection refused"),
    ("fetch", "http://{}/slow", "no answer within 0.5 s"),
    ("fetch", "file:///nowhere/x", "no such file"),
    ("fetch", "file:///", ""),
    ("fetch", "nonsense://x", "unknown url type: nonsense"),
]


@pytest.mark.parametrize(("tool", "url", "reason"), ANSWERS)
def test_an_address_is_told_with_its_reason(server: str, tmp_path: Path, tool: str, url: str, reason: str) -> None:
    address = Address("x", "x_url", tool, [url.format(server)])
    found, unknown = unreachable([address], 0.5, tmp_path, tmp_path, {})
    wanted = [{"what": "x", "variable": "x_url", "url": url.format(server), "reason": reason}] if reason else []
    assert (found, unknown) == (wanted, [])


def test_a_password_is_not_shown(server: str, tmp_path: Path) -> None:
    found, _unknown = unreachable(
        [Address("x", "v", "fetch", [f"http://ann:no@{server}/account"])], 2, tmp_path, tmp_path, {}
    )
    assert found[0]["url"] == f"http://{server}/account"
    assert shown("git+https://token@host/a@b") == "git+https://host/a@b"


def test_all_addresses_together_take_no_longer_than_the_limit(server: str, tmp_path: Path) -> None:
    began = time.monotonic()
    addresses = [Address("x", "v", "fetch", [f"http://{server}/slow/{number}"]) for number in range(20)]
    found, _unknown = unreachable(addresses, 0.5, tmp_path, tmp_path, {})
    assert len(found) == 20
    assert time.monotonic() - began < 2.5


def test_one_address_that_answers_is_enough_and_so_is_what_is_there(server: str, tmp_path: Path) -> None:
    addresses = [
        Address("a", "v", "pip", [f"http://{server}/404", f"http://{server}/simple"], project="a"),
        Address("b", "v", "pip", [f"http://{server}/404"], links=[str(tmp_path)], project="b"),
        Address("d", "v", "pip", [f"http://{server}/404"], links=[tmp_path.as_uri()], project="d"),
        Address("c", "v", "fetch", [f"http://{server}/404"], unless=[f"{tmp_path}/*"]),
    ]
    for name in ("b-1.whl", "d-1.tar.gz"):
        (tmp_path / name).touch()
    assert unreachable(addresses, 5, tmp_path, tmp_path, {}) == ([], [])


def test_a_proxy_of_the_environment_is_used(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{server}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert unreachable([Address("x", "v", "fetch", ["http://nowhere.invalid/x"])], 5, tmp_path, tmp_path, {}) == (
        [],
        [],
    )


PROXIES = [
    ("apt", "etc/apt/apt.conf.d/80proxy", 'Acquire::http::Proxy "http://proxy:3128";\n'),
    ("dnf", "etc/dnf/dnf.conf", "[main]\nproxy=http://proxy:3128\n"),
    ("conda", "etc/conda/.condarc", "proxy_servers:\n  http: http://proxy:3128\n"),
]


@pytest.mark.parametrize(("tool", "path", "text"), PROXIES)
def test_nothing_is_said_of_a_tool_with_a_proxy_of_its_own(tmp_path: Path, tool: str, path: str, text: str) -> None:
    assert own_proxy(tool, tmp_path) is None
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text, encoding="utf-8")
    found, [sentence] = unreachable([Address("x", "v", tool, ["http://127.0.0.1:9"])], 5, tmp_path, tmp_path, {})
    assert found == []
    assert sentence == f"x: not looked at, since {tmp_path / path} names a proxy for {tool} alone."


PIP = [
    ({}, "", Pip(places=("http://default/simple",))),
    ({}, "[global]\nindex-url = http://a/simple\nextra-index-url =\n  http://b\n  http://c\n",
     Pip(places=("http://a/simple",), more=("http://b", "http://c"))),
    ({"PIP_INDEX_URL": "http://e"}, "[global]\nindex-url = http://a\n", Pip(places=("http://e",))),
    ({}, "[install]\nno-index = true\nfind-links = /srv/wheels\n", Pip(places=(), links=("/srv/wheels",))),
    ({"PIP_PROXY": "http://p"}, "[global]\ncert = /ca.crt\n",
     Pip(places=("http://default/simple",), proxy="http://p", cert="/ca.crt")),
    ({}, "no section\n", Pip(places=("http://default/simple",))),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "text", "wanted"), PIP)
def test_pip_is_configured_by_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], text: str, wanted: Pip
) -> None:
    monkeypatch.setattr(reachability, "default_index", lambda: "http://default/simple")
    (tmp_path / "pip.conf").write_text(text, encoding="utf-8")
    assert pip_settings(environment, [tmp_path / "missing", tmp_path / "pip.conf"]) == wanted


def test_the_index_of_pip_is_what_pip_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reachability.default_index().startswith("https://")
    monkeypatch.setitem(sys.modules, "pip._internal.models.index", None)
    assert reachability.default_index() == ""


def test_without_a_pip_its_index_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "default_index", lambda: "")
    wanted = [Address("ninja", "v", "pip", project="ninja")]
    environment = {"PIP_CONFIG_FILE": "/dev/null", "XDG_CONFIG_HOME": str(tmp_path)}
    monkeypatch.setattr(reachability, "pip_files", lambda *_arguments: [])
    found, [sentence] = unreachable(wanted, 5, tmp_path, tmp_path, environment)
    assert found == []
    assert sentence == "ninja: not looked at, since no pip is installed yet that could name its index."


def test_pip_reads_the_files_of_the_account_over_those_of_the_system() -> None:
    files = pip_files({"PIP_CONFIG_FILE": "/own.conf"}, Path("/home/ann"))
    assert files[1:] == [Path(name) for name in (
        "/etc/pip.conf", "/home/ann/.pip/pip.conf", "/home/ann/.config/pip/pip.conf", "/own.conf"
    )]  # fmt: skip


LOOKED_AT = [
    (Address("x", "v", "pip", ["http://a/whl/"], project="torch"), "http://a/whl/torch/"),
    (Address("x", "v", "pip", project="deepspeed"), "http://index/simple/deepspeed/"),
    (Address("x", "v", "conda", ["conda-forge"]), "https://conda.anaconda.org/conda-forge/noarch/repodata.json"),
    (Address("x", "v", "conda", ["file:///c"]), "file:///c/noarch/repodata.json"),
    (Address("x", "v", "dnf", ["http://a/"]), "http://a/repodata/repomd.xml"),
    (Address("x", "v", "apt", ["http://a/"]), "http://a/InRelease"),
    (Address("x", "v", "git", ["https://h/a"]), "https://h/a/info/refs?service=git-upload-pack"),
    (Address("x", "v", "fetch", ["https://h/a.sh"]), "https://h/a.sh"),
]


@pytest.mark.parametrize(("address", "page"), LOOKED_AT)
def test_what_is_looked_at_is_what_the_tool_reads_first(address: Address, page: str) -> None:
    assert pages(address, Pip(places=("http://index/simple",)))[0] == page
