# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which cluster an inventory and a node belong to.

The control node keeps the id of a cluster in C(cluster.json) in the artifacts, with the inventory that these artifacts
belong to; each node keeps it in C(fromzero-cluster.json), with what is publicly known of all nodes.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed

IDENTITY = "cluster.json"
MEMORY = "fromzero-cluster.json"
SYSTEM_FOLDER = Path("/etc/ssh")
# A name of a folder that every file system takes.
_LONGEST_NAME = 100
_MOST_NAMES = 10


@dataclass(frozen=True)
class Identity:
    """What C(cluster.json) says.

    :param cluster: the id of the cluster, empty before its nodes have one.
    :param inventory: the inventory that the folder belongs to; None where nobody has taken it yet.
    """

    cluster: str = ""
    inventory: list[str] | None = None


@dataclass(frozen=True)
class Membership:
    """What a node remembers of its cluster.

    :param cluster: the id, empty where the node belongs to none.
    :param outsiders: nodes of that cluster that this inventory does not have.
    """

    cluster: str = ""
    outsiders: list[str] = field(default_factory=list)


def read_identity(folder: Path) -> Identity:
    """The identity in a folder of artifacts; a damaged file is as good as none, as the nodes have the id too."""
    try:
        found = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        inventory = found.get("inventory")
        names = [str(name) for name in inventory] if isinstance(inventory, list) else None
        return Identity(str(found.get("cluster") or ""), names)
    except (OSError, ValueError, AttributeError):
        return Identity()


def identity_text(identity: Identity) -> str:
    """The text of C(cluster.json)."""
    known = {"cluster": identity.cluster, "inventory": identity.inventory}
    return json.dumps({name: value for name, value in known.items() if value}, indent=2, sort_keys=True) + "\n"


def inventory_names(folder: str, sources: Sequence[str]) -> list[str]:
    """The names of the inventories that lie in a folder; a list of hosts, which lies nowhere, is its own name."""
    plain = (source.rstrip("/") for source in sources)
    return [
        source if "," in source else posixpath.basename(source)
        for source in plain
        if "," in source or posixpath.dirname(source) == folder.rstrip("/")
    ]


def is_taken(artifacts: Path, owner: Sequence[str] | None, names: Sequence[str]) -> bool:
    """Whether a folder of artifacts belongs to another inventory, one that is still there.

    :param owner: the inventory that the folder belongs to. names: the inventory of this run.
    """
    if owner is None or list(owner) == list(names):
        return False
    return any("," in name or (artifacts.parent / name).exists() for name in owner)


