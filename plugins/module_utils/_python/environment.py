# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts of one Python environment, named by its prefix."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, Runner
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python import probe

SECTIONS = ("packages", "torch", "torchvision", "torchaudio", "deepspeed", "apex")
# What a description has where nothing else is asked for.
USUAL = ("packages", "torch", "deepspeed", "apex")
# What DeepSpeed calls each accelerator; ROCm builds of torch answer under the name cuda.
DEEPSPEED_ACCELERATOR = {"cpu": "cpu", "cuda": "cuda", "rocm": "cuda"}
RECORDS = ".fromzero"
# What DeepSpeed compiles at the first run where it was not built before: for any run on CPUs, and on GPUs for any run
# with its usual optimizer.
_USED_AT_START = {"cpu": "deepspeed_shm_comm", "cuda": "fused_adam"}

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_OP = re.compile(r"^(?P<name>\S+)\s+\.*\s*\[(?P<installed>YES|NO)\]\s*\.*\s*\[(?P<compatible>OKAY|NO)\]$")
_REMARK = re.compile(r"^\[WARNING\]\s+(?P<text>.+)$")


class EnvironmentMissing(Exception):
    """There is no Python that runs under the prefix; the text is a sentence for the user."""


@dataclass
class Answers:
    """What the probe said: facts by section, and a sentence for each section that has none."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def python_of(prefix: str) -> Path:
    """:raises EnvironmentMissing: nothing is there."""
    python = Path(prefix, "bin", "python")
    if not python.exists():
        raise EnvironmentMissing(
            f"There is no Python environment at {prefix} (no bin/python in it); make it first, for example with the "
            "role conda, or name another one."
        )
    return python


def search_path(prefix: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables a program of the environment is started with: as if it were activated, without what would leak."""
    kept = {name: value for name, value in inherited.items() if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")}
    path = inherited.get("PATH") or "/usr/local/bin:/usr/bin:/bin"
    return {**kept, "PATH": f"{prefix}/bin:{path}"}


def _ending(finished: Finished, timeout: float) -> str:
    if finished.rc is None:
        return f"took longer than {timeout:g} s"
    if finished.rc < 0:
        return f"ended the interpreter with signal {-finished.rc}"
    return f"ended the interpreter (exit status {finished.rc})"


def _remedy(section: str) -> str:
    """What helps where files of a package are gone; torchvision and torchaudio are reported with their torch."""
    if section not in ("torch", "deepspeed", "apex"):
        return ""
    return (
        f" Where a part of {section} itself is missing, remove the folder {section}-*.dist-info from the site-packages "
        "there and run the playbook again, which installs it again."
    )


def ask(
    run: Runner, prefix: str, sections: Sequence[str], environment: Mapping[str, str], timeout: float = 120
) -> Answers:
    """Ask the environment's own interpreter.

    :param run: starts a program.
    :param sections: some of SECTIONS, in order.
    :param environment: all variables of the process that asks.
    :param timeout: seconds for all sections together.
    :raises EnvironmentMissing: there is no interpreter, or it does not start.
    """
    python = python_of(prefix)
    source = inspect.getsource(probe)
    try:
        # Isolated: neither the working folder nor packages in the user's home count as part of the environment.
        finished = run([str(python), "-I", "-", *sections], source, search_path(prefix, environment), timeout)
    except OSError as error:
        raise EnvironmentMissing(f"{python} does not start: {error.strerror}; make the environment anew.") from error
    answers = Answers()
    for line in finished.stdout.splitlines():
        answer = json.loads(line)
        section = answer["section"]
        if "facts" in answer:
            answers.facts[section] = answer["facts"]
        else:
            answers.errors[section] = f"{section} is of no use in {prefix}: {answer['error']}.{_remedy(section)}"
    silent = [name for name in sections if name not in answers.facts and name not in answers.errors]
    if silent and not answers.facts and not answers.errors and silent[0] == "packages":
        raise EnvironmentMissing(
            f"{python} does not work: it {_ending(finished, timeout)}: {finished.last_words or 'no message'}."
        )
    for position, name in enumerate(silent):
        answers.errors[name] = (
            f"{name} is of no use in {prefix}: looking at it {_ending(finished, timeout)}: "
            f"{finished.last_words or 'no message'}."
            if position == 0
            else f"{name} in {prefix} was not looked at, because {silent[0]} stopped the interpreter."
        )
    return answers


def parse_ds_report(text: str) -> dict[str, dict[str, Any]]:
    """The op table of ds_report as name -> {installed, compatible, remarks}.

    ds_report writes colours always and its exit status says nothing; warnings about an op precede the op's row.
    """
    ops: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    for line in _COLOUR.sub("", text).splitlines():
        row = _OP.match(line.strip())
        remark = _REMARK.match(line.strip())
        if row:
            ops[row["name"]] = {
                "installed": row["installed"] == "YES",
                "compatible": row["compatible"] == "OKAY",
                "remarks": remarks,
            }
            remarks = []
        elif remark:
            remarks.append(remark["text"].strip())
        elif line.startswith("-----"):
            remarks = []
    return ops


def read_records(prefix: str) -> dict[str, Any]:
    """What roles wrote down about this environment (.fromzero/<name>.json); what cannot be read counts as absent."""
    records = {}
    for file in sorted(Path(prefix, RECORDS).glob("*.json")):
        try:
            records[file.stem] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return records


def _deepspeed(answer: Mapping[str, Any]) -> dict[str, Any]:
    ops = parse_ds_report(answer["report"])
    switches = answer["switches"]
    first = _USED_AT_START.get(answer["accelerator"])
    return {
        "version": answer["version"],
        "path": answer["path"],
        "accelerator": answer["accelerator"],
        "built_for": answer["built_for"],
        "built_with": answer["built_with"],
        "installed_ops": sorted(name for name, installed in answer["installed_ops"].items() if installed),
        "compiles_at_start": [first] if first in ops and not ops[first]["installed"] else [],
        "ops": {name: {**op, "switch": switches.get(name, "")} for name, op in ops.items()},
        "loads": dict(answer["loads"]),
    }


def describe(
    run: Runner, prefix: str, *, gather: Sequence[str], accelerator: str, environment: Mapping[str, str], timeout: float
) -> dict[str, Any]:
    """All facts that the module environment_info returns; what is missing is a sentence in C(errors)."""
    facts: dict[str, Any] = {
        "exists": False,
        "prefix": prefix,
        "python": "",
        "machine": "",
        "headers": False,
        "packages": {},
        "records": {},
        "torch": {},
        "deepspeed": {},
        "apex": {},
        "errors": [],
    }
    variables = dict(environment)
    if accelerator in DEEPSPEED_ACCELERATOR:
        variables["DS_ACCELERATOR"] = DEEPSPEED_ACCELERATOR[accelerator]
    wanted = [name for name in SECTIONS if name == "packages" or name in gather]
    try:
        found = ask(run, prefix, ["packages"], variables, timeout)
        basic = found.facts["packages"]
        present = [name for name in wanted[1:] if name in basic["packages"]]
        if present:
            more = ask(run, prefix, present, variables, timeout)
            found.facts.update(more.facts)
            found.errors.update(more.errors)
    except EnvironmentMissing as error:
        return {**facts, "errors": [str(error)]}
    absent = [f"{name} is not installed in {prefix}." for name in wanted[1:] if name not in present]
    facts.update(
        exists=True,
        python=basic["python"],
        machine=basic["machine"],
        headers=basic["headers"],
        packages={name: version for name, (metadata, version) in basic["packages"].items()},
        records=read_records(prefix),
        torch=found.facts.get("torch", {}),
        apex=found.facts.get("apex", {}),
        errors=absent + list(found.errors.values()),
    )
    if "deepspeed" in found.facts:
        facts["deepspeed"] = _deepspeed(found.facts["deepspeed"])
    return facts
