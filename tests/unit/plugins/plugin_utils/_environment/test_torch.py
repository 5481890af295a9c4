# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import proof
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.torch import (
    TorchRequest,
    TorchRequestError,
    companions,
    decide,
    packages,
    problems,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver import constraints

WHEEL = "/srv/torch-2.0.1+cu117-cp310-cp310-linux_x86_64.whl"

WISHES = [
    ({"torch": "2.13.0"}, "cpu", [], ["torch==2.13.0+cpu"]),
    ({"torch": "2.13.0"}, "", [], ["torch==2.13.0"]),
    ({"torch": "2.0.1+cu117"}, "", [], ["torch==2.0.1+cu117"]),
    ({"torch": "2.0.1+cu117"}, "cu117", [], ["torch==2.0.1+cu117"]),
    ({"torch": "2.0.1", "torchvision": "0.15.2", "torchaudio": ""}, "cu117", [],
     ["torch==2.0.1+cu117", "torchvision==0.15.2+cu117"]),
    ({"torch": "2.13.0", "torchvision": "0.15.2"}, "cu117", [WHEEL], [WHEEL, "torchvision==0.15.2+cu117"]),
]  # fmt: skip


@pytest.mark.parametrize(("versions", "build", "wheels", "expected"), WISHES)
def test_requirements_that_stand_for_a_wish(
    versions: dict[str, str], build: str, wheels: list[str], expected: list[str]
) -> None:
    assert packages(versions, build, wheels) == expected


BAD_WISHES = [
    ({"torch": "2.0.1+cu117"}, "cu118", [], "torch 2.0.1+cu117 is not a build for cu118"),
    ({"torch": "latest"}, "cpu", [], "torch_version: 'latest'"),
    ({"torch": "2.0.1", "torchvision": "newest"}, "cpu", [], "torch_torchvision_version: 'newest'"),
    ({"torch": "2.0.1"}, "cuda", [], "torch_build is 'cuda'"),
    ({"torch": "2.0.1"}, "cpu", ["/srv/torch.whl"], "torch_wheels: '/srv/torch.whl'"),
]


@pytest.mark.parametrize(("versions", "build", "wheels", "sentence"), BAD_WISHES)
def test_bad_wish_is_refused_by_the_name_of_its_variable(
    versions: dict[str, str], build: str, wheels: list[str], sentence: str
) -> None:
    with pytest.raises(TorchRequestError) as caught:
        packages(versions, build, wheels)
    assert sentence in str(caught.value)


AUTO = {"torchvision": "auto", "torchaudio": "auto"}
AUDIO_WHEEL = "https://mirror.example/torchaudio-2.0.2+cu117-cp310-cp310-linux_x86_64.whl"

TRIOS = [
    # versions, build, wheels, python, machine, what comes with torch, what each sentence has
    ({"torch": "2.0.1", **AUTO}, "cu117", [], "3.10.4", "x86_64", {"torchvision": "0.15.2", "torchaudio": "2.0.2"}, []),
    ({"torch": "2.0.1+cu117", **AUTO}, "cu117", [], "", "", {"torchvision": "0.15.2", "torchaudio": "2.0.2"}, []),
    ({"torch": "2.13.0", **AUTO}, "", [], "3.11", "x86_64", {"torchvision": "0.28.0", "torchaudio": "2.11.0"}, []),
    ({"torch": "2.0.1", "torchvision": "none", "torchaudio": ""}, "cpu", [], "", "", {}, []),
    ({"torch": "2.0.1", "torchvision": "0.15.1", "torchaudio": "None"}, "cpu", [], "", "",
     {"torchvision": "0.15.1"}, []),
    ({"torch": "2.13.0", **AUTO}, "cu132", [], "3.11", "", {"torchvision": "0.28.0"}, ["2.13.0, for the build cu132"]),
    ({"torch": "2.13.0+cu132", **AUTO}, "", [], "", "", {"torchvision": "0.28.0"}, ["for the build cu132"]),
    # A build that no row has may come from a site's own index.
    ({"torch": "2.13.0", **AUTO}, "cu999", [], "", "", {"torchvision": "0.28.0", "torchaudio": "2.11.0"}, []),
    ({"torch": "2.5.1", **AUTO}, "cpu", [], "3.13.1", "", {},
     ["0.20.1, which belongs to torch 2.5.1, for Python 3.13.", "torchaudio 2.5.1"]),
    ({"torch": "1.9.0", **AUTO}, "cpu", [], "3.9", "aarch64", {"torchvision": "0.10.0"}, ["torchaudio 0.9.0"]),
    ({"torch": "1.9.0", **AUTO}, "cpu", [], "3.9", "x86_64", {"torchvision": "0.10.0", "torchaudio": "0.9.0"}, []),
    ({"torch": "2.99.0", **AUTO}, "cpu", [], "", "", {}, ["torch_torchvision_version", "torch_torchaudio_version"]),
    # A wheel of the user's own: nothing comes from elsewhere unless it is asked for.
    ({"torch": "2.13.0", **AUTO}, "cu130", [WHEEL], "", "", {},
     ["torch_wheels has a torch and no torchvision", "torchaudio"]),
    ({"torch": "2.13.0", **AUTO}, "cu130", [WHEEL, AUDIO_WHEEL], "", "", {}, ["no torchvision"]),
    ({"torch": "2.13.0", "torchvision": "0.15.2", "torchaudio": "none"}, "cu117", [WHEEL], "", "",
     {"torchvision": "0.15.2"}, []),
    ({"torch": "2.0.1", **AUTO}, "cu117", [AUDIO_WHEEL], "", "", {"torchvision": "0.15.2"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("versions", "build", "wheels", "python", "machine", "expected", "words"), TRIOS)
def test_torchvision_and_torchaudio_belong_to_the_torch_or_are_left_out_in_a_sentence(
    *,
    versions: dict[str, str],
    build: str,
    wheels: list[str],
    python: str,
    machine: str,
    expected: dict[str, str],
    words: list[str],
) -> None:
    found, sentences = companions(versions, build, wheels, python, machine)
    assert found == {"torch": versions["torch"], **expected}
    assert len(sentences) == len(words), sentences
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True)), sentences


def _environment(version: str, **torch: Any) -> dict[str, Any]:
    facts = {"version": version, "cuda": None, "hip": None, **torch}
    return {"exists": True, "prefix": "/env", "packages": {"torch": version}, "torch": facts, "errors": []}


def _with_vision(version: str, reason: str) -> dict[str, Any]:
    """An environment whose torchvision does not import."""
    found = _environment("2.13.0+cpu")
    errors = [f"torchvision is of no use in /env: {reason}.", "torchaudio is not installed in /env."]
    return {**found, "packages": {**found["packages"], "torchvision": version}, "errors": errors}


RIGHT = [
    # Nobody asked for the torchvision that is there.
    (_with_vision("0.29.0", "RuntimeError: operator torchvision::nms does not exist"), ["torch==2.13.0+cpu"]),
    (_environment("2.13.0+cpu"), ["torch==2.13.0+cpu"]),
    (_environment("2.13.0+cu130", cuda="13.0"), ["torch==2.13.0+cu130"]),
    (_environment("2.13.0+cu130", cuda="13.0"), ["torch==2.13.0"]),
    (_environment("1.10.2+cu113", cuda="11.3"), ["torch==1.10.2+cu113"]),
    (_environment("2.13.0+rocm6.4", hip="6.4.43482"), ["torch==2.13.0+rocm6.4"]),
    (_environment("2.0.1+cu117", cuda="11.7"), [WHEEL]),
    (_environment("2.13.0a0+git1234", cuda="13.0"), ["/srv/torch-2.13.0a0-cp311-cp311-linux_x86_64.whl"]),
]


@pytest.mark.parametrize(("environment", "requirements"), RIGHT)
def test_right_torch_has_no_problem(environment: dict[str, Any], requirements: list[str]) -> None:
    assert problems(environment, requirements) == []


WRONG = [
    (_environment("2.13.0+cpu"), ["torch==2.13.0+cu130"], "/env has torch 2.13.0+cpu, not torch==2.13.0+cu130"),
    (_environment("2.13.0+cpu", cuda="13.0"), ["torch==2.13.0+cpu"], "it computes with CUDA 13.0"),
    (_environment("2.13.0+cu126", cuda="13.0"), ["torch==2.13.0+cu126"], "its CUDA is 13.0, not 12.6"),
    (_environment("2.13.0+cu130"), ["torch==2.13.0+cu130"], "its CUDA is none, not 13.0"),
    (_environment("2.13.0+rocm6.4", hip="6.3.1"), ["torch==2.13.0"], "its ROCm is 6.3.1, not 6.4"),
    (_environment("2.13.0+cpu"), ["torch==2.13.0+cpu", "torchvision==0.28.0+cpu"], "torchvision is not installed"),
    (_environment("2.0.1+cu118", cuda="11.8"), [WHEEL], "says that it is 2.0.1+cu118, not 2.0.1+cu117"),
    ({**_environment("2.13.0+cpu"), "torch": {}, "errors": ["torch is of no use in /env: ImportError: libgomp."]},
     ["torch==2.13.0+cpu"], "ImportError: libgomp"),
    (_with_vision("0.29.0+cpu", "RuntimeError: operator torchvision::nms does not exist"),
     ["torch==2.13.0+cpu", "torchvision==0.29.0+cpu"],
     "torchvision 0.29.0+cpu does not work with torch 2.13.0+cpu in /env: RuntimeError: operator torchvision::nms does "
     "not exist. Install both from one index or folder (torch_index_url, torch_find_links), or leave it out "
     "(torch_torchvision_version: none)."),
    ({"exists": False, "prefix": "/env", "errors": ["There is no Python environment at /env."]},
     ["torch==2.13.0+cpu"], "There is no Python environment at /env"),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "requirements", "sentence"), WRONG)
