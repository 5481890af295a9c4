"""What a playbook reaches is all that it names, and all that those files name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.reach import reached, scenarios
from sandbox.shell import ROOT

FILES = {
    "molecule/one/converge.yml": "- ansible.builtin.import_playbook: ../../playbooks/site.yml",
    "molecule/two/converge.yml": "- fromzero.deepspeed.look:",
    "molecule/three/converge.yml": "- ansible.builtin.import_playbook: ../nowhere.yml\n- ansible.builtin.command:",
    "playbooks/site.yml": "roles: [fromzero.deepspeed.conda]",
    "roles/conda/tasks/main.yml": "name: fromzero.deepspeed.look",
    "roles/conda/templates/profile.j2": "",
    "roles/conda/README.md": "fromzero.deepspeed.other",
    "roles/torch/tasks/main.yml": "",
    "plugins/modules/look.py": "from ..module_utils._text.words import split",
    "plugins/action/look.py": "from ..plugin_utils._know import (\n    other,\n    rows as all_rows,\n)",
    "plugins/modules/other.py": "",
    "plugins/module_utils/_text/words.py": "import re",
    "plugins/plugin_utils/_know/rows.py": 'rows("gpus")',
    "data/gpus.yml": "torch",
    "data/torch.yml": "",
}
LOOK = {
    *("plugins/modules/look.py", "plugins/action/look.py", "plugins/module_utils/_text/words.py"),
    *("plugins/plugin_utils/_know/rows.py", "data/gpus.yml"),
}
CONDA = {"playbooks/site.yml", "roles/conda/tasks/main.yml", "roles/conda/templates/profile.j2", *LOOK}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(("scenario", "names"), [("one", CONDA), ("two", LOOK), ("three", set())])
def test_what_is_named_is_reached(root: Path, scenario: str, names: set[str]) -> None:
    start = root / "molecule" / scenario / "converge.yml"
    assert {str(file.relative_to(root)) for file in reached([start], root)} == {str(start.relative_to(root)), *names}


def test_the_role_torch_reaches_its_module_the_table_of_releases_and_no_other_role() -> None:
    found = {str(file.relative_to(ROOT)) for file in reached([ROOT / "molecule" / "shared" / "torch.yml"])}
    assert {"plugins/modules/python_packages.py", "data/torch.yml"} <= found
    assert {name.split("/")[1] for name in found if name.startswith("roles/")} == {"torch"}


SCENARIOS = {
    "bare": {},
    "conda": {"SANDBOX_WITH": "conda"},
    "first_job": {"SANDBOX_WITH": "conda wheels"},
    "toolkit": {"SANDBOX_WITH": "toolkit"},
    "torch": {"SANDBOX_FROM": "torch", "SANDBOX_WITH": "wheels"},
    "worlds": {"SANDBOX_WORLDS": "none nouveau"},
}
CONVERGES = {"conda": "fromzero.deepspeed.conda", "bare": "fromzero.deepspeed.other"}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ("LICENSE", []),
        ("molecule/bare/tests/test_bare.py", ["bare"]),
        ("plugins/modules/other.py", ["bare"]),
        ("plugins/module_utils/_text/words.py", ["conda"]),
        ("roles/conda/README.md", []),
        ("roles/torch/tasks/main.yml", ["torch"]),
        ("sandbox/conda/channel.py", ["conda", "first_job"]),
        ("sandbox/nvidia/deb.py", ["toolkit"]),
        ("sandbox/wheelhouse.py", ["first_job", "torch"]),
        ("sandbox/prepared.py", ["torch"]),
        ("sandbox/gpus/smi.py", ["worlds"]),
        ("sandbox/nodes.py", sorted(SCENARIOS)),
        ("docs/launch.md", ["first_job"]),
    ],
)
def test_a_change_runs_the_scenarios_that_it_can_reach(root: Path, changed: str, names: list[str]) -> None:
    for scenario, environment in SCENARIOS.items():
        folder = root / "molecule" / scenario
        folder.mkdir()
        (folder / "molecule.yml").write_text(json.dumps({"ansible": {"env": environment}}))
        (folder / "converge.yml").write_text(CONVERGES.get(scenario, ""))
    (root / "molecule" / "shared").mkdir()
    (root / "molecule" / "shared" / "torch.yml").write_text("fromzero.deepspeed.torch")
    assert scenarios([changed], {"torch": ["molecule/shared/torch.yml"]}, root) == names


def test_the_role_torch_runs_its_own_scenario_the_whole_site_and_not_that_of_ssh() -> None:
    found = scenarios(["roles/torch/tasks/main.yml"], {"torch": ["molecule/shared/torch.yml"]})
    assert {"torch", "first_job", "deepspeed"} <= set(found)
    assert "ssh_mesh" not in found
