# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.record import (
    RecordError,
    claim,
    differences,
    headline,
    keep,
    recall,
    store,
    text,
)

PLAN: dict[str, Any] = {
    "stack": "torch-2.13-cu130",
    "accelerator": "cuda",
    "python": "3.11",
    "torch": {"version": "2.13.0", "build": "cu130"},
    "cuda": {"version": "13.0", "release": "13.0.3"},
    "deepspeed": "0.19.8",
    "apex": None,
}
OLDER = {**PLAN, "torch": {"version": "2.9.1", "build": "cu126"}, "cuda": {"version": "12.6"}}
CPU = {"accelerator": "cpu", "python": "3.11", "torch": {"version": "2.13.0", "build": "cpu"}, "cuda": None}
NODE = {"found": {"glibc": "2.36"}, "slots": 2}


def test_a_plan_makes_the_folder_that_of_its_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    for name in "hosts", "test.yml":
        claim(tmp_path / "artifacts", [f"{tmp_path}/{name}"])
        found = json.loads((tmp_path / "artifacts" / "cluster.json").read_text(encoding="utf-8"))
        assert found == {"inventory": ["hosts"]}


def test_a_folder_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "artifacts").touch()
    with pytest.raises(RecordError, match=r"cluster\.json cannot be written \(.*\); set cluster_artifacts"):
        claim(tmp_path / "artifacts", [f"{tmp_path}/hosts"])


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = {**PLAN, "nodes": {"b": NODE, "a": NODE}}
    (tmp_path / "plan.yml").write_text(text(record), encoding="utf-8")
    assert recall(tmp_path / "plan.yml") == record


def test_a_record_does_not_depend_on_the_order_of_anything() -> None:
    turned = dict(reversed(list({**PLAN, "nodes": {"b": NODE, "a": NODE}}.items())))
    assert text(turned) == text({**PLAN, "nodes": {"a": dict(reversed(NODE.items())), "b": NODE}})
    assert text(turned).startswith("# ")
    assert "&" not in text(turned)


def test_a_record_is_stored_whole_and_only_where_it_is_another(tmp_path: Path) -> None:
    path = tmp_path / "artifacts" / "plan.yml"
    store(path, {**PLAN, "nodes": {"a": NODE}})
    assert recall(path) == {**PLAN, "nodes": {"a": NODE}}
    assert [entry.name for entry in path.parent.iterdir()] == ["plan.yml"]
    written = path.stat().st_mtime_ns
    store(path, {**PLAN, "nodes": {"a": NODE}})
    assert path.stat().st_mtime_ns == written
    store(path, {**OLDER, "nodes": {}})
    assert recall(path) == {**OLDER, "nodes": {}}


def test_a_record_that_has_no_place_says_where_to_give_it_one(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match=r"plan\.yml cannot be written \(.*\); set cluster_artifacts to a folder"):
        store(tmp_path / "artifacts" / "plan.yml", {**PLAN, "nodes": {}})


def test_nothing_is_remembered_where_nothing_was_written(tmp_path: Path) -> None:
    assert recall(tmp_path / "plan.yml") == {}


@pytest.mark.parametrize(
    "content", ["{", "[]", "", "stack: x", "nodes: [a]", "nodes: {a: 1}", "<<<<<<< HEAD\nnodes: {}"]
)
def test_a_record_that_somebody_broke_is_refused_with_a_way_out(tmp_path: Path, content: str) -> None:
    path = tmp_path / "plan.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecordError, match=r"plan\.yml .*; remove it, and run again over all nodes\.$"):
        recall(path)


def test_a_plan_is_known_by_the_versions_of_its_parts() -> None:
    assert headline(PLAN) == {
        "accelerator": "cuda",
        "Python": "3.11",
        "torch": "2.13.0+cu130",
        "CUDA": "13.0",
        "DeepSpeed": "0.19.8",
    }
    assert headline(CPU) == {"accelerator": "cpu", "Python": "3.11", "torch": "2.13.0+cpu"}


def test_differences_name_what_becomes_what() -> None:
    assert differences(PLAN, OLDER) == ["torch 2.13.0+cu130 becomes 2.9.1+cu126", "CUDA 13.0 becomes 12.6"]
    assert "CUDA 13.0 becomes none" in differences(PLAN, CPU)
    assert differences(PLAN, {**PLAN, "stack": "renamed"}) == []


def test_a_limited_run_leaves_the_plan_of_the_others_as_it_was() -> None:
    before = {**PLAN, "nodes": {"a": {**NODE, "slots": 8}, "b": {**NODE, "slots": 8}}}
    after = {**OLDER, "nodes": {"a": NODE, "b": NODE, "c": NODE}}
    kept, changed = keep(before, after, ["a", "c"])
    assert changed == differences(PLAN, OLDER)
    assert kept == {**PLAN, "nodes": {"a": {**NODE, "slots": 8}, "b": NODE, "c": NODE}}
    # It says so again until a run looks at all of them.
    assert keep(kept, after, ["a", "c"])[1] == changed
    assert keep(kept, after, []) == (after, [])


def test_a_limited_run_with_the_same_plan_writes_all_that_it_knows() -> None:
    before = {**PLAN, "nodes": {"a": NODE, "gone": NODE}}
    after = {**PLAN, "nodes": {"a": NODE, "b": NODE}}
    assert keep(before, after, ["a"]) == (after, [])
    assert keep({}, after, ["a"]) == (after, [])
