# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which ops of DeepSpeed are built beforehand, by name, and what that needs. Pure functions over plain values.

The tables are C(data/deepspeed_ops.yml) and C(data/deepspeed.yml).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers

Row = Mapping[str, Any]

ALL = "all"


@dataclass(frozen=True)
class Circumstances:
    """What decides whether an op can be built.

    :param version: of DeepSpeed; empty where a wheel or a source says it.
    :param accelerator: cuda, rocm or cpu; empty where it is not known yet.
    :param architectures: compute capabilities of the cluster.
    :param system: whether packages of the system can be installed. variables: those that the user sets for the build.
    """

    version: str
    accelerator: str
    architectures: Sequence[str] = ()
    system: bool = True
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Choice:
    """What comes of a wish.

    :param switches: DS_BUILD_* -> 1 or 0. left_out: op -> the reason, of those that were wished for by auto.
    :param problems: sentences about what cannot be had.
    :param packages: needs in the words of data/build_packages.yml. python_packages: what the build imports.
    :param run_packages, run_python_packages: the same for what every node needs to load the ops.
    :param compatible: switches of ops that must be compatible by ds_report on every node.
    :param variables: of the build. flags: variables whose value is the user's with more behind it.
    :param nvcc, native: whether an op is compiled by nvcc, or for the builder's processor.
    """

    switches: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    python_packages: list[str] = field(default_factory=list)
    run_packages: list[str] = field(default_factory=list)
    run_python_packages: list[str] = field(default_factory=list)
    compatible: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    nvcc: bool = False
    native: bool = False


def choose(
    wish: Mapping[str, Any], switches: Mapping[str, str], where: Circumstances, rows: Sequence[Row]
) -> dict[str, Any]:
    """Decide the ops.

    :param wish: op -> true, false or auto; C(all) stands for every op that is not named.
    :param switches: DS_BUILD_* that are given as such, 1 or 0.
    :return: the fields of Choice.
    """
    found = Choice(switches=dict(switches))
    by_name = {row["op"]: row for row in rows}
    answers = _answers(wish, by_name, found)
    for row in rows:
        answer = answers.get(row["op"], "auto" if answers.get(ALL) else None)
        given = switches.get(row["switch"])
        if answer is not None and answer != "auto" and given is not None and (given == "1") != answer:
            found.problems.append(
                f"deepspeed_ops says {str(answer).lower()} of {row['op']}, and deepspeed_build says {given} of "
                f"{row['switch']}; keep one of them."
            )
        elif answer is not None:
            _decide(row, answer, where, found)
    for row in rows:
        if found.switches.get(row["switch"]) == "1":
            _needs(row, where, found)
    for name in ("packages", "python_packages", "run_packages", "run_python_packages"):
        setattr(found, name, list(dict.fromkeys(getattr(found, name))))
    return asdict(found)


def _answers(wish: Mapping[str, Any], known: Mapping[str, Row], found: Choice) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, value in wish.items():
        answer = "auto" if str(value).lower() == "auto" else truth(value)
        if name not in known and name != ALL:
            near = difflib.get_close_matches(name, known, 3, 0.5) or sorted(known)
            found.problems.append(f"{name!r} in deepspeed_ops is no op of DeepSpeed; there are {', '.join(near)}.")
        elif answer is None:
            found.problems.append(f"{name} in deepspeed_ops is {value!r}; write true, false or auto.")
        elif name == ALL and answer is True:
            found.problems.append(
                "all in deepspeed_ops cannot be true: no node has what every op needs. Write auto, which builds "
                "all that can be built."
            )
        else:
            answers[name] = answer
    return answers


def _decide(row: Row, answer: Any, where: Circumstances, found: Choice) -> None:
    if answer is False:
        found.switches[row["switch"]] = "0"
        return
    reason = _impossible(row, where)
    if answer is True:
        if reason:
            found.problems.append(
                f"The op {row['op']} cannot be built: {reason}. Write auto or false in deepspeed_ops, or mend that."
            )
        found.switches[row["switch"]] = "1"
        return
    reason = reason or str(row.get("auto") or "") or _uncertain(row, where)
    if reason:
        found.left_out[row["op"]] = reason
    elif row["switch"] not in found.switches:
        found.switches[row["switch"]] = "1"


def _impossible(row: Row, where: Circumstances) -> str:
    """Why an op cannot be built here, as a part of a sentence; empty where nothing is known against it."""
    version = where.version
    if version and "absent_to" in row and numbers(version) <= numbers(row["absent_to"]):
        return f"DeepSpeed {version} does not have it yet"
    if version and "gone_from" in row and numbers(version) >= numbers(row["gone_from"]):
        return f"DeepSpeed {version} does not have it any more"
    if where.accelerator and where.accelerator not in row["accelerators"]:
        return f"it is for {listed(row['accelerators'])}, and the nodes compute on {where.accelerator}"
    least = row.get("capability_from")
    if least and where.accelerator == "cuda" and where.architectures:
        newest = max(where.architectures, key=numbers)
        if numbers(newest) < numbers(least):
            return f"it needs GPUs of compute capability {least} or newer, and the newest of the nodes is {newest}"
    missing = [name for name in row.get("asks", ()) if not where.variables.get(name)]
    if missing:
        return f"it needs the variable {listed(missing)} (deepspeed_build_environment)"
    return ""


def _uncertain(row: Row, where: Circumstances) -> str:
    """Why an op is not built unless it is asked for."""
    if row.get("packages") and not where.system:
        return f"it needs {listed(row['packages'])}, and without root nothing tells beforehand whether that is there"
    return ""


def _needs(row: Row, where: Circumstances, found: Choice) -> None:
    found.packages += row.get("packages", [])
    found.run_packages += row.get("run_packages", [])
    found.run_python_packages += row.get("run_python_packages", [])
    found.compatible += [row["switch"]] if row.get("compatible") else []
    for name, value in row.get("flags", {}).items():
        found.flags[name] = f"{found.flags.get(name) or where.variables.get(name, '')} {value}".strip()
    given = {name: value for name, value in row.get("variables", {}).items() if name not in where.variables}
    found.variables.update(given)
    # Where the user says where a library is, no package has to bring it.
    if not row.get("variables") or given:
        found.python_packages += row.get("python_packages", [])
    found.nvcc = found.nvcc or (bool(row.get("nvcc")) and where.accelerator == "cuda")
    found.native = found.native or bool(row.get("native")) or (row["op"] == "fused_adam" and where.accelerator == "cpu")
