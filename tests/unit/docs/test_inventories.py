"""Every inventory that README and the pages show means what it seems to, and the collection accepts it as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/decisions", "examples", "roles/*", "inventories/*", "molecule/shared/*")
    for page in ROOT.glob(f"{folder}/*.md")
)
EXAMPLES = sorted((ROOT / "inventories" / "example").glob("hosts.*"))
FENCE = re.compile(r"^( *)```(ini|ya?ml)\n(.*?)^\1```$", re.M | re.S)
SECTION = re.compile(r" {4,}\[\w+(:vars|:children)?\]$")


def indented_sections(text):
    """Blocks of code that are indented and begin with a section of an INI file."""
    lines = iter(text.splitlines())
    for line in lines:
        if SECTION.match(line):
            block = [line]
            for following in lines:
                if following.strip() and not following.startswith("    "):
                    break
                block.append(following)
            yield "\n".join(block)


def dedented(text):
    lines = text.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[margin:] for line in lines) + "\n"


def is_inventory(kind, text):
    if kind == "ini":
        return bool(re.search(r"^\[\w+(:vars|:children)?\]", text, re.M))
    content = yaml.safe_load(text)
    return isinstance(content, dict) and any(
        isinstance(group, dict) and {"hosts", "children", "vars"} & {*group} for group in content.values()
    )


def inventories():
    """(where, ini or yml, text) of each that is shown or shipped."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = [("ini" if kind == "ini" else "yml", dedented(block)) for _margin, kind, block in FENCE.findall(text)]
        shown += [("ini", dedented(block)) for block in indented_sections(FENCE.sub("\n", text))]
        for number, (kind, block) in enumerate(shown, 1):
            if is_inventory(kind, block):
                yield pytest.param(kind, block, id=f"{page.relative_to(ROOT)}-{number}")
    for file in EXAMPLES:
        yield pytest.param(file.suffix[1:], file.read_text(encoding="utf-8"), id=str(file.relative_to(ROOT)))


SHOWN = list(inventories())


def parsed(path):
    """What Ansible reads: host -> variables."""
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(path), "--list"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_readme_wheels_and_the_example_show_inventories():
    """The search itself finds what is there."""
    found = " ".join(str(case.id) for case in SHOWN)
    assert all(name in found for name in ("README.md-", "docs/wheels.md-", "hosts.ini", "hosts.yml"))


@pytest.mark.parametrize(("kind", "text"), SHOWN)
def test_the_collection_accepts_it_as_it_stands(tmp_path, kind, text):
    inventory = tmp_path / f"hosts.{kind}"
    inventory.write_text(text)
    found = parsed(inventory)
    values = [value for variables in found["_meta"]["hostvars"].values() for value in variables.values()]
    assert not [value for value in values if isinstance(value, str) and "#" in value]
    if "nodes" not in found or not found["nodes"].get("hosts"):
        # A part of an inventory, for one that has nodes.
        inventory = [str(inventory), str(EXAMPLES[-1])]
    else:
        inventory = [str(inventory)]
    sources = [word for source in inventory for word in ("-i", source)]
    playbook = tmp_path / "judge.yml"
    playbook.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost:all",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.import_role": {
                                "name": "fromzero.deepspeed.preflight",
                                "tasks_from": "inventory",
                                "rolespec_validate": False,
                            }
                        }
                    ],
                }
            ]
        )
    )
    command = [str(Path(sys.executable).parent / "ansible-playbook"), *sources, str(playbook)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_readme_shows_the_inventory_that_it_tells_to_copy(tmp_path):
    """README's two forms and the two files of inventories/example are one inventory."""
    shown = [case for case in SHOWN if str(case.id).startswith(("README.md-", "inventories/example"))]
    meanings = []
    for number, case in enumerate(shown):
        kind, text = case.values
        path = tmp_path / f"{number}" / f"hosts.{kind}"
        path.parent.mkdir()
        path.write_text(text)
        meanings.append(parsed(path))
    assert len(meanings) == 4
    assert all(meaning == meanings[0] for meaning in meanings)
