"""A STAND-IN for conda's command line, driven by py-rattler; not conda, and never to be taken for it.

The installer puts the line with the interpreter above this text and makes it PREFIX/bin/conda. Options, JSON keys and
names of errors are conda's; wordings are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

import rattler
from rattler.exceptions import GatewayError, InvalidMatchSpecError, SolverError

BASE = Path(__file__).resolve().parent.parent
VERSION = "26.3.2+standin"

# What a command has to say, or the exit code of the program that it ran.
Report = Union[dict[str, Any], list[dict[str, Any]], int]


class CondaError(Exception):
    """An error under the name that conda gives it in its JSON output."""

    def __init__(self, name: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.report = {"exception_name": name, "message": message, "error": f"{name}: {message}", **details}


def main() -> int:
    options = parse()
    try:
        result = COMMANDS[options.command](options)
    except CondaError as error:
        print(
            json.dumps(error.report, indent=2) if options.json else error.report["error"],
            file=sys.stdout if options.json else sys.stderr,
        )
        return 1
    if isinstance(result, int):
        return result
    print(json.dumps(result, indent=2) if options.json else f"{result}\n(by a STAND-IN for conda)")
    return 0


def parse() -> Namespace:
    parser = argparse.ArgumentParser(prog="conda", description="a STAND-IN for conda")
    parser.add_argument("-V", "--version", action="version", version=f"conda {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    for flags in (("--json",), ("-q", "--quiet"), ("-y", "--yes"), ("-d", "--dry-run"), ("--offline",)):
        common.add_argument(*flags, action="store_true")
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("-n", "--name")
    place.add_argument("-p", "--prefix")
    for name in ("create", "install"):
        command = commands.add_parser(name, parents=[common, place])
        command.add_argument("-c", "--channel", action="append", default=[])
        command.add_argument("--override-channels", action="store_true")
        command.add_argument("--force-reinstall", action="store_true")
        command.add_argument("specs", nargs="*")
    commands.add_parser("remove", parents=[common, place]).add_argument("--all", action="store_true", required=True)
    commands.add_parser("list", parents=[common, place])
    commands.add_parser("info", parents=[common])
    environments = commands.add_parser("env", parents=[common])
    environments.add_argument("action", choices=["list"])
    # What the real one does inside `conda shell.posix activate`.
    commands.add_parser("locate", parents=[common]).add_argument("name")
    runner = commands.add_parser("run", parents=[common, place])
    runner.add_argument("argv", nargs=argparse.REMAINDER)
    return parser.parse_args()


def create(options: Namespace) -> Report:
    return change(options, target(options), [])


def install(options: Namespace) -> Report:
    prefix = environment(options)
    return change(options, prefix, records(prefix))


def change(options: Namespace, prefix: Path, present: Sequence[rattler.PrefixRecord]) -> Report:
    """Solve, and unless it is a dry run, link. What is there stays, in the same version where the specs allow it."""
    wanted = asyncio.run(solve(options, present))
    named = {rattler.MatchSpec(spec).name.normalized for spec in options.specs}
    again = named if options.force_reinstall else set()
    before = {key(record): record for record in present}
    after = {key(record): record for record in wanted}
    actions = {
        "LINK": [describe(after[it]) for it in after if it not in before or it[0] in again],
        "UNLINK": [describe(before[it]) for it in before if it not in after or it[0] in again],
        "PREFIX": str(prefix),
    }
    if not actions["LINK"] and not actions["UNLINK"]:
        return {"success": True, "prefix": str(prefix), "message": "All requested packages already installed."}
    if not options.dry_run:
        link(prefix, wanted, again)
    return {"success": True, "prefix": str(prefix), "dry_run": options.dry_run, "actions": actions}


async def solve(options: Namespace, present: Sequence[rattler.PrefixRecord]) -> list[rattler.RepoDataRecord]:
    channels = options.channel + ([] if options.override_channels else configured_channels())
    # The solver answers with what the specs need and nothing else, so what is there has to be named too.
    named = {rattler.MatchSpec(spec).name.normalized for spec in options.specs}
    kept = [record.name.normalized for record in present if record.name.normalized not in named]
    try:
        solution: list[rattler.RepoDataRecord] = await rattler.solve(
            sources=[rattler.Channel(name) for name in channels],
            specs=[*options.specs, *kept],
            platforms=[rattler.Subdir.current(), "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
            locked_packages=present,
        )
        return solution
    except InvalidMatchSpecError as error:
        raise CondaError("InvalidMatchSpec", str(error)) from error
    except GatewayError as error:
        raise CondaError("UnavailableInvalidChannel", str(error), channels=channels) from error
    except SolverError as error:
        raise CondaError("LibMambaUnsatisfiableError", str(error)) from error


def link(prefix: Path, wanted: list[rattler.RepoDataRecord], again: set[str]) -> None:
    try:
        (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
        (prefix / "conda-meta" / "history").touch()
    except PermissionError as error:
        raise CondaError("EnvironmentNotWritableError", str(error), environment_location=str(prefix)) from error
    cache = BASE / "pkgs" if os.access(BASE / "pkgs", os.W_OK) else Path.home() / ".conda" / "pkgs"
    asyncio.run(rattler.install(wanted, prefix, cache_dir=cache, reinstall_packages=again, show_progress=False))


def remove(options: Namespace) -> Report:
    prefix = environment(options)
    if not options.dry_run:
        shutil.rmtree(prefix)
    return {"success": True, "prefix": str(prefix)}


def packages(options: Namespace) -> Report:
    return [describe(record) for record in records(environment(options))]


def info(_options: Namespace) -> dict[str, Any]:
    folders = envs_dirs()
    envs = [str(path.parent) for folder in folders for path in sorted(folder.glob("*/conda-meta"))]
    known: dict[str, Any] = {"conda_version": VERSION, "root_prefix": str(BASE), "envs": [str(BASE), *envs]}
    return {**known, "channels": configured_channels(), "envs_dirs": [str(folder) for folder in folders]}


def environments(options: Namespace) -> Report:
    return {"envs": info(options)["envs"]}


def locate(options: Namespace) -> Report:
    for folder in envs_dirs():
        if (folder / options.name / "conda-meta" / "history").is_file():
            print(folder / options.name)
            return 0
    raise CondaError("EnvironmentNameNotFound", f"Could not find conda environment: {options.name}")


def execute(options: Namespace) -> Report:
    prefix = environment(options)
    path = f"{prefix}/bin:{os.environ['PATH']}"
    return subprocess.call(options.argv, env={**os.environ, "CONDA_PREFIX": str(prefix), "PATH": path})


COMMANDS = {
    "create": create,
    "install": install,
    "remove": remove,
    "list": packages,
    "info": info,
    "env": environments,
    "locate": locate,
    "run": execute,
}


def target(options: Namespace) -> Path:
    if options.prefix:
        return Path(options.prefix)
    if options.name in (None, "base"):
        return BASE
    folders = envs_dirs()
    there = [folder for folder in folders if (folder / options.name).is_dir()]
    folder = (there or folders)[0]
    return folder / str(options.name)


def environment(options: Namespace) -> Path:
    prefix = target(options)
    if not (prefix / "conda-meta" / "history").is_file():
        raise CondaError("EnvironmentLocationNotFound", f"Not a conda environment: {prefix}", location=str(prefix))
    return prefix


def records(prefix: Path) -> list[rattler.PrefixRecord]:
    return [rattler.PrefixRecord.from_path(path) for path in sorted((prefix / "conda-meta").glob("*.json"))]


def key(record: rattler.PackageRecord) -> tuple[str, str, str]:
    return record.name.normalized, str(record.version), str(record.build)


def describe(record: rattler.RepoDataRecord) -> dict[str, str]:
    name, version, build = key(record)
    return {"name": name, "version": version, "build_string": build, "channel": str(record.channel)}


def envs_dirs() -> list[Path]:
    """Where environments are looked for by name, as conda/base/context.py has it: what is configured, then its own."""
    own = [BASE / "envs", Path("~/.conda/envs")]
    if not os.access(BASE, os.W_OK):
        own.reverse()
    home = Path.home() / ".conda"
    files = [BASE / ".condarc", *sorted((home / "condarc.d").glob("*.yml")), home.parent / ".condarc"]
    # The file that is read last comes first, as among conda's own.
    named = [folder for file in reversed(files) for folder in configured("envs_dirs", file)]
    return list(dict.fromkeys(Path(os.path.expandvars(str(folder))).expanduser() for folder in [*named, *own]))


def configured_channels() -> list[str]:
    return configured("channels", BASE / ".condarc")


def configured(name: str, condarc: Path) -> list[str]:
    """A list of a configuration file, of which nothing but a plain list is understood here."""
    found, inside = [], False
    for line in condarc.read_text().splitlines() if condarc.is_file() else []:
        if line[:1] not in (" ", "-"):
            inside = line.startswith(f"{name}:")
        elif inside and line.strip().startswith("- "):
            found.append(line.strip()[2:].strip("'\""))
    return found


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # py-rattler 0.28 may abort while the interpreter goes down
