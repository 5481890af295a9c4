# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables of variables say what the argument specifications and the defaults say."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "readmes"


@pytest.fixture(scope="module")
def readmes() -> ModuleType:
    spec = spec_from_loader("readmes", SourceFileLoader("readmes", str(SCRIPT)))
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLUSTER = "{{ lookup('fromzero.deepspeed.cluster', 'cluster_prefix') }}"
ROWS = [
    ({"description": "The port."}, 29500, "| `x` | The port | `29500` |"),
    ({"description": "Whether."}, True, "| `x` | Whether | true |"),
    ({"description": "More."}, {}, "| `x` | More | none |"),
    ({"description": ["Where.", "More of it."]}, f"{CLUSTER}/etc", "| `x` | Where | `<cluster_prefix>/etc` |"),
    ({"description": "A wheel."}, "{{ x_folder }}/a.whl", "| `x` | A wheel | `<x_folder>/a.whl` |"),
    (
        {"description": "The torch."},
        "{{ lookup('fromzero.deepspeed.plan', 'torch.version', default='2.13.0') }}",
        "| `x` | The torch | the plan's, else `2.13.0` |",
    ),
    (
        {"description": ["One, see O(y) and C(a | b\\)).", "Default is V(1), without root V(2)."]},
        "{{ 1 if root else 2 }}",
        "| `x` | One, see `y` and `a \\| b)` | `1`, without root `2` |",
    ),
    ({"description": "An address. Empty means the node's own."}, "", "| `x` | An address | the node's own |"),
    ({"description": "How.", "choices": ["auto", "never"]}, "auto", "| `x` | How. One of `auto`, `never` | `auto` |"),
    ({"description": "V(auto) looks, V(never) does not.", "choices": ["auto", "never"]}, "auto",
     "| `x` | `auto` looks, `never` does not | `auto` |"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "default", "line"), ROWS, ids=[row[2] for row in ROWS])
def test_a_row_has_the_meaning_and_the_default(
    readmes: ModuleType, option: dict[str, Any], default: Any, line: str
) -> None:
    assert readmes.row("x", option, default) == f"{line}\n"


def test_a_computed_default_has_to_be_told(readmes: ModuleType) -> None:
    with pytest.raises(SystemExit, match="x: a default that is computed is told by a sentence 'Default is"):
        readmes.row("x", {"description": "The path."}, "{{ a | ternary(b, c) }}")
