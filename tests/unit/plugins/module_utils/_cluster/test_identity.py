from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster import identity
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import Identity, Membership

HERE = Path("/x/artifacts")

# what the artifacts say, what the nodes remember, the nodes that move here; the id, words of the refusal
DECISIONS = {
    "a new cluster": ("", {"n1": "", "n2": ""}, [], "", []),
    "the next run": ("A", {"n1": "A", "n2": "A"}, [], "A", []),
    "a new node": ("A", {"n1": "A", "n2": ""}, [], "A", []),
    "a new control node": ("", {"n1": "A", "n2": "A"}, [], "A", []),
    "a new control node and a new node": ("", {"n1": "A", "n2": ""}, [], "A", []),
    "nodes that were set up before they had an id": ("A", {"n1": "", "n2": ""}, [], "A", []),
    "a node of another cluster": (
        "A",
        {"n1": "A", "n2": "B"},
        [],
        "A",
        ["n2 belongs to another cluster (B) than this inventory (A)", "cluster_adopt=n2", "/x/artifacts/cluster.json"],
    ),
    "two nodes of another cluster": ("A", {"n2": "B", "n3": "B"}, [], "A", ["n2 and n3 belong", "cluster_adopt=n2,n3"]),
    "nodes of two other clusters": ("A", {"n2": "B", "n3": "C"}, [], "A", ["cluster_adopt=n2;", "cluster_adopt=n3;"]),
    "a node that moves here": ("A", {"n1": "A", "n2": "B"}, ["n2"], "A", []),
    "two clusters and no id": (
        "",
        {"n1": "A", "n2": "B", "n3": "B"},
        [],
        "",
        ["n2 and n3 belong to B; n1 belongs to A", "cluster_adopt=n1."],
    ),
    "two clusters that become one": ("", {"n1": "A", "n2": "B", "n3": "B"}, ["n1"], "B", []),
    "all nodes become a new cluster": ("", {"n1": "A", "n2": "B"}, ["n1", "n2"], "", []),
}


@pytest.mark.parametrize(
    ("stored", "held", "adopt", "cluster", "words"), DECISIONS.values(), ids=[str(name) for name in DECISIONS]
)
def test_the_id_is_that_of_the_artifacts_or_of_the_nodes(
    stored: str, held: dict[str, str], adopt: list[str], cluster: str, words: list[str]
) -> None:
    found = {node: Membership(one) for node, one in held.items()}
    decided, problems = identity.decide(Identity(stored), found, adopt, HERE)
    assert decided == cluster
    assert bool(problems) == bool(words)
    for word in words:
        assert word in " ".join(problems)


# what the artifacts say, the nodes that the inventory lacks by node, the nodes that move; words of the refusal
PARTS = {
    "the inventory lacks nodes of the cluster": (
        "",
        {"n1": ["n8", "n9"]},
        [],
        ["n1 belongs", "n8 and n9", "adopt=n1."],
    ),
    "many of them": ("", {"n1": [f"n{at}" for at in range(20, 40)]}, [], ["n29 and 10 more"]),
    "a node that leaves them": ("", {"n1": ["n8"]}, ["n1"], []),
    "a node that left the inventory of this control node": ("A", {"n1": ["n8"]}, [], []),
    "none": ("", {"n1": [], "n2": []}, [], []),
}


@pytest.mark.parametrize(("stored", "held", "adopt", "words"), PARTS.values(), ids=PARTS.keys())
def test_a_part_of_a_cluster_is_taken_over_only_on_demand(
    stored: str, held: dict[str, list[str]], adopt: list[str], words: list[str]
) -> None:
    found = {node: Membership("A", outsiders) for node, outsiders in held.items()}
    _cluster, problems = identity.decide(Identity(stored), found, adopt, HERE)
    assert bool(problems) == bool(words)
    for word in words:
        assert word in " ".join(problems)


