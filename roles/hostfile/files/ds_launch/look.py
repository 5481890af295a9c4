# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look at all nodes before a start: what they are asked, and what of their answers prevents the start."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Mapping, Sequence

from ds_launch.hosts import Slots
from ds_launch.options import Options
from ds_launch.script import Needs
from ds_launch.words import listed, since

Answers = Mapping[str, Mapping[str, Any]]
"""What each node answered, by its name."""

PACKAGES = ("deepspeed", "torch")
FIRST_PORT, PORTS = 29500, 200


def questions(needs: Needs, slots: Slots, options: Options, on_cpu: bool) -> list[dict[str, Any]]:
    """What each node is asked, in the order of the slots; the first one also keeps the port for rank 0."""
    asked: list[dict[str, Any]] = []
    for number, own in enumerate(slots.values()):
        question: dict[str, Any] = {
            "folder": needs.folder,
            "paths": [[entry.path, entry.kind, entry.content] for entry in needs.paths],
            "modules": needs.modules,
            "packages": [*PACKAGES, *(["accelerate"] if options.launcher == "accelerate" else [])],
            "gpus": [] if on_cpu else own,
        }
        if number == 0 and options.master_port:
            question["port"] = options.master_port
        elif number == 0:
            question["ports"] = list(range(FIRST_PORT, FIRST_PORT + PORTS))
        asked.append(question)
    return asked


def _missing(needs: Needs, answers: Answers) -> list[str]:
    """Sentences about the folder and the paths, each with all nodes that it is true of."""
    without_folder = [name for name, answer in answers.items() if answer["folder"] != "same"]
    problems = []
    if without_folder:
        problems.append(
            f"{listed(without_folder)} cannot enter the working folder {needs.folder}; "
            "bring it there by 'ds-launch --sync', or start from a folder that every node has."
        )
    for number, entry in enumerate(needs.paths):
        inside = os.path.commonpath([entry.path, needs.folder]) == needs.folder
        by_state: dict[str, list[str]] = {}
        for name, answer in answers.items():
            state = answer["states"][number]
            if state != "same" and not (inside and name in without_folder):
                by_state.setdefault(state, []).append(name)
        bring = "bring it there by 'ds-launch --sync'" if inside else "copy it there"
        if not entry.content and entry.kind == "file":
            bring = "run the playbook 'hostfile'"
        for state, names in by_state.items():
            nodes, several = listed(names), len(names) > 1
            what = f"{entry.path} ({entry.role})"
            if state == "missing":
                problems.append(f"{nodes} {'lack' if several else 'lacks'} {what}; {bring}.")
            elif state == "differs":
                problems.append(f"{what} has another content on {nodes} than here; {bring}, or correct it.")
            elif state == "unlike":
                problems.append(f"{what} is a {entry.kind} here, but not on {nodes}; correct it there.")
            else:
                problems.append(f"{nodes} cannot read {what}; correct its permissions there.")
    for module in needs.modules:
        names = [name for name, answer in answers.items() if not answer["modules"][module]]
        if names:
            problems.append(
                f"{listed(names)} cannot import the module {module}; install it, or start beside its folder."
            )
    return problems


def _versions(answers: Answers, packages: Sequence[str]) -> list[str]:
    problems = []
    for package in packages:
        without = [name for name, answer in answers.items() if package not in answer["versions"]]
        if without:
            one = "site" if package in PACKAGES else "training_libs"
            how = (
                "run the playbook 'site'"
                if one == "site"
                else f"add {package} to training_libs_packages and run 'site'"
            )
            problems.append(f"{package} is not installed on {listed(without)}; {how}.")
    for package in (*packages, "python"):
        found = {
            name: str(answer["python"] if package == "python" else answer["versions"].get(package, ""))
            for name, answer in answers.items()
        }
        versions = [
            version for version, _count in Counter(version for version in found.values() if version).most_common()
        ]
        if len(versions) > 1:
            where = [f"{version} on {listed([n for n, v in found.items() if v == version])}" for version in versions]
            problems.append(
                f"The nodes have different versions of {package}: {listed(where)}; run the playbook 'site'."
            )
    return problems


