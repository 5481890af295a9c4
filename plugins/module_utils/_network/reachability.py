# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a node reaches the addresses that it is to install from: a short look at each, all at the same time."""

from __future__ import annotations

import base64
import configparser
import http.client
import importlib
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth

# What conda puts before the name of a channel.
_CONDA = "https://conda.anaconda.org"
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_PAGES = {
    "conda": ("noarch/repodata.json", "noarch/repodata.json.zst", "linux-64/repodata.json"),
    "apt": ("InRelease", "Release", "Packages", "Packages.gz"),
    "dnf": ("repodata/repomd.xml",),
}
_TOOL_PROXY = {
    "apt": (("etc/apt/apt.conf", "etc/apt/apt.conf.d/*"), re.compile(r"^\s*Acquire::https?::proxy\b", re.I | re.M)),
    "dnf": (("etc/dnf/dnf.conf", "etc/yum.conf"), re.compile(r"^\s*proxy\s*=", re.M)),
    "conda": (("etc/conda/.condarc", "etc/conda/condarc.d/*"), re.compile(r"^\s*proxy_servers\s*:", re.M)),
}


@dataclass(frozen=True)
class Pip:
    """What pip on the node is configured to use, as far as it matters for reaching its indexes."""

    places: Sequence[str] = ()
    more: Sequence[str] = ()
    links: Sequence[str] = ()
    proxy: str = ""
    cert: str = ""


@dataclass(frozen=True)
class Address:
    """Something to install, and where from.

    urls: it is enough that one answers; empty for a Python project means pip's own configuration. links: folders or
    pages of wheels. tool: C(fetch), C(pip), C(conda), C(apt), C(dnf), C(git), or C(server), where any answer counts.
    unless: patterns of paths; where one is there, nothing is fetched.
    """

    what: str
    variable: str
    tool: str
    urls: Sequence[str] = ()
    links: Sequence[str] = ()
    project: str = ""
    unless: Sequence[str] = field(default_factory=tuple)


def shown(url: str) -> str:
    """An address without the account and the password in it."""
    return re.sub(r"^([a-z+]+://)[^/@]*@", r"\1", url)


def default_index() -> str:
    """Where pip looks by itself; empty where this Python has no pip that could say so."""
    try:
        return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)
    except (ImportError, AttributeError):
        return ""


def pip_settings(environment: Mapping[str, str], files: Iterable[Path]) -> Pip:
    """What pip's files say, the later ones over the earlier, and the environment over all."""
    read: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                read.update(parser.items(section))
    names = ("index-url", "extra-index-url", "find-links", "no-index", "proxy", "cert")
    read.update(
        {
            name: environment[variable]
            for name in names
            for variable in (f"PIP_{name.upper().replace('-', '_')}",)
            if environment.get(variable)
        }
    )
    alone = truth(read.get("no-index", ""))
    return Pip(
        places=() if alone else tuple(filter(None, [read.get("index-url") or default_index()])),
        more=() if alone else tuple(read.get("extra-index-url", "").split()),
        links=tuple(read.get("find-links", "").split()),
        proxy=read.get("proxy", ""),
        cert=read.get("cert", ""),
    )


