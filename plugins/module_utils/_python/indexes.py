# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where packages come from: what a task asks for on top of what the node is configured with.

uv does not read pip's configuration. A node whose administrator set up mirrors for pip would then be without them, so
the configuration of pip is read here and handed to uv, unless uv has indexes of its own.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth

_UV_INDEXES = re.compile(
    r"^\s*(\[\[\s*(pip\.)?index\s*\]\]|(index-url|extra-index-url|default-index|index|find-links|no-index)\s*=)",
    re.MULTILINE,
)
SYSTEM = Path("/etc")
# Handed over as options, which would not join these but be hidden by them.
UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True)
class Sources:
    """Indexes and folders to install from. An empty index_url means the installer's own."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    trusted_hosts: tuple[str, ...] = ()
    proxy: str = ""

    def joined(self, wish: Sources) -> Sources:
        """What a task wishes on top of this: its index replaces, its other places come first."""
        return replace(
            self,
            index_url=wish.index_url or self.index_url,
            extra_index_urls=tuple(dict.fromkeys(wish.extra_index_urls + self.extra_index_urls)),
            find_links=tuple(dict.fromkeys(wish.find_links + self.find_links)),
            no_index=wish.no_index or self.no_index,
        )

    def options(self, index_option: str, extra_option: str) -> list[str]:
        """As options of an installer: pip and uv differ in two names."""
        places = [f"--find-links={place}" for place in self.find_links]
        if self.no_index:
            return ["--no-index", *places]
        index = [f"{index_option}={self.index_url}"] if self.index_url else []
        return [*index, *(f"{extra_option}={url}" for url in self.extra_index_urls), *places]


def _pip_files(prefix: str, environment: Mapping[str, str], system: Path) -> Iterator[Path]:
    """pip's configuration files, each overriding those before."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":
        return
    home = Path(environment.get("HOME", "/"))
    for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(folder, "pip", "pip.conf")
    yield system / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield Path(prefix, "pip.conf")
    if named:
        yield Path(named)


def _pip_settings(files: Iterator[Path], environment: Mapping[str, str]) -> dict[str, str]:
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # pip itself names a broken file where it matters
        for section, settings in sections.items():
            if parser.has_section(section):
                settings.update({key.strip("-").replace("_", "-"): value for key, value in parser.items(section)})
    variables = {
        name[4:].lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }
    return {**sections["global"], **sections["install"], **variables}


def of_pip(prefix: str, environment: Mapping[str, str], system: Path = SYSTEM) -> Sources:
    """What pip of an environment is configured with."""
    settings = _pip_settings(_pip_files(prefix, environment, system), environment)
    return Sources(
        index_url=settings.get("index-url", "").strip(),
        extra_index_urls=tuple(settings.get("extra-index-url", "").split()),
        find_links=tuple(settings.get("find-links", "").split()),
        no_index=bool(truth(settings.get("no-index", ""))),
        cert=settings.get("cert", "").strip(),
        trusted_hosts=tuple(settings.get("trusted-host", "").split()),
        proxy=settings.get("proxy", "").strip(),
    )


def _uv_files(environment: Mapping[str, str], system: Path) -> Iterator[Path]:
    home = Path(environment.get("HOME", "/"))
    if environment.get("UV_CONFIG_FILE"):
        yield Path(environment["UV_CONFIG_FILE"])
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "uv", "uv.toml")
    for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(folder, "uv", "uv.toml")
    yield system / "uv" / "uv.toml"


def _uv_has_indexes(environment: Mapping[str, str], system: Path) -> bool:
    for file in _uv_files(environment, system):
        try:
            if _UV_INDEXES.search(file.read_text(encoding="utf-8", errors="replace")):
                return True
        except OSError:
            continue
    return False


def of_uv(prefix: str, environment: Mapping[str, str], system: Path = SYSTEM) -> Sources:
    """What uv is to be told: its own variables, else pip's configuration; nothing where uv.toml names indexes."""
    first = {name: re.split(r"[\s,]+", environment.get(name, "").strip()) for name in UV_VARIABLES}
    own = Sources(
        index_url=first["UV_DEFAULT_INDEX"][0] or first["UV_INDEX_URL"][0],
        extra_index_urls=tuple(filter(None, first["UV_INDEX"] + first["UV_EXTRA_INDEX_URL"])),
        find_links=tuple(filter(None, first["UV_FIND_LINKS"])),
    )
    pip = of_pip(prefix, environment, system)
    if own == Sources() and not _uv_has_indexes(environment, system):
        return pip
    return replace(own, cert=pip.cert, trusted_hosts=pip.trusted_hosts, proxy=pip.proxy)
