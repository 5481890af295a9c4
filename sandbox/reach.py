"""Which files of the repository decide what a playbook does: those that it names, those that they name, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path

import yaml

from sandbox.shell import ROOT

COLLECTION = "fromzero.deepspeed"
_NAMED = re.compile(rf"{re.escape(COLLECTION)}\.(\w+)")
# A module in a package of module_utils or plugin_utils, or what is imported of such a package.
_IMPORTED = re.compile(r"(?:module_utils|plugin_utils)\.(\w+)(?:\.(\w+)| import (?:\(([^)]*)\)|([^\n]+)))")
_PLAYBOOK = re.compile(r"import_playbook: (\S+\.yml)")
_QUOTED = re.compile(r"[\"'](\w+)[\"']")


def reached(files: Iterable[Path], root: Path = ROOT) -> Set[Path]:
    """Files, and all that they reach; a role counts as a whole.

    A name that is only mentioned counts too: a file too many costs a minute, one too few hides a mistake.
    """
    found: set[Path] = set()
    left = {file.resolve() for file in files}
    while left:
        file = left.pop()
        found.add(file)
        left |= _named_in(file, root) - found
    return found


@cache
def _named_in(file: Path, root: Path) -> Set[Path]:
    return frozenset(_names(file, root))


def _names(file: Path, root: Path) -> Iterator[Path]:
    text = file.read_text(encoding="utf-8", errors="replace")
    for name in _NAMED.findall(text):
        yield from (path for path in (root / "roles" / name).rglob("*") if _counts(path))
        yield from (root / "plugins").glob(f"*/{name}.py")
    for package, *modules in _IMPORTED.findall(text):
        for name in set(re.findall(r"\w+", " ".join(modules))):
            yield from (root / "plugins").glob(f"*_utils/{package}/{name}.py")
    for name in _PLAYBOOK.findall(text):
        yield from (path for path in [(file.parent / name).resolve()] if path.is_file())
    if file.suffix == ".py":
        yield from (path for name in set(_QUOTED.findall(text)) for path in (root / "data").glob(f"{name}.yml"))


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".md", ".pyc")


# What no playbook names: where it lies -> the variable of molecule.yml that concerns it, and the words one of which is
# in it; no word means that any will do, no variable that each scenario is concerned. The first that fits counts.
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "sandbox/conda/": ("SANDBOX_WITH", ("conda", "upstream")),
    "sandbox/nvidia/toolkit/": ("SANDBOX_WITH", ("toolkit",)),
    "sandbox/nvidia/": ("SANDBOX_WITH", ("nvidia", "toolkit")),
    "sandbox/wheelhouse.py": ("SANDBOX_WITH", ("wheels", "upstream")),
    "sandbox/prepared.py": ("SANDBOX_FROM", ()),
    "sandbox/gpus/": ("SANDBOX_WORLDS", ()),
    "molecule/shared/worlds/": ("SANDBOX_WORLDS", ()),
    "sandbox/reach.py": ("SANDBOX_FROM", ()),
    "sandbox/": ("", ()),
    "molecule/shared/create.yml": ("", ()),
    "molecule/shared/destroy.yml": ("", ()),
    ".config/molecule/": ("", ()),
    "requirements.txt": ("", ()),
}
# These pages have blocks that this scenario types.
PAGES = ("README.md", "docs/", "examples/")
TYPES_PAGES = "first_job"


def scenarios(changed: Iterable[str], prepared: Mapping[str, Sequence[str]], root: Path = ROOT) -> list[str]:
    """The scenarios that a change can reach, of those in molecule/.

    :param changed: files, as git names them.
    :param prepared: a value of SANDBOX_FROM -> the playbooks that have run on such nodes, below the root.
    """
    files = set(changed)
    found = []
    for description in sorted(root.glob("molecule/*/molecule.yml")):
        folder = description.parent
        settings = yaml.safe_load(description.read_text(encoding="utf-8")) or {}
        environment = settings.get("ansible", {}).get("env", {})
        start = [path for path in folder.rglob("*") if path.suffix in (".yml", ".py") and path.is_file()]
        start += [root / playbook for playbook in prepared.get(environment.get("SANDBOX_FROM", ""), ())]
        ends = {str(path.relative_to(root)) for path in reached(start, root) if path.is_relative_to(root)}
        inside = f"{folder.relative_to(root)}/"
        typed = folder.name == TYPES_PAGES and any(file.startswith(PAGES) for file in files)
        if typed or files & ends or any(file.startswith(inside) or _concerns(file, environment) for file in files):
            found.append(folder.name)
    return found


def _concerns(file: str, environment: Mapping[str, str]) -> bool:
    """Whether a file that no playbook names concerns the scenarios with these variables."""
    for place, (variable, words) in PLACES.items():
        if file.startswith(place):
            given = str(environment.get(variable, "")).split()
            return not variable or bool(set(given) & set(words) if words else given)
    return False
