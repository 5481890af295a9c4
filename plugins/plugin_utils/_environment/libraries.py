# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which libraries a wish stands for in one environment, and what keeps them out of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import SourceError, digest_of_folder
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    RequirementError,
    canonical,
    parse,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import flash_attn
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import FOLDER, rows

# What other roles of this collection put there, and what belongs to torch: it stays under whatever comes along.
KEPT = ("torch", "torchvision", "torchaudio", "triton", "pytorch-triton-rocm", "deepspeed", "apex", "flash-attn")
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;]+)")
_NAME = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?)")
_PROJECT_KEYS = {
    "source", "name", "checksum", "subdirectory", "submodules", "dependencies", "build_isolation", "on_node",
    "environment",
}  # fmt: skip
_ARCHIVE = re.compile(r"(?:-\d[^-]*)?\.(?:tar\.gz|tgz|tar\.bz2|tar\.xz|tar|zip)$")


class LibrariesError(ValueError):
    """A wish cannot be read; the text is a sentence for the user."""


def _inside(value: str, row: Mapping[str, Any], what: str) -> bool:
    return numbers(row.get(f"{what}_from", "0")) <= numbers(value) < numbers(row.get(f"{what}_below", "999"))


def fits(row: Mapping[str, Any], torch: str, python: str) -> bool:
    """Whether a row of a set is for a torch and a Python."""
    return _inside(torch, row, "torch") and _inside(minor(python), row, "python")


def _span(row: Mapping[str, Any], what: str) -> str:
    below = row.get(f"{what}_below")
    return f"from {row[f'{what}_from']} on{f' and before {below}' if below else ''}"


def stacks_for(wanted: Mapping[str, Any]) -> list[str]:
    """The stacks that a set fits."""
    return [
        stack["stack"]
        for stack in rows("stacks")["stacks"]
        if any(fits(row, stack["torch"], stack["python"]) for row in wanted["rows"])
    ]


def _unfit(wanted: Mapping[str, Any], prefix: str, torch: str, python: str) -> str:
    spans = " or ".join(
        dict.fromkeys(f"torch {_span(row, 'torch')} with Python {_span(row, 'python')}" for row in wanted["rows"])
    )
    reason = wanted["rows"][0].get("why", "") if len(wanted["rows"]) == 1 else ""
    return (
        f"The set {wanted['set']} is for {spans}, and {prefix} has torch {torch} with Python {python}"
        f"{f': {reason}' if reason else ''}. It fits the stacks {', '.join(stacks_for(wanted))} (cluster_stack); take "
        "one of these, or leave the set out of training_libs_sets."
    )


@cache
def pins_of(name: str) -> str:
    """The text of a file of data/constraints."""
    return (FOLDER / "constraints" / f"{name}.txt").read_text(encoding="utf-8")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _named(line: str) -> str:
    match = _NAME.match(line)
    return canonical(match["name"].split("[")[0].strip()) if match else ""


def versions_in(text: str) -> dict[str, set[str]]:
    """The pinned versions of a file of constraints; several where they differ by Python."""
    found: dict[str, set[str]] = {}
    for line in _lines(text):
        match = _PIN.match(line)
        if match:
            found.setdefault(canonical(match["name"]), set()).add(match["version"])
    return found


