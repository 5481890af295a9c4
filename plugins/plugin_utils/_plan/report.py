# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan as people read it: a table of the nodes, what will change, and why it is this plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    RequirementError,
    version_key,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.record import headline

_COLUMNS = ("node", "GPU", "driver", "CUDA", "torch", "interface", "address", "slots")
# What follows from the reason of a decision about a driver.
_DRIVER = {
    "install": "{then} is installed",
    "upgrade": "{then} takes its place",
    "reload": "{then} is loaded",
    "keep": "it stays",
}


@dataclass(frozen=True)
class Planned:
    """What a run has planned for its nodes.

    plan: what all have in common. nodes: the plan of each, in the order of the inventory. brings: interface, address
    and slots of each. environments, toolkits: what the modules environment_info and cuda_toolkit_info found on each.
    why, remarks: sentences.
    """

    plan: Mapping[str, Any]
    nodes: Mapping[str, Mapping[str, Any]]
    brings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    toolkits: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    why: Sequence[str] = ()
    remarks: Sequence[str] = ()


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, in columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _driver_cell(driver: Mapping[str, Any]) -> str:
    now, then = driver.get("now"), driver.get("then")
    if not then or then == now:
        return str(now or "-")
    return f"{now or 'none'} -> {then}"


def table(planned: Planned) -> list[str]:
    """A line for each node, under a line that names the columns."""
    parts = headline(planned.plan)
    rows = [_COLUMNS]
    for name, node in planned.nodes.items():
        brings = planned.brings.get(name) or {}
        rows.append(
            (
                name,
                node.get("gpus") or "-",
                _driver_cell(node.get("driver") or {}),
                parts.get("CUDA", "-"),
                parts.get("torch", "-"),
                brings.get("interface") or "-",
                brings.get("address") or "-",
                str(brings.get("slots", "-")),
            )
        )
    return aligned(rows)


def _together(said: Iterable[tuple[str, str]], everyone: Sequence[str]) -> Iterator[str]:
    """Sentences about nodes, each once, with all the nodes that it is about."""
    nodes: dict[str, list[str]] = {}
    for name, sentence in said:
        nodes.setdefault(sentence, []).append(name)
    for sentence, names in nodes.items():
        yield f"{named(names, everyone)}: {sentence}"


def _driver_change(driver: Mapping[str, Any]) -> str | None:
    words = _DRIVER.get(str(driver.get("action")))
    if words is None:
        return None
    version = str(driver.get("version") or driver.get("then"))
    then = f"driver {version}" if "." in version else f"a driver of branch {version}"
    modules = f" with {driver['flavour']} kernel modules" if driver.get("flavour") else ""
    return f"{driver.get('reason')}; {words.format(then=then + modules)}."


def _toolkit_changes(planned: Planned) -> Iterator[tuple[str, str]]:
    for name, toolkits in planned.toolkits.items():
        for toolkit in toolkits:
            what = f"the CUDA toolkit {toolkit['version']}"
            there = toolkit.get("state") == "present"
            yield name, f"{what} stays, in {toolkit.get('path')}." if there else f"{what} is installed."


def _same(found: str, wanted: str) -> bool:
    """Whether an installed version is the wanted one; a wheel without a tag may be any build."""
    try:
        (installed, build), (asked, tag) = version_key(found), version_key(wanted)
    except RequirementError:
        return found == wanted
    return installed == asked and (not build or not tag or build == tag)


def _package_change(name: str, found: str | None, wanted: str) -> str:
    if found is None:
        return f"{name} {wanted} is installed."
    return f"{name} {found} stays." if _same(found, wanted) else f"{name} {found} is replaced by {wanted}."


def _apex_change(plan: Mapping[str, Any], records: Mapping[str, Any]) -> str:
    """Every apex calls itself by one version; what role apex has noted tells which it is."""
    ref = str(plan["apex"]["ref"])
    # A tag is short; of a commit ten digits will do.
    name = f"apex {ref if len(ref) < 40 else ref[:10]}"
    if ref in ((records.get("apex") or {}).get("asked") or ()):
        return f"{name} stays."
    capabilities = f" for {', '.join(plan['architectures'])}" if plan.get("architectures") else ""
    where = f", on {plan['builder']}" if plan.get("builder") else ""
    return f"{name} is installed, built once{where}{capabilities}."


def _environment_changes(planned: Planned) -> Iterator[tuple[str, str]]:
    parts = headline(planned.plan)
    wanted = {"torch": parts.get("torch"), "deepspeed": parts.get("DeepSpeed")}
    python = parts.get("Python", "")
    for name, found in planned.environments.items():
        installed = found.get("packages") or {}
        prefix, has = found.get("prefix"), str(found.get("python") or "")
        if not found.get("exists"):
            yield name, f"{prefix} is made, with Python {python}."
        elif f"{has}.".startswith(f"{python}."):
            yield name, f"{prefix} stays, with Python {has}."
        else:
            yield name, f"{prefix} gets Python {python} in place of {has}."
        for package, version in wanted.items():
            if version:
                yield name, _package_change(package, installed.get(package), version)
        if planned.plan.get("apex"):
            yield name, _apex_change(planned.plan, found.get("records") or {})


def changes(planned: Planned) -> list[str]:
    """What a run of the site would do to the nodes, in sentences."""
    everyone = list(planned.nodes)
    drivers = ((name, _driver_change(node.get("driver") or {})) for name, node in planned.nodes.items())
    return [
        *_together(((name, change) for name, change in drivers if change), everyone),
        *_together(_toolkit_changes(planned), everyone),
        *_together(_environment_changes(planned), everyone),
    ]


def _list(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {sentence}" for sentence in sentences)] if sentences else []


def report(planned: Planned) -> str:
    """All of it, as one text."""
    stack = ", ".join(f"{name} {version}" for name, version in headline(planned.plan).items())
    lines = [
        *table(planned),
        "",
        f"Stack {planned.plan.get('stack')}: {stack}",
        *_list("Why this one:", planned.why),
        *_list("To come:", changes(planned)),
        *_list("Warnings:", planned.remarks),
    ]
    return "\n".join(lines)
