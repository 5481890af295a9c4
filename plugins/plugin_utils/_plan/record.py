# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""C(artifacts/plan.yml): the plan of the last run, and what the nodes were that it was made for.

A run that does not look at all nodes, because of C(--limit) or because some are down, takes the others from there, so
that they count in the plan as they did before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.yaml import SafeDumper, yaml_load

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster import identity
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write

Record = Mapping[str, Any]

_HEAD = """\
# The plan of this cluster's software, and what its nodes were when it was made. Each run writes it anew; a run with
# --limit, or without a node that is down, reads here what the others are.
---
"""


class _Dumper(SafeDumper):
    """Writes a value that stands in several places in each of them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class RecordError(ValueError):
    """The record cannot be read or written; the text is a sentence for the user."""


def recall(path: Path) -> dict[str, Any]:
    """What the last run wrote down, empty where none did.

    :raises RecordError: it cannot be read, or is no record.
    """
    try:
        found = yaml_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        raise RecordError(f"{path} cannot be read ({why}); remove it, and run again over all nodes.") from error
    nodes = found.get("nodes") if isinstance(found, dict) else None
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) for node in nodes.values()):
        raise RecordError(f"{path} is not a plan that a run has written; remove it, and run again over all nodes.")
    return dict(found)


def text(record: Record) -> str:
    """The file, in one order whatever the order of the nodes is, so that versions of it can be compared."""
    return _HEAD + yaml.dump(dict(record), Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=120)


def store(path: Path, record: Record) -> None:
    """Write a record, whole or not at all, where it is another than the present one.

    :raises RecordError: it cannot be written.
    """
    after = text(record)
    try:
        if path.exists() and path.read_text(encoding="utf-8") == after:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, after)
    except OSError as error:
        raise RecordError(
            f"{path} cannot be written ({error.strerror}); set cluster_artifacts to a folder that can."
        ) from error


def claim(folder: Path, sources: Sequence[str]) -> None:
    """Make a folder of artifacts that of the inventory, where no other one has it.

    :param sources: the inventories of the run, as C(ansible_inventory_sources) has them.
    :raises RecordError: that cannot be written down.
    """
    before = identity.read_identity(folder)
    after = identity.claimed(folder, before, sources)
    if after == before:
        return
    try:
        identity.store(folder, after)
    except OSError as error:
        raise RecordError(
            f"{folder / identity.IDENTITY} cannot be written ({error.strerror}); set cluster_artifacts to a "
            "folder that can."
        ) from error


def headline(plan: Record) -> dict[str, str]:
    """What a reader knows a plan by: the name of each part -> its version; parts that it leaves out have none."""
    torch, cuda = plan.get("torch") or {}, plan.get("cuda") or {}
    build = f"+{torch['build']}" if torch.get("build") else ""
    parts = {
        "accelerator": plan.get("accelerator"),
        "Python": plan.get("python"),
        "torch": f"{torch['version']}{build}" if torch.get("version") else None,
        "CUDA": cuda.get("version"),
        "DeepSpeed": plan.get("deepspeed"),
    }
    return {name: str(value) for name, value in parts.items() if value}


def differences(before: Record, after: Record) -> list[str]:
    """What is another in a second plan, in words."""
    old, new = headline(before), headline(after)
    names = list(dict.fromkeys([*old, *new]))
    return [
        f"{name} {old.get(name, 'none')} becomes {new.get(name, 'none')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def keep(before: Record, after: Record, away: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """What is written down after a run, and what the run cannot have for all.

    Where a run leaves nodes alone (--limit) and comes to another plan, the one that those nodes follow stays written
    down, until a run looks at all of them.

    :param before: the record of the last run. after: that of this run, with all nodes.
    :param away: the nodes that this run leaves alone.
    """
    changed = differences(before, after) if before and away else []
    if not changed:
        return dict(after), []
    nodes = {name: before["nodes"].get(name, node) if name in away else node for name, node in after["nodes"].items()}
    return {**before, "nodes": nodes}, changed
