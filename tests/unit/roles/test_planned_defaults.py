# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What roles do alone, and what the plan tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import companions
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.fact import read
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._plan.nodes import builder
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.resolve import resolve_stack

ROLES = Path(__file__).parents[3] / "roles"

_PLACE = re.compile(r"lookup\('fromzero\.deepspeed\.plan', '([^']+)'(?:, default='([^']*)')?")

H100 = {"vendor": "nvidia", "name": "NVIDIA H100", "architecture": "Hopper", "compute_capability": "9.0"}
CPU: dict[str, Any] = {"machine": "x86_64", "glibc": "2.36"}


def plan(wished: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """A plan as the fact has it, of a cluster with one node."""
    found = resolve_stack(wished, {"a": node})["plan"]
    for_all = {name: value for name, value in found.items() if name != "nodes"}
    return {**for_all, "builder": builder({"a": node}), "node": found["nodes"]["a"]}


ON_CPUS = plan({"accelerator": "cpu"}, CPU)
ON_GPUS = plan({}, {**CPU, "gpus": [H100]})


def places() -> Iterator[tuple[str, str, str]]:
    """Every use of the lookup in a role: the file, the place in the plan, and the default where it is a text."""
    for path in sorted(ROLES.glob("*/*/*.yml")):
        for place, default in _PLACE.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(ROLES)}", place, default


@pytest.mark.parametrize("whole", [ON_CPUS, ON_GPUS], ids=["cpu", "cuda"])
def test_roles_ask_for_places_that_a_plan_has(whole: dict[str, Any]) -> None:
    asked = list(places())
    assert {place for _file, place, _default in asked} >= {"python", "torch.version", "torch.build", "deepspeed"}
    for _file, place, _default in asked:
        read(whole, place)


def default_of(role: str, variable: str) -> str:
    """The text that a role's default has for where nothing is planned."""
    text = (ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    [found] = re.findall(
        rf"^{variable}: \"{{{{ lookup\('fromzero\.deepspeed\.plan', '[^']+', default='([^']+)'\) }}}}\"", text, re.M
    )
    return str(found)


@pytest.mark.parametrize("whole", [ON_CPUS, ON_GPUS], ids=["cpu", "cuda"])
def test_a_role_alone_installs_what_auto_gives(whole: dict[str, Any]) -> None:
    alone = {
        "python": default_of("conda", "conda_python_version"),
        "torch.version": default_of("torch", "torch_version"),
        "deepspeed": default_of("deepspeed", "deepspeed_version"),
    }
    assert alone == {place: read(whole, place) for place in alone}


def test_torch_alone_takes_the_build_that_auto_gives() -> None:
    text = (ROLES / "torch" / "defaults" / "main.yml").read_text(encoding="utf-8")
    assert f"default='{read(ON_CPUS, 'torch.build')}' if torch_accelerator == 'cpu'" in text
    assert f"else '{read(ON_GPUS, 'torch.build')}'" in text


ON_TORCH_ALONE = plan({"torch": "2.5.1", "python": "3.13", "accelerator": "cpu"}, CPU)
WITHOUT_AUDIO = plan({"torch": "2.13.0", "torch_build": "cu132"}, {**CPU, "gpus": [H100]})


@pytest.mark.parametrize(
    "whole", [ON_CPUS, ON_GPUS, ON_TORCH_ALONE, WITHOUT_AUDIO], ids=["cpu", "cuda", "3.13", "cu132"]
)
def test_torchvision_and_torchaudio_of_the_role_are_those_of_the_plan(whole: dict[str, Any]) -> None:
    defaults = yaml.safe_load((ROLES / "torch" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    asked = {name: defaults[f"torch_{name}_version"] for name in ("torchvision", "torchaudio")}
    torch = whole["torch"]
    found, _sentences = companions({"torch": torch["version"], **asked}, torch["build"], python=whole["python"])
    assert {name: found.get(name) for name in asked} == {name: torch[name] for name in asked}
