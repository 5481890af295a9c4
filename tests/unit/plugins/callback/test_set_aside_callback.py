# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.callback.set_aside import CallbackModule
from ansible_collections.fromzero.deepspeed.plugins.lookup.set_aside import LookupModule
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.failures import LOSSES


@pytest.fixture
def callback() -> Any:
    LOSSES.clear()
    yield CallbackModule()
    LOSSES.clear()


def result(host: str, msg: str, task: str = "Install x") -> Any:
    return SimpleNamespace(
        host=SimpleNamespace(get_name=lambda: host),
        result={"msg": msg},
        task=SimpleNamespace(name=task, action="command", run_once=False, ignore_unreachable=False),
    )


def look() -> Any:
    return LookupModule().run([])[0]


def test_a_process_that_is_forked_later_reads_what_the_callback_has_seen(callback: Any) -> None:
    callback.v2_runner_on_failed(result("node2", "No space left on device"))
    callback.v2_runner_on_unreachable(result("node3", "Connection timed out"))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(look)
    assert found == {
        "node2": {"event": "failed at 'Install x': No space left on device", "remedy": "make room on that disk"},
        "node3": {
            "event": "could not be reached at 'Install x': Connection timed out",
            "remedy": "check that it runs and that ansible_host and ansible_port are right",
        },
    }


def test_the_first_failure_of_a_node_is_kept_and_an_ignored_one_is_none(callback: Any) -> None:
    callback.v2_runner_on_failed(result("node1", "ignored"), ignore_errors=True)
    callback.v2_runner_on_failed(result("node1", "first"))
    callback.v2_runner_on_failed(result("node1", "second", "Clean up"))
    assert LookupModule().run([])[0]["node1"]["event"] == "failed at 'Install x': first"


def test_what_to_do_next_is_the_last_that_is_printed(callback: Any) -> None:
    printed: list[str] = []
    callback._display = SimpleNamespace(display=lambda text, color=None: printed.append(text))
    callback.v2_runner_on_ok(SimpleNamespace(result={"changed": False}))
    callback.v2_runner_on_ok(SimpleNamespace(result={"at_end": ["Type:", "  ds-launch"]}))
    callback.v2_runner_on_failed(result("node2", "No space left on device"))
    ran = {"localhost": 1, "node1": 1, "node2": 1}
    callback.v2_playbook_on_stats(SimpleNamespace(failures={"node2": 1}, dark={}, processed=ran))
    assert printed[1] == "Set aside; the others went on without:"
    assert printed[-2:] == ["Type:", "  ds-launch"]


def test_nobody_went_on_where_all_nodes_are_lost(callback: Any) -> None:
    printed: list[str] = []
    callback._display = SimpleNamespace(display=lambda text, color=None: printed.append(text))
    callback.v2_runner_on_unreachable(result("node1", "Connection timed out"))
    callback.v2_playbook_on_stats(
        SimpleNamespace(failures={}, dark={"node1": 1}, processed={"localhost": 1, "node1": 1})
    )
    assert printed[1] == "Set aside, and no node is left:"


def test_nothing_is_known_where_nothing_was_lost(callback: Any) -> None:
    assert LookupModule().run([]) == [{}]
