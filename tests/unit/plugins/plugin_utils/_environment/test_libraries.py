# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import parse
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.libraries import (
    KEPT,
    LibrariesError,
    LibrariesRequest,
    choose,
    decide,
    digest,
    divided,
    fits,
    merged,
    pins_of,
    projects,
    stacks_for,
    versions_in,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.proof import recorded
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import FOLDER, rows

SETS = {row["set"]: row for row in rows("libraries")["sets"]}
ROWS = [(name, row) for name, wanted in SETS.items() for row in wanted["rows"]]
V100 = {"name": "Tesla V100S-PCIE-32GB", "compute_capability": "7.0"}
A100 = {"name": "A100-SXM4-40GB", "compute_capability": "8.0"}


def _environment(torch: str, python: str = "3.11.2", **more: str) -> dict[str, Any]:
    return {
        "exists": True,
        "prefix": "/env",
        "python": python,
        "packages": {"torch": torch, "deepspeed": "0.19.8", **more} if torch else {},
        "errors": [],
        "records": {},
    }


NEW = _environment("2.13.0+cu130")
OLD = _environment("2.0.1+cu117", "3.9.18")
ABSENT = {
    "exists": False, "prefix": "/env", "python": "", "packages": {},
    "errors": ["There is no Python environment at /env."],
}  # fmt: skip


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_every_row_says_where_it_is_from_and_can_be_read(name: str, row: dict[str, Any]) -> None:
    assert row["source"]
    assert row["verified"] in {"code", "run", "resolved"}
    assert all(parse(text).name not in KEPT for text in row["packages"])
    assert not row["constraints"] or pins_of(row["constraints"])
    assert all(SETS[instead] for instead in filter(None, [row.get("instead")]))


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_pins_of_a_row_hold_all_that_it_names_within_what_it_wants(name: str, row: dict[str, Any]) -> None:
    """What is exact in a row needs no pin, as peft, of which each set wants its own."""
    pins = versions_in(pins_of(row["constraints"])) if row["constraints"] else {}
    for wanted in map(parse, row["packages"] if pins else []):
        assert wanted.version or wanted.name in pins, wanted.name
        assert all(wanted.accepts(version) for version in pins.get(wanted.name, ())), wanted.text


@pytest.mark.parametrize("name", [path.stem for path in (FOLDER / "constraints").glob("*.in")])
def test_pins_leave_torch_and_what_other_roles_install_alone(name: str) -> None:
    text = pins_of(name)
    assert set(versions_in(text)) & set(KEPT) == set()
    assert "nvidia-cu" not in text
    assert f"data/constraints/{name}.in" in text.splitlines()[1]


@pytest.mark.parametrize("name", list(SETS))
def test_a_set_fits_a_stack_and_the_row_of_a_stack_is_the_only_one(name: str) -> None:
    assert stacks_for(SETS[name])
    for stack in rows("stacks")["stacks"]:
        fitting = [row for row in SETS[name]["rows"] if fits(row, stack["torch"], stack["python"])]
        assert len(fitting) <= 1, stack["stack"]


CHOICES = [
    (NEW, ["nlp"], {"transformers", "scikit-learn"}, "transformers==4.57.6"),
    (OLD, ["nlp"], {"transformers", "scikit-learn"}, "transformers==4.46.3"),
    (OLD, ["hellodeepspeed"], {"transformers==4.5.1", "packaging==21.3", "numpy<1.24"}, "tokenizers==0.10.3"),
    (OLD, ["lora"], {"peft==0.3.0"}, "accelerate"),
    (NEW, ["lora"], {"peft==0.21.2"}, "accelerate"),
    (NEW, ["lora", "qlora"], {"transformers>=4.28.0,<5,>=4.31.0", "peft==0.21.2"}, "bitsandbytes=="),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "sets", "packages", "pin"), CHOICES)
def test_row_that_fits_torch_and_python_is_taken(
    environment: dict[str, Any], sets: list[str], packages: set[str], pin: str
) -> None:
    found = choose(environment, sets, [])
    assert found["problems"] == []
    assert packages <= set(found["packages"])
    assert pin in found["pins"]
    assert len({parse(text).name for text in found["packages"]}) == len(found["packages"])


