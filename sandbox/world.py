"""What the world gives this machine, handed to the nodes: package sources, certificates, proxies.

A node in a data centre has an apt mirror, a pip index and a CA bundle of its site. The nodes of the sandbox have those
of the machine that carries them, read from its own configuration.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.shell import run

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_PIP_LISTS = ("extra-index-url", "find-links", "trusted-host")


@dataclass(frozen=True)
class Suite:
    """A release of the distribution and where its packages come from, in the words of apt."""

    codename: str
    sources: str


def suite(codename: str) -> Suite:
    """A release of Debian, from where this machine gets its own; no sources where this machine is no Debian."""
    release = _os_release()
    if release.get("ID") != "debian":
        return Suite(codename, "")
    texts = []
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if file.is_file() and file.suffix in (".list", ".sources"):
            texts.append(file.read_text(encoding="utf-8"))
    own = release["VERSION_CODENAME"]
    return Suite(codename, of_release(distribution_sources("\n\n".join(texts), own), own, codename))


def of_release(sources: str, own: str, codename: str) -> str:
    """Apt's sources of one release of Debian as those of another: the same mirrors, suites of the other's name."""
    return re.sub(rf"(?<![\w-]){re.escape(own)}(?=(-(updates|security|backports))?(\s|$))", codename, sources)


def distribution_sources(text: str, codename: str) -> str:
    """Those stanzas and lines of apt's sources whose suite is a release of the distribution itself."""
    own = re.compile(rf"^{re.escape(codename)}(-(updates|security|backports))?$|^{re.escape(codename)}/updates$")
    kept = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        one_line = [line for line in lines if line.startswith("deb ")]
        kept += [line for line in one_line if any(own.match(word) for word in line.split())]
        suites = [line.split(":", 1)[1].split() for line in lines if line.lower().startswith("suites:")]
        if not one_line and suites and all(own.match(word) for word in suites[0]):
            kept.append("\n".join(lines) + "\n")
    return "\n".join(kept) + "\n"


def pip_configuration() -> dict[str, list[str]]:
    """pip's settings on this machine that say where packages come from: name -> values, the environment last."""
    found: dict[str, list[str]] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key == "index-url":
            found[key] = [ast.literal_eval(value)]
        elif key in _PIP_LISTS:
            found[key] = list(dict.fromkeys([*found.get(key, []), *ast.literal_eval(value).split()]))
    return found


def pip_conf(configuration: Mapping[str, Iterable[str]], find_links: Iterable[Path] = ()) -> str:
    """The text of a node's /etc/pip.conf: this machine's settings, and folders of wheels beside them."""
    settings = {name: list(values) for name, values in configuration.items()}
    settings["find-links"] = [*settings.get("find-links", []), *map(str, find_links)]
    lines = [f"{name} = {' '.join(values)}" for name, values in sorted(settings.items()) if values]
    return "\n".join(["[global]", f"cert = {CA_BUNDLE}", *lines]) + "\n"


def local_paths(configuration: Mapping[str, Iterable[str]]) -> list[Path]:
    """Folders of this machine that pip's settings name; a node needs each at the same path."""
    paths = []
    for value in (value for values in configuration.values() for value in values):
        path = Path(urlsplit(value).path) if value.startswith("file:") else Path(value)
        if path.is_absolute() and path.is_dir():
            # The pages of a simple index link to files beside it.
            paths.append(path.parent if path.name == "simple" else path)
    return list(dict.fromkeys(paths))


def ca_bundle() -> Path | None:
    """The certificates that this machine trusts, a site's own authority among them."""
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"))
    return next((Path(path) for path in (*named, CA_BUNDLE) if path and Path(path).is_file()), None)


def proxies() -> dict[str, str]:
    """The proxy variables of this process, in both spellings that programs read."""
    given = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES}
    return {spelling: value for name, value in given.items() if value for spelling in (name, name.upper())}


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