# the inventory that has the folder, the files in it, the sources of the run; the artifacts
FOLDERS: dict[str, tuple[list[str] | None, list[str], list[str], str]] = {
    "the first inventory": (None, ["hosts"], ["{}/hosts"], "artifacts"),
    "the same again": (["hosts"], ["hosts"], ["{}/hosts"], "artifacts"),
    "a second one": (["hosts"], ["hosts", "test.yml"], ["{}/test.yml"], "artifacts/inventories/test.yml"),
    "a folder": (["prod"], ["prod", "test"], ["{}/test/"], "artifacts/inventories/test"),
    "one that was renamed": (["hosts"], ["hosts.yml"], ["{}/hosts.yml"], "artifacts"),
    "two files": (["a", "b"], ["a", "b"], ["{}/a", "{}/b"], "artifacts"),
    "two files, another second one": (["a", "b"], ["a", "b", "c"], ["{}/a", "{}/c"], "artifacts/inventories/a+c"),
    "with one from elsewhere": (["hosts"], ["hosts"], ["/other/inventory", "{}/hosts"], "artifacts"),
    "a list of hosts": (["hosts"], ["hosts"], ["n1,n2"], "artifacts/inventories/n1,n2"),
    "another list of hosts": (["n1,"], [], ["n2,"], "artifacts/inventories/n2,"),
    "a long list": (["hosts"], ["hosts"], [",".join(["node"] * 99)], "artifacts/inventories/5a7aafb59c0f"),
}


@pytest.mark.parametrize(("owner", "files", "sources", "expected"), FOLDERS.values(), ids=FOLDERS.keys())
def test_inventories_of_one_folder_do_not_share_artifacts(
    tmp_path: Path, owner: list[str] | None, files: list[str], sources: Sequence[str], expected: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    if owner:
        identity.store(tmp_path / "artifacts", Identity("A", owner))
    given = [source.format(tmp_path) for source in sources]
    assert identity.artifacts_folder(str(tmp_path), given) == f"{tmp_path}/{expected}"


def test_the_first_inventory_takes_the_folder_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    artifacts = tmp_path / "artifacts"
    taken = identity.claimed(artifacts, Identity("A"), [f"{tmp_path}/a"])
    assert taken == Identity("A", ["a"])
    assert identity.claimed(artifacts, taken, [f"{tmp_path}/b"]) == taken
    assert identity.claimed(artifacts, Identity("A"), ["/elsewhere/b"]) == Identity("A")


def test_artifacts_of_an_older_release_go_to_the_inventory_that_runs_first(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "plan.yml").touch()
    assert identity.artifacts_folder(str(tmp_path), [f"{tmp_path}/hosts"]) == f"{tmp_path}/artifacts"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": null}', "7"])
def test_a_damaged_identity_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / identity.IDENTITY).write_text(text, encoding="utf-8")
    assert identity.read_identity(tmp_path) == Identity()


def test_an_identity_reads_back_and_is_written_once(tmp_path: Path) -> None:
    for known in (Identity("A", ["hosts"]), Identity("A"), Identity("", ["hosts"])):
        identity.store(tmp_path / "deep" / "artifacts", known)
        assert identity.read_identity(tmp_path / "deep" / "artifacts") == known
    written = (tmp_path / "deep" / "artifacts" / identity.IDENTITY).stat().st_mtime_ns
    identity.store(tmp_path / "deep" / "artifacts", Identity("", ["hosts"]))
    assert (tmp_path / "deep" / "artifacts" / identity.IDENTITY).stat().st_mtime_ns == written


def test_a_memory_reads_back() -> None:
    text = identity.memory_text("A", [{"name": "n1"}, {"name": "n2"}])
    assert identity.read_memory(text) == ("A", [{"name": "n1"}, {"name": "n2"}])
    assert len(text.splitlines()) == 7
    assert json.loads(identity.memory_text("A", [])) == {"cluster": "A", "nodes": []}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": "A"}', '{"cluster": "A", "nodes": [7]}'])
def test_a_damaged_memory_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory").write_text(text, encoding="utf-8")
    assert identity.load_memory(tmp_path / "memory") == ("", [])
    assert identity.load_memory(tmp_path / "none") == ("", [])


def test_a_node_tells_which_nodes_of_its_cluster_the_inventory_lacks() -> None:
    found = identity.membership("A", [{"name": "n1"}, {"name": "n2"}], ["n2", "n3"])
    assert found == Membership("A", ["n1"])


def test_the_memory_lies_where_the_files_of_the_mesh_lie() -> None:
    assert identity.memory_path(True, Path("/home/t")) == Path("/etc/ssh/fromzero-cluster.json")
    assert identity.memory_path(False, Path("/home/t")) == Path("/home/t/.ssh/fromzero-cluster.json")