PROBLEMS: list[tuple[dict[str, Any], list[str], list[str], list[dict[str, Any]], str]] = [
    (NEW, ["hellodeepspeed"], [], [], "It fits the stacks torch-1.13-cu117, torch-2.0-cu117-py38, torch-2.1-cu118"),
    (NEW, ["hellodeepspeed"], [], [], "its tokenizers has no wheel for Python 3.10"),
    (_environment("2.9.1+cu128"), ["fastchat_xformers"], [], [], "is for torch from 2.0.1 on and before 2.0.2"),
    (NEW, ["fastchat"], [], [A100, V100], "Take the set fastchat_xformers in its place"),
    (NEW, ["flash_attn"], [], [V100], "Leave flash_attn out of training_libs_sets on such nodes."),
    (_environment("2.13.0+cpu"), ["fastchat"], [], [], "or install a torch for CUDA first"),
    (OLD, ["nlp", "hellodeepspeed"], [], [], "nlp and hellodeepspeed want different versions: datasets 3.1.0 and"),
    (OLD, ["lora", "qlora"], [], [], "want different versions: peft 0.3.0 and 0.4.0"),
    (OLD, ["lora", "fastchat"], [], [A100], "peft 0.3.0 and 0.13.2. Give each an environment of its own"),
    (NEW, [], ["sklearn"], [], "Use scikit-learn in its place"),
    (NEW, [], ["torch==2.0.1"], [], "Use the role torch (torch_version) in its place"),
    (NEW, [], ["flash_attn>=2"], [], "Use training_libs_sets: [flash_attn] in its place"),
    (_environment(""), ["nlp"], [], [], "Run the role torch first."),
    (ABSENT, ["nlp"], [], [], "There is no Python environment at /env."),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "sets", "packages", "gpus", "words"), PROBLEMS)
def test_what_does_not_fit_is_a_sentence_that_names_what_would(
    environment: dict[str, Any], sets: list[str], packages: list[str], gpus: list[dict[str, Any]], words: str
) -> None:
    text = " ".join(choose(environment, sets, packages, host="node2", gpus=gpus)["problems"])
    assert words in text


def test_set_that_needs_deepspeed_says_which_role_brings_it() -> None:
    environment = {**NEW, "packages": {"torch": "2.13.0+cu130"}}
    assert "run the role deepspeed before" in " ".join(choose(environment, ["nlp"], [])["problems"])


def test_set_for_gpus_of_ampere_has_no_problem_there() -> None:
    found = choose(NEW, ["fastchat"], [], gpus=[A100])
    assert (found["problems"], found["flash_attn"]) == ([], True)


def test_name_that_is_no_set_is_refused_with_those_there_are() -> None:
    with pytest.raises(LibrariesError, match="'bert', which is no set; there are deepspeed_chat, fastchat"):
        choose(NEW, ["bert"], [])


def test_sets_whose_pins_differ_can_be_had_without_pins() -> None:
    assert choose(OLD, ["nlp", "hellodeepspeed"], [], constrained=False)["problems"] == []


def test_versions_of_the_user_override_pins() -> None:
    found = choose(NEW, ["lora"], ["transformers==4.56.0"], constraints=["# mine\nfire==0.6.0\n"])
    pins = versions_in(found["pins"])
    assert "transformers" not in pins
    assert pins["fire"] == {"0.6.0"}
    assert pins["accelerate"]


def test_pins_can_be_left_out() -> None:
    assert choose(NEW, ["lora"], [], constrained=False)["pins"] == ""


def test_environment_that_is_not_there_yet_gets_the_newest_rows() -> None:
    assert "peft==0.21.2" in choose(ABSENT, ["lora"], [])["packages"]


MERGED = [
    (["a", "a>=1", "b==2"], ["a>=1", "b==2"]),
    (["a>=1", "A<2", "a>=1"], ["a>=1,<2"]),
    (["a[x]>=1", "a"], ["a[x]>=1", "a"]),
    (["/w/a-1.0-py3-none-any.whl", "a"], ["/w/a-1.0-py3-none-any.whl", "a"]),
    (["accelerate >=0.21, <2"], ["accelerate>=0.21,<2"]),
]


@pytest.mark.parametrize(("texts", "found"), MERGED)
def test_requirements_of_one_package_become_one(texts: list[str], found: list[str]) -> None:
    assert merged(texts) == found


def test_requirement_that_cannot_be_read_names_its_variable() -> None:
    with pytest.raises(LibrariesError, match=r"^training_libs_packages: "):
        merged(["a @ git+https://host/a"])


PROJECTS = [
    ({"source": "git+https://github.com/WENGSYX/Lingo@main"}, "lingo"),
    ({"source": "git+ssh://git@host:2222/team/My_Project.git@v1.0"}, "my-project"),
    ({"source": "git+https://github.com/WENGSYX/Lingo.git"}, "lingo"),
    ({"source": "https://host/a/foo-1.0.tar.gz", "checksum": "0"}, "foo"),
    ({"source": "/srv/LMTuner/", "on_node": True}, "lmtuner"),
    ({"source": "/srv/LMTuner/", "on_node": True, "name": "Lingo"}, "lingo"),
]