def merged(texts: Iterable[str]) -> list[str]:
    """Requirements with those of one package as one, in the order of their names' first mention.

    :raises LibrariesError: one of them cannot be read.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for text in texts:
        try:
            wanted = parse(text)
        except RequirementError as error:
            raise LibrariesError(f"training_libs_packages: {error}") from error
        match = _NAME.match(wanted.text)
        shown = wanted.text if wanted.file or match is None else match["name"].replace(" ", "")
        clauses = [] if wanted.file else [f"{operator}{version}" for operator, version in wanted.clauses]
        entry = found.setdefault(wanted.text if wanted.file else shown.lower(), (shown, []))
        entry[1].extend(clause for clause in clauses if clause not in entry[1])
    return [f"{shown}{','.join(clauses)}" for shown, clauses in found.values()]


def _exact(texts: Sequence[str]) -> dict[str, str]:
    return {wanted.name: wanted.version for wanted in map(parse, texts) if wanted.version}


def _contradictions(
    chosen: Sequence[tuple[str, Mapping[str, Any]]], free: set[str], *, constrained: bool
) -> Iterable[str]:
    """A sentence for each two sets whose versions cannot be had together.

    :param free: names that the user decides.
    """
    for (first, row), (second, other) in combinations(chosen, 2):
        mine, its = _exact(row["packages"]), _exact(other["packages"])
        apart = {name: (mine[name], its[name]) for name in sorted(set(mine) & set(its)) if mine[name] != its[name]}
        pinned = {}
        if constrained and row["constraints"] and other["constraints"] and row["constraints"] != other["constraints"]:
            left, right = versions_in(pins_of(row["constraints"])), versions_in(pins_of(other["constraints"]))
            pinned = {
                name: (min(left[name]), min(right[name]))
                for name in sorted(set(left) & set(right) - free)
                if not left[name] & right[name]
            }
        different = {**pinned, **apart}
        if not different:
            continue
        # What they name themselves tells more than what comes along.
        names = [*apart, *(name for name in pinned if name in {*mine, *its}), *pinned]
        pairs = [f"{name} {' and '.join(different[name])}" for name in dict.fromkeys(names)]
        remedy = (
            "Give each an environment of its own (training_libs_environment)"
            if apart
            else "Give each an environment of its own (training_libs_environment), or set training_libs_constrained to "
            "false and let the installer look for versions that both accept"
        )
        yield f"The sets {first} and {second} want different versions: {listed(pairs, most=4)}. {remedy}."


def _because(name: str) -> str:
    return "The set flash_attn is" if name == "flash_attn" else f"The set {name} brings"


def _instead(row: Mapping[str, Any], name: str) -> str:
    """What to do on a node whose GPUs are too old."""
    if row.get("instead"):
        return f"Take the set {row['instead']} in its place, or leave {name} out of training_libs_sets."
    return f"Leave {name} out of training_libs_sets on such nodes."


def _misnamed(packages: Sequence[str]) -> Iterable[str]:
    table = {row["package"]: row for row in rows("libraries")["misnamed"]}
    for text in packages:
        row = table.get(parse(text).name) if not parse(text).file else None
        if row:
            yield (f"training_libs_packages names {text}: {row['reason']}. Use {row['write']} in its place.")


def _rows(sets: Sequence[str], environment: Mapping[str, Any]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The row of each set, the last one where none fits, and what is wrong."""
    known = {row["set"]: row for row in rows("libraries")["sets"]}
    torch, python, prefix = environment["packages"].get("torch", ""), environment["python"], environment["prefix"]
    chosen, wrong = [], []
    for name in dict.fromkeys(sets):
        if name not in known:
            raise LibrariesError(
                f"training_libs_sets names {name!r}, which is no set; there are {', '.join(sorted(known))}."
            )
        fitting = [row for row in known[name]["rows"] if torch and python and fits(row, torch, python)]
        if torch and python and not fitting:
            wrong.append(_unfit(known[name], prefix, torch, python))
        row = (fitting or known[name]["rows"][-1:])[0]
        chosen.append((name, row))
        lacking = [needed for needed in row.get("needs", []) if needed not in environment["packages"]]
        if torch and fitting and lacking:
            roles = ", ".join(lacking)
            wrong.append(
                f"The set {name} needs {roles}, which is not installed in {prefix}; run the role {roles} before."
            )
    return chosen, wrong