def artifacts_folder(folder: str, sources: Sequence[str]) -> str:
    """Where a run writes down what it found: C(artifacts) in the folder of the inventory.

    The first inventory of a folder takes it; what another one writes goes to a folder below it, so that two clusters
    never share what is known of their nodes.
    """
    first = f"{folder}/artifacts"
    names = inventory_names(folder, sources)
    if not is_taken(Path(first), read_identity(Path(first)).inventory, names):
        return first
    name = "+".join(names)
    if "/" in name or len(name) > _LONGEST_NAME or not name:
        name = hashlib.sha256("+".join(sources).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{first}/inventories/{name}"


def claimed(artifacts: Path, identity: Identity, sources: Sequence[str]) -> Identity:
    """The identity of a folder of artifacts once the inventory of this run has taken it, if nobody else has."""
    names = inventory_names(str(artifacts.parent), sources)
    if not names or is_taken(artifacts, identity.inventory, names):
        return identity
    return Identity(identity.cluster, names)


def memory_path(system: bool, home: Path) -> Path:
    """Where a node remembers its cluster: beside the files that the nodes of one cluster share."""
    return (SYSTEM_FOLDER if system else home / ".ssh") / MEMORY


def memory_text(cluster: str, records: Sequence[Mapping[str, Any]]) -> str:
    """What a node remembers: the id, and one record a line, so that a change shows as one line."""
    lines = ",\n".join(f"    {json.dumps(record, sort_keys=True)}" for record in records)
    return f'{{\n  "cluster": {json.dumps(cluster)},\n  "nodes": [\n{lines}\n  ]\n}}\n'


def read_memory(text: str) -> tuple[str, list[dict[str, Any]]]:
    """The id and the records that a node remembers; a damaged file is as good as none."""
    try:
        found = json.loads(text)
        return str(found["cluster"]), [dict(record) for record in found["nodes"]]
    except (ValueError, KeyError, TypeError):
        return "", []


def load_memory(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """What the node remembers, nothing where it has no such file."""
    try:
        return read_memory(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return "", []


def membership(cluster: str, records: Sequence[Mapping[str, Any]], members: Collection[str]) -> Membership:
    """The membership of a node that remembers this.

    :param members: the names of all nodes in the inventory.
    """
    known = set(members)
    return Membership(cluster, [str(record.get("name")) for record in records if record.get("name") not in known])


def decide(
    identity: Identity, held: Mapping[str, Membership], adopt: Collection[str], folder: Path
) -> tuple[str, list[str]]:
    """The id of the cluster, empty where there is none yet, and a sentence for each thing that prevents a run.

    Without an id of its own, as on a new control node, an inventory takes that of its nodes, if all of them have the
    same one and it has all of that cluster's nodes.

    :param held: what the nodes that this run saw remember. adopt: nodes that move here, whatever they remember.
    :param folder: the artifacts, to name them.
    """
    groups: dict[str, list[str]] = {}
    for node, found in held.items():
        if found.cluster and node not in adopt:
            groups.setdefault(found.cluster, []).append(node)
    if identity.cluster:
        others = [(cluster, nodes) for cluster, nodes in groups.items() if cluster != identity.cluster]
        return identity.cluster, [_stranger(identity.cluster, *other, folder) for other in others]
    if len(groups) > 1:
        return "", [_mixed(groups)]
    cluster = next(iter(groups), "")
    outsiders = list(dict.fromkeys(name for node in groups.get(cluster, ()) for name in held[node].outsiders))
    return cluster, [_partial(cluster, groups[cluster], outsiders)] if outsiders else []


def _belong(names: Sequence[str]) -> str:
    return f"{listed(names, most=_MOST_NAMES)} {'belongs' if len(names) == 1 else 'belong'}"


def _adopt(names: Sequence[str]) -> str:
    return f"-e cluster_adopt={','.join(names)}"


def _stranger(own: str, cluster: str, nodes: Sequence[str], folder: Path) -> str:
    return (
        f"{_belong(nodes)} to another cluster ({cluster}) than this inventory ({own}). Correct the inventory; or, to "
        f"move {listed(nodes, most=_MOST_NAMES)} to this cluster, run with {_adopt(nodes)}; or, if another control "
        f"node set up this same cluster, remove {folder / IDENTITY} and run again."
    )


def _mixed(groups: Mapping[str, Sequence[str]]) -> str:
    by_size = sorted(groups.items(), key=lambda group: -len(group[1]))
    movers = [node for _cluster, nodes in by_size[1:] for node in nodes]
    parts = "; ".join(f"{_belong(nodes)} to {cluster}" for cluster, nodes in by_size)
    return (
        f"The nodes are of different clusters: {parts}. Correct the inventory; or, to move "
        f"{listed(movers, most=_MOST_NAMES)} to the cluster of the others, run with {_adopt(movers)}."
    )


def _partial(cluster: str, nodes: Sequence[str], outsiders: Sequence[str]) -> str:
    return (
        f"{_belong(nodes)} to a cluster ({cluster}) that has more nodes than this inventory: "
        f"{listed(outsiders, most=_MOST_NAMES)}. Add them to the inventory; or, if "
        f"{listed(nodes, most=_MOST_NAMES)} shall leave them, run with {_adopt(nodes)}."
    )


def store(folder: Path, identity: Identity) -> None:
    """Write the identity, whole or not at all, where it is another than the present one."""
    path, text = folder / IDENTITY, identity_text(identity)
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    write(path, text)