@pytest.mark.parametrize(("wish", "name"), PROJECTS)
def test_project_is_named_after_the_end_of_its_source(wish: dict[str, Any], name: str) -> None:
    assert projects([wish])[0]["name"] == name


BAD_PROJECTS: list[tuple[list[Any], str]] = [
    ([{"name": "lingo"}], "has no source"),
    (["git+https://host/a"], "has no source"),
    ([{"source": "/a", "branch": "main"}], "has branch, which means nothing; there are build_isolation"),
    ([{"source": "/x/a"}, {"source": "/y/a"}], "names a more than once"),
]


@pytest.mark.parametrize(("wishes", "words"), BAD_PROJECTS)
def test_project_that_cannot_be_read_is_a_sentence(wishes: list[Any], words: str) -> None:
    with pytest.raises(LibrariesError) as caught:
        projects(wishes)
    assert words in str(caught.value)


def test_change_in_a_project_on_the_control_node_is_noticed_and_what_a_build_leaves_is_not(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    (tmp_path / "a.py").write_text("one")
    before = projects([{"source": str(tmp_path)}])[0]["content"]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "a.py").write_text("one")
    assert digest(tmp_path) == before != ""
    (tmp_path / "a.py").write_text("two")
    assert digest(tmp_path) != before
    assert digest(tmp_path / "none") == ""


WHEEL = {"name": "lingo", "filename": "LMTuner-1.0-py3-none-any.whl", "sha256": "a" * 64}
PATH = "/env/.fromzero/wheels/LMTuner-1.0-py3-none-any.whl"
DIVIDED: list[tuple[list[str], dict[str, str], dict[str, str], list[str], list[str]]] = [
    ([], {}, {}, [PATH], []),
    ([], {"lmtuner": "a" * 64}, {"lmtuner": "1.0"}, [PATH], []),
    ([], {"lmtuner": "b" * 64}, {"lmtuner": "1.0"}, [PATH], [PATH]),
    ([], {}, {"lmtuner": "1.0"}, [PATH], [PATH]),
    (["lingo"], {}, {}, [], [PATH]),
    (["lingo"], {"lmtuner": "a" * 64}, {"lmtuner": "1.0"}, [], []),
    (["lingo"], {"lmtuner": "a" * 64}, {}, [], [PATH]),
    (["lingo"], {"lmtuner": "b" * 64}, {"lmtuner": "1.0"}, [], [PATH]),
]


@pytest.mark.parametrize(("alone", "recorded", "installed", "together", "again"), DIVIDED)
def test_wheel_is_installed_again_where_it_is_another_than_the_recorded_one(
    alone: list[str], recorded: dict[str, str], installed: dict[str, str], together: list[str], again: list[str]
) -> None:
    found = divided([WHEEL], [PATH], alone=alone, recorded=recorded, installed=installed)
    assert found == {"together": together, "again": again, "sums": {"lmtuner": "a" * 64}}


def test_wheel_that_is_not_on_the_node_is_not_installed() -> None:
    found = divided([WHEEL], [""], recorded={}, installed={})
    assert (found["together"], found["again"]) == ([], [])


def test_libraries_are_due_until_they_are_proved_and_again_when_one_of_them_moves() -> None:
    def due(environment: dict[str, Any], **more: Any) -> bool:
        return bool(decide(LibrariesRequest(sets=["lora"], **more), environment)["due"])

    def installed(**packages: str) -> dict[str, Any]:
        return {**NEW, "packages": {**NEW["packages"], "fire": "0.7.1", "lmtuner": "1.0", **packages}}

    decided = decide(LibrariesRequest(sets=["lora"]), installed())
    sums = divided([WHEEL], [PATH], recorded={}, installed={})["sums"]
    names = [*decided["recorded_packages"], *sums]
    proved = recorded({**decided["record"], "wheels": sums}, installed(), names)
    records = {"records": {"training_libs": proved}}
    assert due(installed())
    assert not due({**installed(), **records})
    assert not due({**installed(black="26.1"), **records})
    assert due({**installed(torch="2.14.1+cu130"), **records})
    assert due({**installed(fire="0.7.0"), **records})
    assert due({**installed(lmtuner="1.1"), **records})
    assert due({**installed(), **records}, flash_attn_version="2.8.3", packages=["black"])
    assert due({**installed(), **records}, constrained=False)