def test_wrong_torch_is_a_sentence_with_what_is_there(
    environment: dict[str, Any], requirements: list[str], sentence: str
) -> None:
    assert any(sentence in problem for problem in problems(environment, requirements))


ENVIRONMENT: dict[str, Any] = {"python": "3.11.9", "machine": "x86_64", "packages": {}, "records": {}}
SPELLINGS = [
    ("2.13.0+CPU", "", "torch==2.13.0+cpu"),
    (" v2.13.0 ", "CPU", "torch==2.13.0+cpu"),
    ("2.13", "cpu", "torch==2.13.0+cpu"),
    ("2.1.2+cu121.with.pypi.cudnn", "", "torch==2.1.2+cu121"),
]


@pytest.mark.parametrize(("version", "build", "package"), SPELLINGS)
def test_a_spelling_that_the_plan_accepts_is_installed(version: str, build: str, package: str) -> None:
    request = TorchRequest("/env", version, torchvision="none", torchaudio="none", build=build)
    assert decide(request, ENVIRONMENT)["packages"] == [package]
    read = constraints.read({"torch": version, "torch_build": build})
    assert read.faults == ()
    assert f"torch=={read.wishes.torch}+{read.wishes.torch_build}" == package


def test_what_is_proved_is_not_due_until_a_version_changes() -> None:
    request = TorchRequest("/env", "2.13.0+cpu", torchaudio="none")
    packages = {"torch": "2.13.0+cpu", "torchvision": "0.28.0+cpu", "numpy": "2.3.0"}
    decided = decide(request, {**ENVIRONMENT, "packages": packages})
    assert decided["due"]
    record = proof.recorded(decided["record"], {"packages": packages}, ["torch", "torchvision", "torchaudio"])
    there = {**ENVIRONMENT, "packages": packages, "records": {"torch": record}}
    assert not decide(request, there)["due"]
    assert decide(request, {**there, "packages": {**packages, "torch": "2.12.0+cpu"}})["due"]


def test_wheels_of_the_control_node_are_copied_below_the_environment() -> None:
    wheels = [WHEEL, "https://x.invalid/torchvision-0.15.2+cu117-cp310-cp310-linux_x86_64.whl"]
    decided = decide(TorchRequest("/env", "2.0.1", torchaudio="none", wheels=wheels), ENVIRONMENT)
    assert decided["copied"] == [WHEEL]
    assert decided["packages"][:2] == [f"/env/.fromzero/wheels/{WHEEL.rpartition('/')[2]}", wheels[1]]
    on_node = decide(TorchRequest("/env", "2.0.1", wheels=[WHEEL], wheels_on_node=True), ENVIRONMENT)
    assert (on_node["copied"], on_node["packages"]) == ([], [WHEEL])