def _flash(
    chosen: Sequence[tuple[str, Mapping[str, Any]]],
    environment: Mapping[str, Any],
    host: str,
    gpus: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What stands against flash-attn: one sentence for the first set that brings it."""
    for name, row in chosen:
        if row.get("flash_attn"):
            because = _because(name)
            leave = f"Leave {name} out of training_libs_sets there, or install a torch for CUDA first."
            return [
                *flash_attn.torch_problems(environment, because, leave),
                *flash_attn.gpu_problems(host, gpus, because, _instead(row, name)),
            ]
    return []


def choose(
    environment: Mapping[str, Any],
    sets: Sequence[str],
    packages: Sequence[str],
    *,
    host: str = "",
    gpus: Sequence[Mapping[str, Any]] = (),
    constrained: bool = True,
    constraints: Sequence[str] = (),
) -> dict[str, Any]:
    """What a wish stands for in an environment.

    :param environment: what environment_info returned, its packages gathered; of one that is not there yet, the newest
        rows count.
    :param sets: names of sets. packages: further requirements.
    :param gpus: of the node, those that compute.
    :param constrained: whether the pins of the sets count.
    :param constraints: texts of files of constraints; what they name overrides the pins of the sets.
    :return: packages: requirements, one for each package. pins: text of a file of constraints. keep: names of packages
        that must not move. imports: modules.
        flash_attn: whether it is among them. problems: sentences.
    :raises LibrariesError: a wish cannot be read.
    """
    chosen, wrong = _rows(sets, environment)
    if not environment["exists"]:
        wrong = list(environment["errors"])
    elif not environment["packages"].get("torch"):
        wrong = [
            f"torch is not installed in {environment['prefix']}; libraries come on top of it. Run the role torch first."
        ]
    own = merged(packages)
    decided = {parse(text).name for text in own if parse(text).clauses}
    decided |= {_named(line) for text in constraints for line in _lines(text)}
    wrong += _misnamed(own)
    wrong += _contradictions(chosen, decided, constrained=constrained)
    wrong += _flash(chosen, environment, host, gpus)
    files = dict.fromkeys(row["constraints"] for _name, row in chosen if row["constraints"] and constrained)
    pins = [line for name in files for line in _lines(pins_of(name)) if _named(line) not in decided]
    pins += [line for text in constraints for line in _lines(text)]
    return {
        "packages": merged([text for _name, row in chosen for text in row["packages"]] + own),
        "pins": "".join(f"{line}\n" for line in dict.fromkeys(pins)),
        "keep": list(KEPT),
        "imports": list(dict.fromkeys(module for _name, row in chosen for module in row["imports"])),
        "flash_attn": any(row.get("flash_attn") for _name, row in chosen),
        "problems": wrong,
    }


def _project_name(source: str) -> str:
    place = re.sub(r"@[^/@]*$", "", source) if source.startswith("git+") else source
    last = place.rstrip("/").rsplit("/", 1)[-1]
    return canonical(_ARCHIVE.sub("", last.removesuffix(".git")))


def digest(path: Path) -> str:
    """A sum over the source of a project on the control node, a folder or an archive; empty where there is none.

    :raises LibrariesError: the folder is no Python project.
    """
    if not path.is_dir():
        return sum_of(path) if path.is_file() else ""
    try:
        return digest_of_folder(path)
    except SourceError as error:
        raise LibrariesError(f"{error} (training_libs_projects)") from error


def projects(wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The projects of a wish with all their values, and what their source on the control node is now.

    :raises LibrariesError: one of them cannot be read.
    """
    found: list[dict[str, Any]] = []
    for wish in wishes:
        if not isinstance(wish, Mapping) or not wish.get("source"):
            raise LibrariesError(f"An element of training_libs_projects has no source: {wish!r}; give it one.")
        unknown = sorted(set(wish) - _PROJECT_KEYS)
        if unknown:
            raise LibrariesError(
                f"The project {wish['source']} in training_libs_projects has {', '.join(unknown)}, which means "
                f"nothing; there are {', '.join(sorted(_PROJECT_KEYS))}."
            )
        source = str(wish["source"])
        local = "://" not in source and not source.startswith("git+") and not wish.get("on_node", False)
        below = str(wish.get("subdirectory") or "").strip("/")
        found.append(
            {
                "source": source,
                "subdirectory": below,
                "name": canonical(str(wish.get("name") or _project_name(below or source))),
                "checksum": str(wish.get("checksum", "")),
                "submodules": bool(wish.get("submodules", False)),
                "dependencies": bool(wish.get("dependencies", True)),
                "build_isolation": bool(wish.get("build_isolation", True)),
                "environment": {str(name): str(value) for name, value in (wish.get("environment") or {}).items()},
                "on_node": bool(wish.get("on_node", False)),
                "content": digest(Path(source).expanduser() / below) if local else "",
            }
        )
    names = [str(project["name"]) for project in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LibrariesError(
            f"training_libs_projects names {', '.join(twice)} more than once; give each project a name."
        )
    return found


def distribution(wheel: Mapping[str, Any]) -> str:
    """The normalised name of what a wheel holds, which need not be what the project was called in the wish."""
    return parse(f"/{wheel['filename']}").name


def sums_of(wheels: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The sums of wheels by distribution."""
    return {distribution(wheel): wheel["sha256"] for wheel in wheels}


@dataclass(frozen=True)
class LibrariesRequest:
    """What is asked for; the names are those of the options of training_libs_decision."""

    sets: Sequence[str] = ()
    packages: Sequence[str] = ()
    projects: Sequence[Mapping[str, Any]] = ()
    constrained: bool = True
    constraints: Sequence[str] = ()
    flash_attn_version: str = ""
    accelerator: str = "auto"


def decide(
    request: LibrariesRequest, environment: Mapping[str, Any], host: str = "", gpus: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What training_libs_decision returns.

    :param environment: what the module environment_info returned.
    :param gpus: of the node, those that compute.
    :raises LibrariesError: the request cannot be read.
    """
    wanted = projects(request.projects)
    choice = choose(
        environment,
        request.sets,
        request.packages,
        host=host,
        gpus=gpus,
        constrained=request.constrained,
        constraints=request.constraints,
    )
    known = environment["records"].get("training_libs", {})
    record = {
        "asked": {
            "sets": list(request.sets),
            "projects": wanted,
            "flash_attn": request.flash_attn_version if choice["flash_attn"] else "",
            "accelerator": request.accelerator,
            "packages": choice["packages"],
            "pins": hashlib.sha256(choice["pins"].encode()).hexdigest() if choice["pins"] else "",
        },
        "python": environment["python"],
    }
    sums = known.get("wheels", {})
    names = sorted({parse(text).name for text in choice["packages"]} | set(KEPT))
    present = {**record, "wheels": sums, "found": versions_of({*names, *sums}, environment)}
    return {
        **choice,
        "projects": wanted,
        "record": record,
        "recorded_packages": names,
        "recorded_wheels": sums,
        "due": known != present,
        "environment": environment,
    }


def versions_of(names: Iterable[str], environment: Mapping[str, Any]) -> dict[str, str]:
    """The installed versions of those packages that are installed."""
    return {name: environment["packages"][name] for name in sorted(names) if name in environment["packages"]}


def divided(
    wheels: Sequence[Mapping[str, Any]],
    paths: Sequence[str],
    *,
    alone: Sequence[str] = (),
    recorded: Mapping[str, str],
    installed: Mapping[str, str],
) -> dict[str, Any]:
    """Which wheels are installed together with all else, and which by themselves.

    :param wheels: as wheel_build returned them. paths: where each is on the node; empty where it is not there.
    :param alone: names of projects whose dependencies are not wanted.
    :param recorded: the sums of the wheels that were installed before, by distribution.
    :param installed: the packages of the environment before.
    :return: together: paths. again: paths of those that are to be installed without what they need: those without
        dependencies, and those that were installed from another wheel, often of the same version. sums: those of all
        wheels by distribution.
    """
    found: dict[str, Any] = {"together": [], "again": [], "sums": sums_of(wheels)}
    for wheel, path in zip(wheels, paths, strict=True):
        name = distribution(wheel)
        other = recorded.get(name) != wheel["sha256"]
        if path and wheel["name"] not in alone:
            found["together"].append(path)
        if path and (other or name not in installed) and (name in installed or wheel["name"] in alone):
            found["again"].append(path)
    return found
