# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    RequirementError,
    nearest,
    parse,
    version_key,
)

ACCEPTED = [
    # requirement, installed version, accepted
    ("torch==2.0.1+cu117", "2.0.1+cu117", True),
    ("torch==2.0.1+cu117", "2.0.1+cu118", False),
    ("torch==2.0.1+cu117", "2.0.1", False),
    ("torch==2.0.1", "2.0.1+cu117", True),
    ("torch==2.0.1", "2.0.1", True),
    ("torch==2.0.1", "2.0.10", False),
    ("torch == 2.0.1+CPU", "2.0.1+cpu", True),
    ("pip==26.3", "26.3.0", True),
    ("pip==26.3.0", "26.3", True),
    ("pip==26.3", "26.3.1", False),
    ("deepspeed==0.19.8", "0.19.8+unknown", True),
    ("deepspeed==0.19.8", "0.19.8rc1", False),
    ("deepspeed==0.19.8", "0.19.8.post1", False),
    ("ninja", "1.13.2", True),
    ("packaging>=20", "26.3", True),
    ("packaging>=20", "19.9", False),
    ("packaging>=20,<26", "26.3", False),
    ("packaging>=20.9", "20.10", True),
    ("packaging>=1.0", "1.0rc1", False),
    ("packaging>=1.0", "1.0.dev1", False),
    ("packaging>1.0rc1", "1.0", True),
    ("packaging>1.0", "1.0.post1", True),
    ("fsspec[http]==2026.9.0", "2026.9.0", True),
    ("numpy<2", "1.26.4", True),
    ("numpy<=2", "2.0.0", True),
    ("/srv/torch-2.0.1+cu117-cp310-cp310-linux_x86_64.whl", "2.0.1+cu117", True),
    ("/srv/torch-2.0.1+cu117-cp310-cp310-linux_x86_64.whl", "2.0.1+cu118", False),
    ("/srv/torch-2.0.1-cp310-cp310-linux_x86_64.whl", "2.0.1+cu118", False),
    ("https://h/whl/torch-2.0.1%2Bcu117-cp310-cp310-linux_x86_64.whl", "2.0.1+cu117", True),
    ("https://h/whl/torch-2.0.1%2Bcu117-cp310-cp310-linux_x86_64.whl#sha256=00", "2.0.1+cu117", True),
    ("/srv/flash_attn-2.8.3-1-cp311-cp311-linux_x86_64.whl", "2.8.3", True),
    ("/srv/py-cpuinfo-9.0.0.tar.gz", "9.0.0", True),
]


@pytest.mark.parametrize(("requirement", "installed", "accepted"), ACCEPTED)
def test_installed_version_satisfies_a_requirement(requirement: str, installed: str, accepted: bool) -> None:
    assert parse(requirement).accepts(installed) is accepted


NAMES = [
    ("torch==2.0.1", "torch"),
    ("Typing_Extensions", "typing-extensions"),
    ("ruamel.yaml>=0.18", "ruamel-yaml"),
    ("/srv/flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl", "flash-attn"),
    ("file:///srv/nvidia_ml_py-13.0-py3-none-any.whl", "nvidia-ml-py"),
    ("/srv/py-cpuinfo-9.0.0.tar.gz", "py-cpuinfo"),
]


@pytest.mark.parametrize(("requirement", "name"), NAMES)
def test_name_is_normalised(requirement: str, name: str) -> None:
    assert parse(requirement).name == name


UNREADABLE = [
    "",
    "torch=2.0.1",
    "torch==2.0.*",
    "torch~=2.0",
    "torch!=2.0.1",
    "torch==latest",
    "torch; python_version<'3.12'",
    "torch @ https://h/torch-2.0.1-py3-none-any.whl",
    "--index-url=https://h/simple",
    "/srv/wheels",
    "/srv/torch.whl",
    "https://h/archive/main.zip",
    "git+https://h/apex.git",
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_checked_is_refused_by_name(text: str) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(text)
    assert repr(text) in str(caught.value) or text.rpartition("==")[2] in str(caught.value)


def test_exact_version_of_a_requirement() -> None:
    assert [parse(text).version for text in ("torch==2.0.1+cu117", "torch", "torch>=2")] == ["2.0.1+cu117", "", ""]


ORDERED = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.2", "1.10", "1!0.1"]
SHUFFLED = ["1.10", "1.0", "1!0.1", "1.0rc1", "1.0.dev1", "1.0.1", "1.0b2", "1.2", "1.0.post1", "1.0a1"]


def test_versions_sort_as_python_sorts_them() -> None:
    assert sorted(SHUFFLED, key=lambda text: version_key(text)[0]) == ORDERED


NEAREST = [
    ("2.13.1", ["2.9.0", "2.15.0", "2.13.0", "2.14.0", "2.10.0", "2.11.0"], ["2.11.0", "2.13.0", "2.14.0", "2.15.0"]),
    ("9.0", ["1.0", "2.0", "3.0", "4.0", "5.0"], ["2.0", "3.0", "4.0", "5.0"]),
    ("0.1", ["3.0", "2.0", "not-a-version"], ["2.0", "3.0"]),
    ("1.0", [], []),
]


@pytest.mark.parametrize(("wanted", "known", "near"), NEAREST)
def test_nearest_versions(wanted: str, known: list[str], near: list[str]) -> None:
    assert nearest(wanted, known, 4) == near
