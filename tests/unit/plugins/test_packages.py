"""Imports between the packages of module_utils and plugin_utils go one way, and nothing lies outside a package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[3] / "plugins"
PREFIX = "ansible_collections.fromzero.deepspeed.plugins."

# A package -> those that it may import beside itself. A package of plugin_utils may import any of module_utils too.
MODULE_UTILS: dict[str, set[str]] = {
    "_text": set(),
    "_host": set(),
    "_files": {"_text", "_host"},
    "_cluster": {"_files", "_text"},
    "_network": {"_text", "_host"},
    "_launch": {"_text", "_host"},
    "_gpu": {"_text", "_files", "_host"},
    "_packages": {"_text", "_files", "_host"},
    "_python": {"_text", "_files", "_host"},
    "_conda": {"_text", "_files", "_host"},
    "_cuda": {"_text", "_files", "_host"},
    "_ssh": {"_text", "_cluster", "_files", "_host"},
    "_driver": {"_text", "_files", "_gpu", "_host", "_packages"},
    "_build": {"_text", "_cuda", "_files", "_host", "_python"},
}
PLUGIN_UTILS: dict[str, set[str]] = {
    "_knowledge": set(),
    "_lock": set(),
    "_ssh": set(),
    "_wheels": set(),
    "_launch": {"_knowledge"},
    "_inventory": {"_knowledge"},
    "_verdict": {"_inventory", "_knowledge"},
    "_environment": {"_inventory", "_knowledge"},
    "_ansible": {"_environment", "_inventory", "_knowledge"},
    "_driver": {"_ansible", "_environment", "_inventory", "_knowledge"},
    "_resolver": {"_ansible", "_driver", "_environment", "_inventory", "_knowledge"},
    "_plan": {"_ansible", "_driver", "_environment", "_inventory", "_knowledge", "_resolver"},
}
MAY_IMPORT = {"module_utils": MODULE_UTILS, "plugin_utils": PLUGIN_UTILS}
FILES = sorted(PLUGINS.glob("*_utils/**/*.py"))


def imported(source: str) -> Iterator[tuple[str, str]]:
    """The packages that a file imports, each with the place that it lies in."""
    for node in ast.walk(ast.parse(source)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.startswith(PREFIX):
                place, _dot, rest = name.removeprefix(PREFIX).partition(".")
                yield place, rest.partition(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PLUGINS)))
def test_a_file_is_in_a_package_and_imports_only_what_lies_below_it(file: Path) -> None:
    place, package, _name = file.relative_to(PLUGINS).parts
    below = MAY_IMPORT[place][package] | {package}
    for other, target in imported(file.read_text(encoding="utf-8")):
        assert (place, other) != ("module_utils", "plugin_utils"), "a node has no plugin_utils"
        assert other != place or target in below, f"{package} may not import {target}"


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_the_order_has_no_circle_and_names_every_package(place: str) -> None:
    table = MAY_IMPORT[place]
    done: set[str] = set()
    for package, below in table.items():
        assert below <= done, f"{package} has to come after what it imports"
        done.add(package)
    assert done == {file.relative_to(PLUGINS).parts[1] for file in FILES if file.relative_to(PLUGINS).parts[0] == place}


def test_what_is_imported_is_seen_in_either_form() -> None:
    source = f"from {PREFIX}module_utils._gpu import gpus\nfrom {PREFIX}plugin_utils._plan.fact import a\nimport os\n"
    assert list(imported(source)) == [("module_utils", "_gpu"), ("plugin_utils", "_plan")]
