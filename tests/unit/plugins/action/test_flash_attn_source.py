# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""flash-attn comes from the project's wheel where somebody says its sum, else from a build."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from urllib.error import URLError

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.action import flash_attn_source
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.refusal import Refusal

FILE = "flash_attn-2.8.3+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
CONTENT = b"a wheel"
SUM = hashlib.sha256(CONTENT).hexdigest()
ENVIRONMENT = {
    "machine": "x86_64", "python": "3.11.9", "packages": {"torch": "2.8.0+cu128"},
    "torch": {"version": "2.8.0+cu128", "cuda": "12.8", "cxx11_abi": True},
}  # fmt: skip
GPUS = {"ansible_facts": {"fromzero_gpus": {"gpus": [{"compute_capability": "8.0"}, {"compute_capability": None}]}}}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(pages: dict[str, bytes], *, check: bool = False, **more: Any) -> dict[str, Any]:
        def opened(address: str, _seconds: float = 0) -> IO[bytes]:
            if address not in pages:
                raise URLError("no route")
            return io.BytesIO(pages[address])

        monkeypatch.setattr(flash_attn_source, "open_address", opened)
        action = flash_attn_source.ActionModule.__new__(flash_attn_source.ActionModule)
        arguments = {"environment": ENVIRONMENT, "artifacts": str(tmp_path), "wheels_url": "http://w", **more}
        action._task = SimpleNamespace(args={"sums_url": "http://s", **arguments}, check_mode=check)
        action._display = SimpleNamespace(warning=lambda _text: None)
        found: dict[str, Any] = action.run(task_vars={"hostvars": {"node1": GPUS}, "ansible_play_hosts": ["node1"]})
        return found

    return run


WHEEL = {f"http://w/v2.8.3/{FILE.replace('+', '%2B')}": CONTENT}


def test_a_wheel_whose_sum_is_told_is_fetched_once(source: Callable[..., dict[str, Any]]) -> None:
    found = source({**WHEEL, "http://s": f"{SUM}  {FILE}\n".encode()})
    assert (found["wheel"]["sha256"], found["build"]) == (SUM, {})
    assert Path(found["wheel"]["path"]).read_bytes() == CONTENT
    assert Path(found["wheel"]["path"]).name == "flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl"
    assert source({}, checksums={FILE: SUM})["wheel"] == found["wheel"]


@pytest.mark.parametrize(
    ("pages", "more"),
    [(WHEEL, {}), ({}, {"checksums": {FILE: SUM}}), (WHEEL, {"checksums": {FILE: SUM}, "prebuilt": False})],
    ids=["no sum", "no answer", "not wanted"],
)
def test_what_cannot_be_verified_or_fetched_is_built(
    source: Callable[..., dict[str, Any]], pages: dict[str, bytes], more: dict[str, Any]
) -> None:
    found = source(pages, **more)
    assert (found["wheel"], found["build"]["architectures"]) == ({}, ["80"])


def test_a_wheel_with_another_sum_is_refused(source: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"The checksum of http://w/v2\.8\.3/.* is wrong"):
        source(WHEEL, checksums={FILE: "f" * 64})
    assert list(tmp_path.rglob("*.whl")) == []


def test_check_mode_fetches_no_wheel(source: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    source(WHEEL, check=True, checksums={FILE: SUM})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (
            {"packages": {"torch": "2.8.0+cu128"}, "gpus": []},
            "no GPU tells what to compile for; set training_libs_arch",
        ),
        ({"packages": {"torch": "1.0.0"}}, "no release is known for this torch"),
    ],
)
def test_what_can_be_neither_fetched_nor_built_is_refused(
    source: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, environment: dict[str, Any], reason: str
) -> None:
    if "gpus" in environment:
        monkeypatch.setitem(GPUS["ansible_facts"]["fromzero_gpus"], "gpus", environment.pop("gpus"))
    with pytest.raises(Refusal, match=f"none can be built: {reason}"):
        source({}, environment={**ENVIRONMENT, **environment})
