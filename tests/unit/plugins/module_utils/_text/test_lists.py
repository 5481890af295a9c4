"""Lists inside sentences."""

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed, named


@pytest.mark.parametrize(
    ("words", "options", "text"),
    [
        ([], {}, ""),
        (["a"], {}, "a"),
        (["a", "b"], {}, "a and b"),
        (["a", "b", 3], {}, "a, b and 3"),
        (["a", "b", "c"], {"last": "or"}, "a, b or c"),
        (["a", "b", "c"], {"most": 3}, "a, b and c"),
        (["a", "b", "c", "d", "e"], {"most": 3, "last": "or"}, "a, b, c and 2 more"),
    ],
)
def test_words_become_a_list_in_a_sentence(words: list[object], options: dict, text: str) -> None:
    assert listed(words, **options) == text


@pytest.mark.parametrize(
    ("hosts", "everyone", "text"),
    [
        (["n1"], ["n1"], "n1"),
        (["n1", "n2"], ["n1", "n2"], "all nodes"),
        (["n1", "n2"], ["n1", "n2", "n3"], "n1 and n2"),
        ([f"n{i}" for i in range(1, 8)], (), "n1, n2, n3, n4, n5 and 2 more"),
    ],
)
def test_many_hosts_are_counted_rather_than_named(hosts: list[str], everyone: list[str], text: str) -> None:
    assert named(hosts, everyone) == text