def _port(first: str, answer: Mapping[str, Any], options: Options) -> list[str]:
    if answer["port"]:
        return []
    if not options.master_port:
        return [f"{first} has no free port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}; give one by --master_port."]
    return [taken(options.master_port, first, answer["holder"])]


LEAVE_OUT = "leave --master_port out, so that a free port is taken, give another"


def taken(port: int, node: str, holder: Mapping[str, Any], remedy: str = LEAVE_OUT) -> str:
    """Who has a port, as far as the node shows it, and what to do."""
    who = f" by {holder['user']}" if holder.get("user") else ""
    if holder.get("pid"):
        who += f" since {since(holder['since'])} (process {holder['pid']}: {holder['command']})"
    elif who:
        who += ", whose processes this account cannot see"
    else:
        who = ", and nothing shows by whom (another launch may keep it)"
    return f"Port {port} of {node} is in use{who}; {remedy}, or wait until that process has ended."


def _gpus(answers: Answers) -> list[str]:
    problems = []
    for name, answer in answers.items():
        by_process: dict[int, list[Mapping[str, Any]]] = {}
        for use in answer["gpus"]:
            by_process.setdefault(use["pid"], []).append(use)
        for pid, uses in by_process.items():
            numbers = [str(use["gpu"]) for use in uses]
            one = uses[0]
            whose = (
                f"by {one['user']} since {since(one['since'])}, {one['command']}" if one["user"] else "not seen here"
            )
            be = "are" if len(numbers) > 1 else "is"
            problems.append(
                f"GPU {listed(numbers)} of {name} {be} in use (process {pid}, {whose}); choose others by --include or "
                "--exclude, or share them by --share."
            )
    return problems


def gathered_runs(answers: Answers) -> dict[str, dict[str, Any]]:
    """The runs on all nodes by their names: whose, since when, which script, where, and whether they are steered."""
    runs: dict[str, dict[str, Any]] = {}
    for name, answer in answers.items():
        for entry in answer["runs"]:
            run = runs.setdefault(entry["run"], {**entry, "nodes": {}, "steered": False})
            run["nodes"][name] = len(entry["pids"])
            run["since"] = min(run["since"], entry["since"])
            run["script"] = run["script"] or entry["script"]
            run["steered"] = run["steered"] or entry["steered"]
    return runs


def describe(run: Mapping[str, Any]) -> str:
    """One run in words."""
    script = f", {run['script']}" if run["script"] else ""
    return f"{run['run']} of {run['user']}{script}, on {listed(list(run['nodes']))}, since {since(run['since'])}"


def _runs(answers: Answers) -> tuple[list[str], list[str]]:
    problems, notes = [], []
    for run in gathered_runs(answers).values():
        if run["steered"]:
            notes.append(f"Another run goes on: {describe(run)}.")
        elif run["own"]:
            problems.append(
                f"An earlier run left processes behind: {describe(run)}. End them by 'ds-launch --stop', or start "
                "beside them by --share."
            )
        else:
            notes.append(f"A run without its ds-launch is still there: {describe(run)}.")
    return problems, notes


def judge(needs: Needs, answers: Answers, options: Options) -> tuple[list[str], list[str]]:
    """What prevents the start, and what is only said: sentences."""
    first = next(iter(answers))
    packages = [*PACKAGES, *(["accelerate"] if options.launcher == "accelerate" else [])]
    in_use = _gpus(answers)
    left, notes = _runs(answers)
    problems = [*_missing(needs, answers), *_versions(answers, packages), *_port(first, answers[first], options)]
    if options.share:
        return problems, [*notes, *in_use, *left]
    return [*problems, *in_use, *left], notes
