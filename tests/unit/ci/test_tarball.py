# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the check of the built collection's texts finds, and what it lets pass."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import tarball

FILES = {"README.md", "docs/inventory.md", "examples/gpt/train.py", "roles/torch/README.md"}
ROOTS = {"README.md", "docs", "examples", "roles", "sandbox", "site.yml"}

PASSES = {
    "a file": "[x](docs/inventory.md)",
    "a folder": "[x](examples/gpt)",
    "a folder with its slash": "[x](examples/gpt/)",
    "a heading of another page": "[x](docs/inventory.md#groups)",
    "a heading of this page": "[x](#groups)",
    "another site": "[x](https://example.org/sandbox/) and <mailto:a@example.org>",
    "a title": '[x](docs/inventory.md "The contract")',
    "a link in code": "`[x](sandbox/world.py)`",
    "a link in a block": "```\n[x](sandbox/world.py)\n```\n",
    "a file as code": "`examples/gpt/train.py`",
    "a path on a node": "`/etc/hosts` and `etc/hosts`",
    "a command": "`ls sandbox/`",
    "a name without a folder": "`site.yml`",
}

FAILS = {
    "[x](docs/testing.md)": "README.md: the link docs/testing.md leads to no file of the collection.",
    "[x](<docs/testing.md>)": "README.md: the link docs/testing.md leads to no file of the collection.",
    "[x](docs/testing.md#how)": "README.md: the link docs/testing.md leads to no file of the collection.",
    "[x][1]\n\n[1]: docs/testing.md": "README.md: the link docs/testing.md leads to no file of the collection.",
    "![x](docs/plot.png)": "README.md: the link docs/plot.png leads to no file of the collection.",
    "[x](../docs/inventory.md)": "README.md: the link ../docs/inventory.md leads to no file of the collection.",
    "`sandbox/world.py`": "README.md: sandbox/world.py is no file of the collection.",
    "```\n`x`\n```\n`sandbox/`": "README.md: sandbox/ is no file of the collection.",
}


@pytest.mark.parametrize("text", PASSES.values(), ids=PASSES)
def test_what_leads_to_something_passes(text: str) -> None:
    assert tarball.dead_ends(FILES, {"README.md": text}, ROOTS) == []


@pytest.mark.parametrize(("text", "problem"), FAILS.items())
def test_what_leads_to_nothing_is_named_with_its_page(text: str, problem: str) -> None:
    assert tarball.dead_ends(FILES, {"README.md": text}, ROOTS) == [problem]


def test_a_link_starts_at_its_page_and_code_at_the_root() -> None:
    good = "[x](../../docs/inventory.md) `docs/inventory.md`"
    assert tarball.dead_ends(FILES, {"roles/torch/README.md": good}, ROOTS) == []
    assert len(tarball.dead_ends(FILES, {"roles/torch/README.md": "[x](docs/inventory.md)"}, ROOTS)) == 1


def test_a_tarball_is_read_without_being_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, content in {"README.md": "Größe".encode(), "data/x.bin": b"\xff"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    assert tarball.read(tmp_path / "a.tar.gz") == ({"README.md", "data/x.bin"}, {"README.md": "Größe"})


def test_every_plugin_and_role_that_users_name_has_a_page() -> None:
    files = {
        "plugins/modules/gpu_info.py",
        "plugins/action/gpu_info.py",
        "plugins/filter/verdict.py",
        "plugins/lookup/plan.py",
        "plugins/callback/set_aside.py",
        "plugins/module_utils/_gpu/gpus.py",
        "plugins/plugin_utils/_plan/fact.py",
        "plugins/doc_fragments/attributes.py",
        "roles/torch/tasks/main.yml",
        "roles/torch/tasks/verify.yml",
    }
    assert tarball.pages(files) == {
        "gpu_info_module.rst",
        "verdict_filter.rst",
        "plan_lookup.rst",
        "set_aside_callback.rst",
        "torch_role.rst",
    }
