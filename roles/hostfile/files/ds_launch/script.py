# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run needs on every node, read from its command: the script, what it imports beside it, files it is given."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from typing import Iterator

from ds_launch import agent
from ds_launch.options import Options
from ds_launch.words import Refusal

# The option of DeepSpeed, and that of the Trainer of transformers.
_CONFIGURATIONS = ("--deepspeed_config", "--deepspeed")
# Imports are followed as far as a job of some hundred files goes.
_MOST_FILES = 500


@dataclass(frozen=True)
class Path:
    """A file or folder that every node needs at one path, with the same content where it is a file."""

    path: str
    kind: str
    role: str
    content: str = ""


@dataclass
class Needs:
    """What every node needs besides the working folder."""

    folder: str
    paths: list[Path] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


def working_folder() -> str:
    """The folder that the user stands in, by the name that the shell gives it: a link may lead elsewhere on a node."""
    named = os.environ.get("PWD", "")
    try:
        if named and os.path.samefile(named, "."):
            return os.path.normpath(named)
    except OSError:
        pass
    return os.getcwd()


def _names(source: str) -> Iterator[tuple[str, list[str]]]:
    """The modules that a source imports, each with the names that are taken from it; relative ones begin with dots."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def module_file(name: str, folder: str) -> str | None:
    """The file of a module below a folder, or None where it is not there."""
    place = os.path.join(folder, *name.split("."))
    return next((path for path in (f"{place}.py", f"{place}/__init__.py") if os.path.isfile(path)), None)


def _imported(path: str, root: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            source = file.read()
    except OSError:
        return
    for name, members in _names(source):
        stem = name.lstrip(".")
        level = len(name) - len(stem)
        base = root
        if level:
            base = os.path.dirname(path)
            for _step in range(level - 1):
                base = os.path.dirname(base)
        parts = stem.split(".") if stem else []
        # Importing a.b runs a and a.b; what is taken from a package may be a module of it.
        wanted = [".".join(parts[: count + 1]) for count in range(len(parts))]
        wanted += [".".join([*parts, member]) for member in members if member != "*"]
        for module in wanted:
            found = module_file(module, base)
            if found:
                yield found


def local_modules(script: str, root: str) -> list[str]:
    """The files below a folder that a script imports, directly or through another; nothing is run to find them."""
    found: dict[str, None] = {}
    waiting = [script]
    seen: set[str] = {script}
    while waiting and len(found) < _MOST_FILES:
        for path in _imported(waiting.pop(), root):
            if path not in seen:
                seen.add(path)
                found[path] = None
                waiting.append(path)
    return list(found)


def _given(arguments: list[str]) -> Iterator[str]:
    """The words of a command that may be paths, with the values of C(--name=value)."""
    for word in arguments:
        if word.startswith("-"):
            value = word.partition("=")[2]
            if value:
                yield value
        elif word:
            yield word


def _check_configuration(arguments: list[str], folder: str) -> None:
    """:raises Refusal: DeepSpeed's own option names a file that is not there, which every rank would fail on later."""
    for word, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = word.partition("=")
        value = value if equals else following
        path = os.path.join(folder, value)
        if name in _CONFIGURATIONS and value.endswith(".json") and not os.path.exists(path):
            raise Refusal(f"{path}, which {name} names, is not there; correct the path.")


def _file(path: str, role: str) -> Path:
    try:
        return Path(path, "file", role, agent.fingerprint(path))
    except OSError as error:
        raise Refusal(f"{path}, {role}, cannot be read: {error.strerror}.") from error


def _script(options: Options, folder: str) -> tuple[list[Path], list[str]]:
    """The script with the modules beside it; for a module of the environment its name."""
    if options.no_python:
        path = os.path.join(folder, options.script)
        if os.path.isfile(path):
            return [_file(path, "the program")], []
        if os.sep in options.script:
            raise Refusal(f"The program {path} is not there; correct the path.")
        return [], []
    if options.module:
        found = module_file(options.script, folder)
        if found is None:
            return [], [options.script]
        if found.endswith("/__init__.py"):
            found = os.path.join(os.path.dirname(found), "__main__.py")
            if not os.path.isfile(found):
                raise Refusal(f"{options.script} is a package without __main__.py; name a module of it.")
        packages = [os.path.dirname(found)]
        while os.path.isfile(os.path.join(packages[-1], "__init__.py")) and packages[-1] != folder:
            packages.append(os.path.dirname(packages[-1]))
        inits = [os.path.join(package, "__init__.py") for package in packages[:-1]]
        beside = dict.fromkeys([*inits, *local_modules(found, folder)])
        beside.pop(found, None)
        return [_file(found, "the module"), *(_file(path, "which it imports") for path in beside)], []
    path = os.path.join(folder, options.script)
    if os.path.isdir(path):
        return [_file(os.path.join(path, "__main__.py"), "the script")], []
    if not os.path.isfile(path):
        hint = "; for a module write -m" if module_file(options.script, folder) else "; correct the path"
        raise Refusal(f"The script {path} is not there{hint}.")
    modules = local_modules(path, os.path.dirname(path))
    return [_file(path, "the script"), *(_file(module, "which it imports") for module in modules)], []


def needs(options: Options, folder: str) -> Needs:
    """What every node needs for a command that is typed in a folder.

    :raises Refusal: this node itself lacks it.
    """
    _check_configuration(options.arguments, folder)
    paths, modules = _script(options, folder)
    known = {entry.path for entry in paths}
    for word in _given(options.arguments):
        path = os.path.normpath(os.path.join(folder, os.path.expanduser(word) if word.startswith("~") else word))
        if path in known or len(word) > 4096 or "\0" in word:
            continue
        known.add(path)
        if os.path.isdir(path):
            paths.append(Path(path, "folder", f"the argument {word}"))
        elif os.path.isfile(path):
            paths.append(_file(path, f"the argument {word}"))
    return Needs(folder, paths, modules)
