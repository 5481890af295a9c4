"""Each row of the symptoms matches its excerpt, before any other does, and not its near miss."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.symptoms import first, symptoms

LISTS: dict[str, list[dict[str, Any]]] = rows("symptoms")
ROWS = [(kind, number, row) for kind, listed in LISTS.items() for number, row in enumerate(listed)]
IDS = [f"{kind}-{row['excerpt'][:30]}" for kind, _number, row in ROWS]
SENTENCES = {"launch": ("cause", "fix"), "unreachable": ("fix",), "unusable": ("fix",), "lost_peers": ()}


@pytest.mark.parametrize(("kind", "number", "row"), ROWS, ids=IDS)
def test_a_row_is_the_first_that_its_excerpt_shows(kind: str, number: int, row: dict[str, Any]) -> None:
    text = f"before\n{row['excerpt']}\nafter" if not row["signature"].startswith("^") else row["excerpt"]
    shown = [each for each, symptom in enumerate(symptoms(kind)) if symptom.signature.search(text)]
    assert shown[0] == number
    found = first(kind, text)
    assert found
    assert "{" not in found.cause + found.fix


@pytest.mark.parametrize(("kind", "number", "row"), ROWS, ids=IDS)
def test_a_near_miss_is_not_taken_for_it(kind: str, number: int, row: dict[str, Any]) -> None:
    assert row["near_miss"] != row["excerpt"]
    assert not symptoms(kind)[number].signature.search(row["near_miss"])


@pytest.mark.parametrize(("kind", "number", "row"), ROWS, ids=IDS)
def test_a_row_says_what_its_list_says(kind: str, number: int, row: dict[str, Any]) -> None:
    assert row["source"]
    assert [name for name in ("cause", "fix") if row.get(name)] == list(SENTENCES[kind])
    groups = set(re.compile(row["signature"]).groupindex)
    assert set(re.findall(r"\{(\w+)\}", row.get("cause", "") + row.get("fix", ""))) <= groups


def test_ranks_that_lost_another_do_not_count_where_a_rank_has_its_own_error() -> None:
    text = "RuntimeError: Connection reset by peer"
    assert first("launch", text)
    assert first("launch", text, consequences=False) is None
