"""True and false as Ansible reads them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *((value, True) for value in (True, 1, "1", "yes", "On", "TRUE", " true ")),
        *((value, False) for value in (False, 0, "0", "no", "off", "False")),
        *((value, None) for value in ("", None, "auto", "maybe", 2, [], {"a": 1})),
    ],
)
def test_only_words_for_true_or_false_are_taken_for_them(value: Any, meant: bool | None) -> None:
    assert truth(value) is meant