def pip_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Where pip looks for its configuration, in its order."""
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip" / "pip.conf", own]
    given = environment.get("PIP_CONFIG_FILE")
    return [*files, Path(given)] if given else files


def own_proxy(tool: str, root: Path) -> str | None:
    """The file that names a proxy for one tool alone; null where there is none."""
    patterns, line = _TOOL_PROXY.get(tool, ((), re.compile("")))
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            try:
                if line.search(path.read_text(encoding="utf-8", errors="replace")):
                    return str(path)
            except OSError:
                continue
    return None


def _in_folder(link: str, project: str) -> str:
    """The wheels of a project in a folder; a page of links is looked at as it is."""
    return f"{link.rstrip('/')}/{project}-*" if project and _path(link) is not None else link


def pages(address: Address, pip: Pip) -> list[str]:
    """What to look at; the first is the one to name where none answers."""
    if address.tool == "pip":
        indexes = [*(address.urls or pip.places), *pip.more]
        found = [f"{index.rstrip('/')}/{address.project}/" for index in indexes]
        return [*found, *(_in_folder(link, address.project) for link in (*address.links, *pip.links))]
    if address.tool == "conda":
        roots = [url if re.match(r"[a-z]+://|/", url) else f"{_CONDA}/{url}" for url in address.urls]
        return [f"{root.rstrip('/')}/{page}" for root in roots for page in _PAGES["conda"]]
    if address.tool == "git":
        return [f"{url.rstrip('/')}/info/refs?service=git-upload-pack" for url in address.urls]
    if address.tool in _PAGES:
        return [f"{url.rstrip('/')}/{page}" for url in address.urls for page in _PAGES[address.tool]]
    return list(address.urls)


def _opener(pip: Pip, is_pip: bool, environment: Mapping[str, str]) -> urllib.request.OpenerDirector:
    given = [pip.cert] if is_pip else []
    given += [environment.get(name, "") for name in _CA_VARIABLES]
    context = ssl.create_default_context(cafile=next((path for path in given if path and Path(path).is_file()), None))
    proxies = {"http": pip.proxy, "https": pip.proxy} if is_pip and pip.proxy else None
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )


def _request(url: str, method: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(shown(url), method=method, headers={"User-Agent": "fromzero-preflight"})
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    return request


def _path(url: str) -> Path | None:
    if url.startswith("file:"):
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    return None if "://" in url else Path(url).expanduser()


def why_not(url: str, opener: urllib.request.OpenerDirector, timeout: float, any_answer: bool = False) -> str:
    """Why an address does not give what is wanted; empty where it does."""
    why = _why(opener, _request(url, "HEAD"), timeout)
    if isinstance(why, int) and why in (400, 404, 405, 501):
        # Some servers know no HEAD.
        why = _why(opener, _request(url, "GET"), timeout)
    if isinstance(why, int):
        # What asks for an account is there.
        return "" if any_answer or why in (401, 403) else f"HTTP {why}"
    return why


def _why(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> str | int:
    """Why a request failed, as the status of HTTP or in words; empty where it did not."""
    try:
        with opener.open(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError as error:
        return str(getattr(error.reason, "strerror", None) or error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def _there(pattern: str) -> bool:
    if "*" not in pattern:
        return Path(pattern).exists()
    path = Path(pattern)
    return any(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor or "."))))


def unreachable(
    addresses: Sequence[Address], limit: float, root: Path, home: Path, environment: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Addresses from which nothing can be fetched, each with the reason; and sentences about what could not be known.

    :param limit: seconds for all together.
    """
    pip = pip_settings(environment, pip_files(environment, home))
    unknown: list[str] = []
    wanted: list[tuple[Address, list[str]]] = []
    for address in addresses:
        if any(_there(pattern) for pattern in address.unless):
            continue
        proxy = own_proxy(address.tool, root)
        if proxy:
            unknown.append(f"{address.what}: not looked at, since {proxy} names a proxy for {address.tool} alone.")
        else:
            wanted.append((address, pages(address, pip)))
            if not wanted[-1][1]:
                unknown.append(
                    f"{address.what}: not looked at, since no pip is installed yet that could name its index."
                )
    # A file needs no network, and where one answers, nothing else needs to.
    reasons = {
        (address.tool, url): "" if _there(str(path)) else "no such file"
        for address, urls in wanted
        for url in urls
        for path in [_path(url)]
        if path is not None
    }
    rest = [
        (address.tool, url)
        for address, urls in wanted
        if all(reasons.get((address.tool, url), "unknown") for url in urls)
        for url in urls
        if (address.tool, url) not in reasons
    ]
    reasons.update(_ask(list(dict.fromkeys(rest)), pip, limit, environment))
    found = []
    for address, urls in wanted:
        said = [reasons.get((address.tool, url), f"no answer within {limit:g} s") for url in urls]
        if urls and all(said):
            found.append(
                {
                    "what": address.what,
                    "variable": address.variable,
                    "url": shown(urls[0]),
                    "reason": said[0],
                }
            )
    return found, unknown


def _ask(
    wanted: Sequence[tuple[str, str]], pip: Pip, limit: float, environment: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """What was found out before the time was up, by tool and address."""
    # Reading a bundle of certificates takes longer than many an answer, so it is done once, and outside of the limit.
    openers = {is_pip: _opener(pip, is_pip, environment) for is_pip in {tool == "pip" for tool, _url in wanted}}
    reasons: dict[tuple[str, str], str] = {}
    threads = []
    for tool, url in wanted:

        def ask(tool: str = tool, url: str = url) -> None:
            reasons[tool, url] = why_not(url, openers[tool == "pip"], limit, any_answer=tool == "server")

        # What hangs in a name server does not keep the module from its end.
        threads.append(threading.Thread(target=ask, daemon=True))
    end = time.monotonic() + limit
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(reasons)


def environment() -> Mapping[str, str]:
    """The variables of the process, in which proxies and bundles of certificates are named."""
    return dict(os.environ)
